"""The stand-in for Slack's incoming webhook: one secret address that posts to one channel and answers in plain text.

Source: docs.slack.dev (Sending messages using incoming webhooks; the changelog of 2016-05-17 for statuses and names).
No id comes back: what was posted can neither be edited nor answered.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from zads.stack.standin_http import decode
from zads.stack.standin_slack import Slack

# Addresses with a fate, so that a test can see each answer that a real workspace gives.
_FATES = {
    "archived": (410, "channel_is_archived"),
    "gone": (404, "channel_not_found"),
    "prohibited": (403, "action_prohibited"),
    "disabled": (403, "team_disabled"),
    "broken": (500, "rollup_error"),
}
_STATUSES = {"channel_not_found": 404, "is_archived": 410, "ratelimited": 429}


@dataclass(frozen=True)
class HookAnswer:
    """An answer in plain text."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


class SlackHook:
    """One address, `path` being what follows /services/ in it."""

    def __init__(self, slack: Slack, path: str) -> None:
        self._slack, self._path = slack, path

    def post(self, path: str, content_type: str, body: bytes | None) -> HookAnswer:
        """Answer one request; None is a body over the limit."""
        if path in _FATES:
            return HookAnswer(*_FATES[path])
        if not self._path or not hmac.compare_digest(path.encode(), self._path.encode()):
            return HookAnswer(404, "no_service")
        if body is None:
            return HookAnswer(413, "request_entity_too_large")
        try:
            if content_type.startswith("application/x-www-form-urlencoded"):
                body = parse_qs(body.decode(), strict_parsing=True)["payload"][0].encode()
            fields = decode(body)
        except (ValueError, KeyError):
            return HookAnswer(400, "invalid_payload")
        if not isinstance(fields, dict):
            return HookAnswer(400, "invalid_payload")
        reply = self._slack.hooked(fields)
        if reply.body.get("ok"):
            return HookAnswer(200, "ok")
        error = str(reply.body.get("error"))
        name = {"ratelimited": "rate_limited", "is_archived": "channel_is_archived"}.get(error, error)
        return HookAnswer(_STATUSES.get(error, 400), name, reply.headers or {})
