"""What the channels really hand over: the bytes of each mail, and each request over HTTP, taken by a server of the gallery's own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from notifier.channels import Channel
from notifier.channels.email import EmailChannel
from notifier.channels.pagerduty import PagerDutyChannel
from notifier.channels.slack import SlackChannel
from notifier.channels.webhook import WebhookChannel
from zads.config import Config

_ANSWER = {"ok": True, "ts": "1767225660.000100", "channel": "C0ALERTS", "status": "success", "dedup_key": "k"}
_SECRET = "whsec_Z2FsbGVyeS1nYWxsZXJ5LWdhbGxlcnktZ2FsbGVyeQ=="  # noqa: S105 - of no receiver


@dataclass
class Wire:
    """What was handed over since the last `taken`."""

    url: str = ""
    mails: list[bytes] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)

    def taken(self) -> tuple[list[bytes], list[tuple[str, Any]]]:
        """Return the mails and the calls (name of the path's end, body), and begin anew."""
        taken, self.mails, self.calls = (self.mails, self.calls), [], []
        return taken


class _Mail(EmailChannel):
    """Keeps what would go to the server."""

    def __init__(self, config: Config, wire: Wire) -> None:
        assert config.notifier.email is not None
        super().__init__(config.notifier.email)
        self._wire = wire

    def _transaction(self, recipient: str, mail: bytes) -> None:
        self._wire.mails.append(mail)


class _Handler(BaseHTTPRequestHandler):
    wire: Wire
    wbufsize = 1 << 16  # the whole answer in one packet

    def do_POST(self) -> None:
        """Keep the body and accept it; a bot that may not look into its channel is refused that."""
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        method = urlsplit(self.path).path.rsplit("/", 1)[-1]
        looks = method.startswith("conversations.")
        if not looks:
            self.wire.calls.append((method, json.loads(content)))
        answer = json.dumps({"ok": False, "error": "missing_scope"} if looks else _ANSWER).encode()
        self.send_response(202 if method == "enqueue" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def taking() -> Iterator[Wire]:
    """Take requests on a loopback port of its own."""
    wire = Wire()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"wire": wire}))
    wire.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        server.shutdown()
        server.server_close()


def channels(config: Config, wire: Wire) -> dict[str, Channel]:
    """Return the real channels, which hand over to `wire`."""
    settings = config.notifier
    assert settings.slack is not None and settings.pagerduty is not None and settings.webhook is not None
    found: list[Channel] = [
        PagerDutyChannel(settings.pagerduty, "R" * 32, config.site.name),
        SlackChannel(settings.slack, "xoxb-gallery"),
        _Mail(config, wire),
        WebhookChannel(settings.webhook, _SECRET, config.site.name),
    ]
    return {channel.name: channel for channel in found}
