"""The exporters' HTTP server: /metrics, /-/healthy, /-/ready and a page that says in words what it sees."""

from __future__ import annotations

import html
import logging
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from zads.collector import CollectorLoop

_LOG = logging.getLogger(__name__)
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Server:
    """Serve the loops' snapshots; `/metrics` is the first one's, `/NAME/metrics` each one's."""

    def __init__(self, host: str, port: int, loops: Mapping[str, CollectorLoop]) -> None:
        self._loops = dict(loops)
        handler = type("Handler", (_Handler,), {"loops": self._loops})
        self._http = ThreadingHTTPServer((host, port), handler)
        self._http.daemon_threads = True

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._http.server_address[1])

    def start(self) -> None:
        """Serve in a background thread."""
        threading.Thread(target=self._http.serve_forever, name="http", daemon=True, kwargs={"poll_interval": 1.0}).start()

    def stop(self) -> None:
        """Stop serving."""
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    loops: Mapping[str, CollectorLoop]
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0]
        if path == "/-/healthy":
            self._answer(200, b"alive\n")
        elif path == "/-/ready":
            waiting = [name for name, loop in self.loops.items() if not loop.snapshot().ok]
            text = "ready\n" if not waiting else f"not collecting: {', '.join(waiting)}\n"
            self._answer(200 if not waiting else 503, text.encode())
        elif path == "/":
            self._answer(200, self._page(), "text/html; charset=utf-8")
        else:
            self._metrics(path)

    do_HEAD = do_GET

    def _metrics(self, path: str) -> None:
        name = path.removesuffix("/metrics").strip("/")
        loop = self.loops.get(name) if name else next(iter(self.loops.values()))
        if not path.endswith("/metrics") or loop is None:
            self._answer(404, b"not found; try /metrics, /-/healthy, /-/ready\n")
            return
        snapshot = loop.snapshot()
        if snapshot.compressed and "gzip" in self.headers.get("Accept-Encoding", ""):
            self._answer(200, snapshot.compressed, _TEXT, {"Content-Encoding": "gzip"})
        else:
            self._answer(200, snapshot.body, _TEXT)

    def _page(self) -> bytes:
        rows = []
        for name, loop in self.loops.items():
            snapshot = loop.snapshot()
            state = "collects" if snapshot.ok else "does not see: " + snapshot.words
            age = f"{max(0.0, time.time() - snapshot.at):.0f} s ago"
            rows.append(
                f"<li><b>{html.escape(name)}</b> {html.escape(state)} ({age}), <a href='/{name}/metrics'>metrics</a>"
            )
        return (
            "<!doctype html><html lang=en><meta charset=utf-8><title>ZADS exporter</title>"
            "<style>body{font:18px sans-serif;margin:3rem}</style><h1>ZADS exporter</h1><ul>" + "".join(rows) + "</ul>"
        ).encode()

    def _answer(self, status: int, body: bytes, kind: str = _TEXT, extra: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for key, value in (extra or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug(format, *args)
