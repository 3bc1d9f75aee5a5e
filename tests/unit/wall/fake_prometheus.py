"""A Prometheus that answers the wall's queries with a scene; it can be silenced and woken."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

from tests.unit.wall.scenes import NOW, Scene
from zads.signals import SIGNALS


class FakePrometheus:
    """An HTTP server on a free port of 127.0.0.1; a scene's times are shifted to the real now."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.silent = False
        self.refuses: str | None = None  # the signal whose expression is refused, as two series for one are
        self.frozen: float | None = None  # the time that stands still, for pages that must not change
        self.queries = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self._answer(*fake.answer(self.path, {k: v[0] for k, v in form.items()}))

            def do_GET(self) -> None:
                self._answer(*fake.answer(self.path, {}))

            def _answer(self, code: int, data: Any) -> None:
                body = json.dumps({"status": "success" if code == 200 else "error", "data": data}).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        self.queries += 1
        if self.silent:
            return 503, None
        shift = (self.frozen or time.time()) - NOW
        if path == "/api/v1/alerts":
            return 200, {"alerts": [self._alert(s.labels, s.value + shift) for s in self.scene["impact"]]}
        if path == "/api/v1/query_range":
            values = _line(self.scene, self.frozen or float(form["end"]), 'cluster="public"' in form["query"])
            return 200, {"result": [{"metric": {}, "values": values}] if values else []}
        expression = form["query"]
        if self.refuses and SIGNALS[self.refuses].expression in expression:
            return 422, None
        rows: list[dict[str, Any]] = []
        for name, samples in self.scene.items():
            if name == "impact" or SIGNALS[name].expression not in expression:
                continue
            extra = {"signal": name} if "label_replace" in expression else {}
            for s in samples:
                value = s.value + shift if s.value > 1e9 else s.value
                rows.append({"metric": {**s.labels, **extra}, "value": [time.time(), repr(value)]})
        return 200, {"result": rows}

    @staticmethod
    def _alert(labels: Any, at: float) -> dict[str, Any]:
        kept = {k: v for k, v in labels.items() if k != "impact"}
        since = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
        return {"labels": kept, "annotations": {"impact": labels["impact"]}, "state": "firing", "activeAt": since}


def _line(scene: Scene, end: float, public: bool) -> list[list[Any]]:
    """Return six hours of alerts per second that tell the scene's story."""

    def value(name: str, default: float) -> float:
        samples = scene.get(name, [])
        return samples[0].value if samples else default

    if not scene.get("arriving"):
        return []
    held_up = 100 if public and value("behind_seconds", 0) > 60 else 0  # points of half a minute
    ended = 700 - round((NOW - value("last_upstream", NOW)) / 30) if value("arriving", 0) == 0 else 700
    lost = 700 - 82 if public and value("public_readable", 1) == 0 else 700
    points = []
    for i in range(lost):
        rate = 30 + 12 * math.sin(i / 37) + (18 if 280 < i < 340 else 0)
        if i > 700 - held_up:
            rate *= max(0.0, 1 - (i - 700 + held_up) / 12)
        points.append([end - (699 - i) * 30, f"{rate if i < ended else 0:.3f}"])
    return points
