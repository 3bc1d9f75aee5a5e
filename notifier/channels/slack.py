"""Slack: one message per incident, edited in place; what must be noticed also as a reply, since an edit notifies nobody.

A reply notifies who follows the thread; a page that fires again or that nobody acknowledges is also shown to
the channel. Web API: chat.postMessage, chat.update (docs.slack.dev). The library's own hidden retries are
off: whether to send again is decided by the queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from notifier.channels.slack_lookup import Lookup
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt, retry_after
from zads.config import Slack

_TIMEOUT = 10
_SECTION_MOST = 2900
# What passes by itself; every other error name stays until somebody changes something.
_TRANSIENT = {"ratelimited", "rate_limited", "service_unavailable", "update_failed", "team_added_to_org"}
# Slack failed at its own end: the message may be there all the same.
_AMBIGUOUS = {"internal_error", "fatal_error", "request_timeout"}
_CANNOT_EDIT = {"cant_update_message", "edit_window_closed", "message_not_found", "is_inactive", "block_mismatch"}
_NO_THREAD = {
    "thread_not_found",
    "cannot_reply_to_message",
    "message_not_found",
    "thread_locked",
    "restricted_action_thread_locked",
}
_TOO_MUCH = {"invalid_blocks", "msg_blocks_too_long", "invalid_blocks_format", "msg_too_long"}
_SIGNS = {"firing": ":red_circle:", "acknowledged": ":large_yellow_circle:", "resolved": ":large_green_circle:"}
_TICKET = ":large_orange_circle:"
_PERHAPS = "Perhaps a repeat: Slack did not confirm the first try, and the bot may not look whether it arrived."


def escape(text: str) -> str:
    """Escape Slack's three special characters, so that a label can neither mention nor link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class SlackChannel:
    """Post to one channel with a bot token."""

    name = "slack"

    def __init__(self, settings: Slack, token: str) -> None:
        self._channel = settings.channel
        self._client = WebClient(token, base_url=settings.base_url, timeout=_TIMEOUT, retry_handlers=[])
        self._lookup = Lookup(settings.channel, self._call)

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Post, edit or reply."""
        ts, channel = delivery.references.get("ts"), delivery.references.get("channel", self._channel)
        if ts is None:
            return self._first(delivery, message)
        if delivery.kind != "reminder":
            try:
                self._call("chat_update", channel=channel, ts=ts, **self._content(delivery, message))
            except DeliveryError as error:
                if str(error) not in _CANNOT_EDIT:
                    raise
                return self._first(delivery, message)
        if delivery.kind == "acknowledged" or (delivery.doubtful and self._lookup.replied(delivery, channel, ts)):
            return Receipt()
        broadcast = delivery.kind in {"firing", "reminder"} and delivery.incident.severity == "page"
        try:
            self._post(delivery, message, channel, thread_ts=ts, reply_broadcast=broadcast)
        except DeliveryError as error:
            if str(error) not in _NO_THREAD:
                raise
            return self._first(delivery, message)
        return Receipt()

    def _first(self, delivery: Delivery, message: Message) -> Receipt:
        """Post a message of its own, unless an earlier try did although no answer came back."""
        if delivery.doubtful:
            looked, known = self._lookup.posted(delivery)
            if known:
                return Receipt(known)
            if not looked:
                message = message.noting(_PERHAPS)
        return Receipt(self._post(delivery, message, self._channel))

    def _post(self, delivery: Delivery, message: Message, channel: str, **thread: Any) -> Mapping[str, str]:
        answer = self._call("chat_postMessage", channel=channel, **self._content(delivery, message), **thread)
        self._lookup.learn(str(answer["channel"]))
        return {"ts": str(answer["ts"]), "channel": str(answer["channel"])}

    def _content(self, delivery: Delivery, message: Message) -> dict[str, Any]:
        sign = _TICKET if message.state == "firing" and message.severity != "page" else _SIGNS[message.state]
        head = f"{sign} *{message.tag}* {escape(message.title)}"
        body = [escape(line) for line in message.what]
        body += [escape(message.impact)] if message.impact else []
        body += [f"*First:* {escape(message.first)}"] if message.first else []
        body += [f"_{escape(note)}_" for note in message.notes]
        # Addresses hold nothing that ends a link (links.safe); an ampersand is escaped there too.
        links = " · ".join(f"<{escape(url)}|{escape(name)}>" for name, url in message.links)
        texts = [head, "\n".join(body)[:_SECTION_MOST] or " ", links]
        return {
            "text": escape(message.title),
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in texts],
            "metadata": {
                "event_type": "zads_incident",
                "event_payload": {"state": message.state, "incident": delivery.incident.id, "delivery": delivery.key},
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
        ambiguous = status >= 500 or name in _AMBIGUOUS
        if status == 429 or name in _TRANSIENT or ambiguous:
            return DeliveryError(name[:200], retry_after=wait, doubtful=ambiguous)
        # Slack names its errors in one word; a sentence or a page is from somebody in between (a proxy) and passes.
        if not name.isidentifier():
            return DeliveryError(f"no answer of Slack's: {name[:200]}", doubtful=True)
        return DeliveryError(name, permanent=True)
