"""The stand-in for a receiver of signed webhooks: it verifies as standardwebhooks.com tells receivers to.

Written from the specification (1.0.0), not from our sender: what this accepts, receivers' libraries accept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from zads.stack.inbox_store import STATES, Inbox
from zads.stack.standin_http import Reply, decode
from zads.stack.standin_rates import Rate, RateLimit

_LOG = logging.getLogger(__name__)
BODY_MOST = 1_000_000
TOLERANCE = 300.0  # seconds that sender's and receiver's clocks may differ
WEBHOOK_RATE = Rate(1200, 60.0)
_REMEMBERED = 10_000


class Webhook:
    """One receiver with one secret ("whsec_..."); what it has had is known again after a restart."""

    def __init__(
        self,
        inbox: Inbox,
        secret: str,
        *,
        rate: Rate = WEBHOOK_RATE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._inbox, self._clock = inbox, clock
        self._key = base64.b64decode(secret.removeprefix("whsec_")) if secret else b""
        self._limit = RateLimit(rate.count, rate.seconds, clock)
        # A dict keeps the order, so that the oldest name is forgotten first.
        self._seen: dict[str, None] = {}
        for message in inbox.all():
            if message["channel"] == "webhook" and isinstance(message["raw"], dict):
                self._remember(str(message["raw"].get("id")))

    def receive(self, headers: Mapping[str, str], body: bytes | None) -> Reply:
        """Answer one request; None is a body over the limit."""
        if body is None or len(body) > BODY_MOST:
            return _refusal(413, "the body is too large")
        name, seconds = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        signatures = headers.get("webhook-signature", "")
        if not name or not signatures or not (seconds.isascii() and seconds.isdigit() and len(seconds) < 12):
            return _refusal(400, "webhook-id, webhook-timestamp and webhook-signature are needed")
        if not self._signed(name, seconds, body, signatures):
            return _refusal(401, "no signature fits")
        if abs(self._clock() - int(seconds)) > TOLERANCE:
            return _refusal(401, "the timestamp is too old or too new")
        wait = self._limit.take("")
        if wait:
            return Reply(429, {"error": "too many requests"}, {"Retry-After": str(max(1, round(wait)))})
        try:
            content = decode(body)
        except ValueError:
            return _refusal(400, "the body is no JSON")
        if not isinstance(content, dict) or content.get("version") != 1 or not isinstance(content.get("message"), dict):
            return _refusal(422, "the body is none of version 1")
        if name in self._seen:
            _LOG.info("%s came again: known, and accepted again", name)
        else:
            self._keep(content)
            self._remember(name)
        return Reply(200, {"ok": True})

    def _signed(self, name: str, seconds: str, body: bytes, signatures: str) -> bool:
        mark = hmac.new(self._key, f"{name}.{seconds}.".encode() + body, hashlib.sha256).digest()
        expected = base64.b64encode(mark)
        given = (one.partition(",") for one in signatures.split(" "))
        fits = [hmac.compare_digest(value.encode(), expected) for kind, _, value in given if kind == "v1"]
        return bool(self._key) and any(fits)

    def _remember(self, name: str) -> None:
        self._seen[name] = None
        while len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def _keep(self, content: dict[str, Any]) -> None:
        message = content["message"]
        title = message.get("title")
        state = message.get("state")
        lines = [str(line) for name in ("what", "notes") for line in _list(message.get(name))]
        lines[1:1] = [str(message[name]) for name in ("impact", "first") if message.get(name)]
        text = "\n".join(lines) or json.dumps(message, ensure_ascii=False)
        self._inbox.add("webhook", state if state in STATES else "firing", str(title or content.get("type")), text, content)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _refusal(status: int, words: str) -> Reply:
    return Reply(status, {"error": words})
