"""Stand-ins for Slack's Web API and PagerDuty's Events API v2, as strict as the documentation says.

They record what is right and refuse what is not with the documented error; they keep the providers'
rate limits. Sources: docs.slack.dev (chat.postMessage, chat.update, conversations.history, auth.test,
rate limits), developer.pagerduty.com (Send an event, rate limits).
"""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from zads.stack.inbox_store import Inbox


@dataclass(frozen=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] | None = None


class RateLimit:
    """At most `count` calls in `seconds`, as a sliding window."""

    def __init__(self, count: int, seconds: float) -> None:
        self._count, self._seconds = count, seconds
        self._calls: dict[str, deque[float]] = {}

    def take(self, key: str) -> float:
        """Return 0 when the call is allowed, else the seconds to wait."""
        now, calls = time.monotonic(), self._calls.setdefault(key, deque())
        while calls and now - calls[0] > self._seconds:
            calls.popleft()
        if len(calls) >= self._count:
            return self._seconds - (now - calls[0])
        calls.append(now)
        return 0.0


_BLOCKS = {"section", "header", "context", "divider", "actions", "image", "rich_text"}
_SLACK_STATES = {"firing", "acknowledged", "resolved"}


class Slack:
    """The four methods of Slack that a notifier needs."""

    def __init__(self, inbox: Inbox, token: str, channel: str) -> None:
        self._inbox, self._token = inbox, token
        self._channels = {channel: "C0ZADS00001", channel.lstrip("#"): "C0ZADS00001", "C0ZADS00001": "C0ZADS00001"}
        self._messages: dict[str, dict[str, Any]] = {}
        # One a second per channel; short bursts are tolerated, as Slack says.
        self._limit = RateLimit(10, 10.0)

    def call(self, method: str, token: str, fields: dict[str, Any]) -> Reply:
        """Answer one method call."""
        if not token:
            return self._error("not_authed")
        if token != self._token:
            return self._error("invalid_auth")
        handlers = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._history,
        }
        handler = handlers.get(method)
        return handler(fields) if handler else self._error("unknown_method")

    @staticmethod
    def _error(name: str) -> Reply:
        return Reply(200, {"ok": False, "error": name})

    def _auth_test(self, _fields: dict[str, Any]) -> Reply:
        return Reply(200, {"ok": True, "team": "stand-in", "user": "zads", "team_id": "T0ZADS", "user_id": "U0ZADS"})

    @staticmethod
    def _decoded(fields: dict[str, Any]) -> dict[str, Any] | str:
        """Decode the JSON arguments; return the error's name when one cannot be decoded."""
        out = dict(fields)
        for name, error in (
            ("blocks", "invalid_blocks_format"),
            ("attachments", "invalid_attachments"),
            ("metadata", "invalid_metadata_format"),
        ):
            if isinstance(out.get(name), str) and out[name]:
                try:
                    out[name] = json.loads(out[name])
                except ValueError:
                    return error
        return out

    def _wrong(self, fields: dict[str, Any]) -> str | None:
        """Return the documented error's name for a bad message, else None."""
        if not fields.get("channel"):
            return "channel_not_found"
        if fields["channel"] not in self._channels:
            return "is_archived" if "archived" in str(fields["channel"]) else "channel_not_found"
        text, blocks = fields.get("text") or "", fields.get("blocks") or []
        attachments = fields.get("attachments") or []
        if not text and not blocks and not attachments:
            return "no_text"
        if len(str(text)) > 40_000:
            return "msg_too_long"
        if not isinstance(blocks, list) or len(blocks) > 50:
            return "invalid_blocks"
        if len(attachments) > 100:
            return "too_many_attachments"
        if len(json.dumps(blocks)) > 13_200:
            return "msg_blocks_too_long"
        if any(self._bad_block(block) for block in blocks):
            return "invalid_blocks"
        metadata = fields.get("metadata")
        if metadata and not (isinstance(metadata, dict) and metadata.get("event_type") and "event_payload" in metadata):
            return "invalid_metadata_schema"
        return None

    @staticmethod
    def _bad_block(block: Any) -> bool:
        if not isinstance(block, dict) or block.get("type") not in _BLOCKS:
            return True
        limit = {"section": 3000, "header": 150}.get(block["type"])
        text = block.get("text")
        if block["type"] == "header" and not isinstance(text, dict):
            return True
        if limit and isinstance(text, dict) and not 0 < len(str(text.get("text", ""))) <= limit:
            return True
        if len(block.get("fields") or []) > 10 or len(block.get("elements") or []) > 25:
            return True
        return len(str(block.get("block_id") or "")) > 255

    def _post(self, raw: dict[str, Any]) -> Reply:
        fields = self._decoded(raw)
        if isinstance(fields, str):
            return self._error(fields)
        wrong = self._wrong(fields)
        if wrong:
            return self._error(wrong)
        thread = fields.get("thread_ts")
        if thread and str(thread) not in self._messages:
            return self._error("cannot_reply_to_message")
        wait = self._limit.take(str(fields["channel"]))
        if wait:
            return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(int(wait) + 1)})
        ts = f"{time.time():.6f}"
        self._messages[ts] = {**fields, "ts": ts}
        self._keep(fields, ts)
        return Reply(200, {"ok": True, "channel": self._channels[str(fields["channel"])], "ts": ts, "message": {"ts": ts}})

    def _update(self, raw: dict[str, Any]) -> Reply:
        fields = self._decoded(raw)
        if isinstance(fields, str):
            return self._error(fields)
        if not str(fields.get("channel", "")).startswith("C"):
            return self._error("channel_not_found")  # an update wants the id, not the name
        wrong = self._wrong(fields)
        if wrong:
            return self._error(wrong)
        ts = str(fields.get("ts", ""))
        if ts not in self._messages:
            return self._error("message_not_found")
        self._messages[ts] = {**self._messages[ts], **fields}
        self._keep(fields, ts, edited=True)
        return Reply(200, {"ok": True, "channel": fields["channel"], "ts": ts, "text": fields.get("text", "")})

    def _history(self, raw: dict[str, Any]) -> Reply:
        if raw.get("channel") not in self._channels:
            return self._error("channel_not_found")
        newest = [self._messages[ts] for ts in sorted(self._messages, reverse=True)][:100]
        return Reply(200, {"ok": True, "messages": newest, "has_more": False})

    def _keep(self, fields: dict[str, Any], ts: str, edited: bool = False) -> None:
        metadata = fields.get("metadata") or {}
        state = str((metadata.get("event_payload") or {}).get("state", "firing")) if isinstance(metadata, dict) else "firing"
        state = state if state in _SLACK_STATES else "firing"
        raw = {"ts": ts, "edited": edited, **fields}
        self._inbox.add("slack", state, str(fields.get("text", "")), slack_text(fields), raw)


def slack_text(fields: dict[str, Any]) -> str:
    """Return what a reader sees: the blocks' texts in order, the plain text where there are none."""
    lines: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if isinstance(node.get("text"), str):
                lines.append(node["text"])
            for key, value in node.items():
                if key in {"text", "fields", "elements", "accessory", "blocks", "title"}:
                    walk(value)
        elif isinstance(node, list):
            for entry in node:
                walk(entry)

    walk(fields.get("blocks") or [])
    walk(fields.get("attachments") or [])
    return "\n".join(lines) or str(fields.get("text", ""))


_SEVERITIES = {"critical", "error", "warning", "info"}
_ACTIONS = {"trigger": "firing", "acknowledge": "acknowledged", "resolve": "resolved"}


class PagerDuty:
    """PagerDuty's `POST /v2/enqueue`."""

    def __init__(self, inbox: Inbox, routing_key: str) -> None:
        self._inbox, self._key = inbox, routing_key
        self._limit = RateLimit(120, 60.0)
        self._open: dict[str, str] = {}

    def enqueue(self, body: bytes) -> Reply:
        """Answer one event."""
        if len(body) > 512_000:
            return Reply(
                413, {"status": "invalid event", "message": "Event is too large", "errors": ["Size limit is 512 KB"]}
            )
        try:
            event = json.loads(body)
        except ValueError:
            return self._invalid("Unrecognized object")
        errors = self._wrong(event) if isinstance(event, dict) else ["Unrecognized object"]
        if errors:
            return self._invalid(*errors)
        if self._limit.take(self._key):
            return Reply(
                429, {"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly."}
            )
        return self._accept(event)

    @staticmethod
    def _invalid(*errors: str) -> Reply:
        return Reply(400, {"status": "invalid event", "message": "Event object is invalid", "errors": list(errors)})

    def _wrong(self, event: dict[str, Any]) -> list[str]:
        errors = []
        routing_key, action, dedup = event.get("routing_key"), event.get("event_action"), event.get("dedup_key")
        if not routing_key:
            errors.append("'routing_key' is missing or blank")
        elif routing_key != self._key:
            errors.append("Invalid routing key")
        if not action:
            errors.append("'event_action' is missing or blank")
        elif action not in _ACTIONS:
            errors.append("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')")
        if dedup is not None and (not isinstance(dedup, str) or len(dedup) > 255):
            errors.append("'dedup_key' is too long (maximum is 255 characters)")
        if action in {"acknowledge", "resolve"} and not dedup:
            errors.append("'dedup_key' is missing or blank")
        if action == "trigger":
            errors += self._wrong_payload(event.get("payload"))
        errors += ["'links' must be objects with 'href'" for link in event.get("links") or [] if not self._has(link, "href")]
        errors += [
            "'images' must be objects with 'src'" for image in event.get("images") or [] if not self._has(image, "src")
        ]
        return errors

    @staticmethod
    def _has(node: Any, key: str) -> bool:
        return isinstance(node, dict) and bool(node.get(key))

    @staticmethod
    def _wrong_payload(payload: Any) -> list[str]:
        if not isinstance(payload, dict):
            return ["'payload' is missing or blank"]
        errors = [
            f"'payload.{name}' is missing or blank" for name in ("summary", "source", "severity") if not payload.get(name)
        ]
        if len(str(payload.get("summary", ""))) > 1024:
            errors.append("'payload.summary' is too long (maximum is 1024 characters)")
        if payload.get("severity") and payload["severity"] not in _SEVERITIES:
            errors.append(
                "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')"
            )
        if payload.get("custom_details") is not None and not isinstance(payload["custom_details"], dict | str):
            errors.append("'payload.custom_details' is invalid")
        return errors

    def _accept(self, event: dict[str, Any]) -> Reply:
        dedup = str(event.get("dedup_key") or f"{time.time_ns():x}")
        action, payload = str(event["event_action"]), event.get("payload") or {}
        title = str(payload.get("summary") or self._open.get(dedup, ""))
        known = dedup in self._open
        if action == "trigger":
            self._open[dedup] = title
        elif action == "resolve":
            self._open.pop(dedup, None)
        # An acknowledge or resolve without an open alert is accepted and dropped, as PagerDuty does.
        if action == "trigger" or known:
            details = payload.get("custom_details") or {}
            text = (
                "\n".join(f"{key}: {value}" for key, value in details.items()) if isinstance(details, dict) else str(details)
            )
            self._inbox.add("pagerduty", _ACTIONS[action], title, text or title, {**event, "routing_key": "(hidden)"})
        return Reply(202, {"status": "success", "message": "Event processed", "dedup_key": dedup})
