"""Slack: one message per incident, edited in place; its end also as a reply, since an edit notifies nobody.

Web API: chat.postMessage, chat.update, conversations.history (docs.slack.dev). The library's own hidden
retries are off: whether to send again is decided by the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from notifier.model import Delivery, DeliveryError, retry_after
from notifier.render import Message
from zads.config import Slack

_TIMEOUT = 10
_SECTION_MOST = 2900
# What passes by itself; every other error name stays until somebody changes something.
_TRANSIENT = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
_CANNOT_EDIT = {"cant_update_message", "edit_window_closed", "message_not_found", "is_inactive"}
_TOO_MUCH = {"invalid_blocks", "msg_blocks_too_long", "invalid_blocks_format", "msg_too_long"}
_WORDS = {"firing": "FIRING", "acknowledged": "ACKNOWLEDGED", "resolved": "RESOLVED"}
_SIGNS = {"firing": ":red_circle:", "acknowledged": ":large_yellow_circle:", "resolved": ":large_green_circle:"}


def escape(text: str) -> str:
    """Escape Slack's three special characters, so that a label can neither mention nor link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class SlackChannel:
    """Post to one channel with a bot token."""

    name = "slack"

    def __init__(self, settings: Slack, token: str) -> None:
        self._channel = settings.channel
        self._channel_id: str | None = None  # told by an answer; history wants the id, not the name
        self._client = WebClient(token, base_url=settings.base_url, timeout=_TIMEOUT, retry_handlers=[])

    def send(self, delivery: Delivery, message: Message) -> Mapping[str, str]:
        """Post, edit or reply."""
        ts, channel = delivery.references.get("ts"), delivery.references.get("channel", self._channel)
        if ts is None:
            known = self._posted(delivery) if delivery.doubtful else None
            return known or self._post(delivery, message, self._channel)
        if delivery.kind == "reminder":
            self._post(delivery, message, channel, thread=ts)
            return {}
        try:
            self._call("chat_update", channel=channel, ts=ts, **self._content(delivery, message))
        except DeliveryError as error:
            if str(error) not in _CANNOT_EDIT:
                raise
            return self._post(delivery, message, self._channel)
        if delivery.kind in {"resolved", "firing"}:
            self._post(delivery, message, channel, thread=ts)
        return {}

    def _posted(self, delivery: Delivery) -> Mapping[str, str] | None:
        """Look whether an earlier try reached Slack although no answer came back."""
        channel = self._channel_id
        if channel is None:
            return None
        try:
            answer = self._call("conversations_history", channel=channel, limit=50, include_all_metadata=True)
        except DeliveryError as error:
            if not error.permanent:
                raise
            return None  # the bot may not read history: rather twice than never
        for entry in answer.get("messages") or []:
            payload = (entry.get("metadata") or {}).get("event_payload") or {}
            if str(payload.get("delivery")) == str(delivery.id):
                return {"ts": str(entry["ts"]), "channel": channel}
        return None

    def _post(self, delivery: Delivery, message: Message, channel: str, thread: str | None = None) -> Mapping[str, str]:
        extra: dict[str, Any] = {"thread_ts": thread} if thread else {}
        if thread and delivery.kind == "resolved":
            extra["reply_broadcast"] = False
        answer = self._call("chat_postMessage", channel=channel, **self._content(delivery, message), **extra)
        self._channel_id = str(answer["channel"])
        return {} if thread else {"ts": str(answer["ts"]), "channel": self._channel_id}

    def _content(self, delivery: Delivery, message: Message) -> dict[str, Any]:
        links = " · ".join(f"<{url}|{escape(name)}>" for name, url in message.links)
        body = "\n".join(escape(line) for line in message.lines)[:_SECTION_MOST]
        head = f"{_SIGNS[message.state]} *{_WORDS[message.state]}* {escape(message.title)}"
        texts = [head, body or " ", links[:_SECTION_MOST]]
        return {
            "text": escape(message.title),
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts],
            "metadata": {
                "event_type": "zads_incident",
                "event_payload": {"state": message.state, "incident": delivery.incident.id, "delivery": str(delivery.id)},
            },
            "unfurl_links": False,
        }

    def _call(self, method: str, **fields: Any) -> Any:
        if method == "chat_update":
            fields.pop("unfurl_links", None)
        try:
            return getattr(self._client, method)(**fields)
        except SlackApiError as error:
            refusal = self._refusal(error)
        except (SlackClientError, OSError) as error:
            raise DeliveryError(f"slack: {error}", doubtful=True) from None
        if str(refusal) in _TOO_MUCH and fields.get("blocks"):
            # Never drop a page for its looks: once more as plain text.
            return self._call(method, **{**fields, "blocks": [], "text": str(fields["text"])[:3000]})
        raise refusal

    @staticmethod
    def _refusal(error: SlackApiError) -> DeliveryError:
        response: Any = error.response
        status = int(getattr(response, "status_code", 200) or 200)
        name = str(response.get("error", "unknown"))
        headers = {key.lower(): value for key, value in (getattr(response, "headers", None) or {}).items()}
        wait = retry_after(headers.get("retry-after"))
        if status == 429 or name in _TRANSIENT or status >= 500:
            return DeliveryError(name[:200], retry_after=wait, doubtful=status >= 500)
        # Slack names its errors in one word; a sentence or a page is from somebody in between (a proxy) and passes.
        if not name.isidentifier():
            return DeliveryError(f"no answer of Slack's: {name[:200]}", doubtful=True)
        return DeliveryError(name, permanent=True)
