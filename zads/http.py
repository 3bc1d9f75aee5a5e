"""The exporters' HTTP server: /metrics, /-/healthy, /-/ready and a page that says in words what it sees."""

from __future__ import annotations

import gzip
import html
import logging
import socket
import sys
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from zads.collector import CollectorLoop
from zads.merged import merged
from zads.plain import span
from zads.web_config import BasicAuth, Tls, WebConfig

_LOG = logging.getLogger(__name__)
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HTML = "text/html; charset=utf-8"
_MOST_CONNECTIONS = 100
_IDLE_SECONDS = 60
_STYLE = (
    "body{font:18px/1.5 sans-serif;margin:3rem;max-width:50rem;color:#111;background:#fff}"
    "dt{font-weight:bold;margin-top:1rem}dd p{margin:0;font-size:smaller}.bad{color:#a00}@media(prefers-color-scheme:dark)"
    "{body{color:#eee;background:#111}a{color:#8cf}.bad{color:#f88}}"
)


class Server:
    """Serve the loops' snapshots: `/NAME/metrics` each one's, `/metrics` that of the only one, or all together.

    Raises OSError when it cannot listen, WebConfigError when TLS cannot be set up.
    """

    def __init__(self, host: str, port: int, loops: Mapping[str, CollectorLoop], web: WebConfig | None = None) -> None:
        web = web or WebConfig()
        settings = {
            "loops": dict(loops),
            "auth": BasicAuth(web.users),
            "more_headers": dict(web.headers),
            "tls": Tls(web) if web.cert_file else None,
        }
        handler = type("Handler", (_Handler,), settings)
        self._http = _Http((host, port), handler)
        self.scheme = "https" if web.cert_file else "http"

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._http.server_address[1])

    def start(self) -> None:
        """Serve in a background thread."""
        threading.Thread(target=self._http.serve_forever, name="http", daemon=True, kwargs={"poll_interval": 0.2}).start()

    def stop(self) -> None:
        """Stop serving; answers that are under way may end."""
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without a look at DNS, which the standard library's server takes and which may hang."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, while there are not too many."""
        if not self._free.acquire(blocking=False):
            _LOG.warning("more than %d connections: one from %s is closed", _MOST_CONNECTIONS, client_address[0])
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in one line what went wrong; a client that went away is no news."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            _LOG.debug("the connection from %s ended: %s", client_address[0], error)
        else:
            _LOG.warning("a request from %s failed: %s: %s", client_address[0], type(error).__name__, error)
            _LOG.debug("traceback", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    loops: Mapping[str, CollectorLoop]
    auth: BasicAuth
    more_headers: Mapping[str, str]
    tls: Tls | None
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def setup(self) -> None:
        """Speak TLS first, in this connection's own thread: a client that is slow at it holds up nobody."""
        if self.tls is not None:
            self.request.settimeout(10)
            self.request = self.tls.context().wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        """Close, the TLS connection too."""
        super().finish()
        if self.tls is not None:
            self.request.close()

    def version_string(self) -> str:
        """Name the program and no versions."""
        return "zads-exporter"

    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0]
        if not self.auth.allows(self.headers.get("Authorization")):
            self._answer(401, b"unauthorized\n", extra={"WWW-Authenticate": 'Basic realm="zads"'})
        elif path == "/-/healthy":
            sick = [text for text in (loop.ailment() for loop in self.loops.values()) if text]
            self._answer(503 if sick else 200, ("; ".join(sick) or "healthy").encode() + b"\n")
        elif path == "/-/ready":
            waiting = [f"{name}: {loop.snapshot().words}" for name, loop in self.loops.items() if not loop.snapshot().ok]
            self._answer(503 if waiting else 200, ("; ".join(waiting) or "ready").encode() + b"\n")
        elif path == "/":
            self._answer(200, self._page(), _HTML)
        else:
            self._metrics(path)

    do_HEAD = do_GET

    def _metrics(self, path: str) -> None:
        if path == "/metrics" and len(self.loops) > 1:
            self._together()
            return
        loop = self.loops.get(path.removeprefix("/").removesuffix("/metrics"))
        if path == "/metrics":
            loop = next(iter(self.loops.values()))
        if not path.endswith("/metrics") or loop is None:
            paths = ", ".join(f"/{name}/metrics" for name in self.loops)
            self._answer(404, f"not found; there are /metrics, {paths}, /-/healthy, /-/ready and /\n".encode())
            return
        snapshot = loop.snapshot()
        if snapshot.compressed and _takes_gzip(self.headers.get("Accept-Encoding", "")):
            self._answer(200, snapshot.compressed, extra={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
            return
        self._head(200, snapshot.page.size, _TEXT, {"Vary": "Accept-Encoding"})
        if self.command != "HEAD":
            for chunk in snapshot.page.chunks():
                self.wfile.write(chunk)

    def _together(self) -> None:
        """Answer with all exporters' metrics; made anew for each request: who scrapes often takes a path each."""
        body = merged(loop.snapshot().page for loop in self.loops.values())
        if _takes_gzip(self.headers.get("Accept-Encoding", "")):
            packed = gzip.compress(body, 1, mtime=0)
            self._answer(200, packed, extra={"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})
        else:
            self._answer(200, body, extra={"Vary": "Accept-Encoding"})

    def _page(self) -> bytes:
        rows = []
        for name, loop in self.loops.items():
            snapshot = loop.snapshot()
            state = "sees " if snapshot.ok and snapshot.words != "ok" else ""
            words = "<br>".join(html.escape(part) for part in (state + snapshot.words).split("; "))
            if not snapshot.ok:
                words = f"<span class=bad>does not see: {words}</span>"
            rows.append(
                f"<dt>{html.escape(name)}<dd>{words}<p>Seen {span(round(time.time() - snapshot.at))} ago. "
                f"<a href='/{html.escape(name)}/metrics'>Metrics</a>, {snapshot.page.size / 1e3:,.0f} kB of text."
            )
        together = " <a href='/metrics'>All metrics together</a>" if len(self.loops) > 1 else ""
        title = "ZADS exporters" if len(self.loops) > 1 else "ZADS exporter"
        return (
            f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            "<link rel=icon href='data:,'>"
            f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1><dl>{''.join(rows)}</dl>"
            f"<p><a href='/-/ready'>Ready?</a> <a href='/-/healthy'>Healthy?</a>{together}"
        ).encode()

    def _answer(self, status: int, body: bytes, kind: str = _TEXT, extra: Mapping[str, str] | None = None) -> None:
        self._head(status, len(body), kind, extra or {})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, size: int, kind: str, extra: Mapping[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": kind, "Content-Length": str(size), **self.more_headers, **extra}.items():
            self.send_header(key, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no proper request with one line, and close."""
        self.close_connection, self.request_version = True, "HTTP/1.1"
        words = "only GET and HEAD are answered\n" if code == 501 else "this request is not understood\n"
        self._answer(code, words.encode(), extra={"Connection": "close"})

    def log_message(self, format: str, *args: Any) -> None:
        _LOG.debug(format, *args)


def _takes_gzip(header: str) -> bool:
    """Tell whether an Accept-Encoding header accepts gzip (q=0 says that it does not)."""
    for entry in header.split(","):
        coding, _, rest = entry.partition(";")
        if coding.strip().lower() in {"gzip", "*"}:
            return rest.replace(" ", "").lower() not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
