"""Slack: one message per incident, edited in place; what must be noticed also as a reply, since an edit notifies nobody.

A reply notifies who follows the thread; a page that fires again or that nobody acknowledges is also shown to
the channel. Web API: chat.postMessage, chat.update (docs.slack.dev). The library's own hidden retries are
off: whether to send again is decided by the queue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from notifier.channels.network import trouble
from notifier.channels.slack_content import blocks, plain, short
from notifier.channels.slack_lookup import Lookup
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt, retry_after
from zads.config import Slack

_TIMEOUT = 10
# What passes by itself; every other error name stays until somebody changes something.
_TRANSIENT = {
    *("ratelimited", "rate_limited", "service_unavailable", "update_failed", "team_added_to_org"),
    *("external_channel_migrating", "streaming_state_conflict"),
}
# Slack failed at its own end: the message may be there all the same.
_AMBIGUOUS = {"internal_error", "fatal_error", "request_timeout"}
# The message cannot be edited, or its channel is not there any more: a new message in the channel of today tells it.
_CANNOT_EDIT = {
    *("cant_update_message", "edit_window_closed", "message_not_found", "is_inactive", "block_mismatch"),
    *("channel_not_found", "is_archived", "team_not_found"),
}
_NO_THREAD = {
    *("thread_not_found", "cannot_reply_to_message", "message_not_found", "thread_locked"),
    *("restricted_action_thread_locked", "restricted_action_non_threadable_channel"),
    *("channel_not_found", "is_archived", "is_inactive"),
}
# What Slack does not take of the message's form.
_FORM = {
    *("invalid_blocks", "msg_blocks_too_long", "invalid_blocks_format", "msg_too_long", "invalid_arguments"),
    *("invalid_attachments", "too_many_attachments", "no_text", "markdown_text_conflict"),
    *("invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "metadata_must_be_sent_from_app"),
}
_PERHAPS = "Perhaps a repeat: Slack did not confirm the first try, and the bot may not look whether it arrived."


class SlackChannel:
    """Post to one channel with a bot token."""

    name = "slack"

    def __init__(self, settings: Slack, token: str, *, timeout: int = _TIMEOUT) -> None:
        self._channel = settings.channel
        self._client = WebClient(token, base_url=settings.base_url, timeout=timeout, retry_handlers=[])
        self._lookup = Lookup(settings.channel, self._call)

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Post, edit or reply."""
        ts, channel = delivery.references.get("ts"), delivery.references.get("channel", self._channel)
        if ts is None:
            return self._first(delivery, message)
        if delivery.kind != "reminder":
            try:
                self._say("chat_update", delivery, message, channel=channel, ts=ts)
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
        answer = self._say("chat_postMessage", delivery, message, channel=channel, unfurl_links=False, **thread)
        posted = {name: str(answer[name]) for name in ("ts", "channel") if answer.get(name)}
        if "channel" in posted:
            self._lookup.learn(posted["channel"])
        # Without both it cannot be edited: what follows is a message of its own.
        return posted if len(posted) == 2 else {}

    def _say(self, method: str, delivery: Delivery, message: Message, **fields: Any) -> Any:
        """Post or edit; a page is never dropped for its looks: once more as plain text, then its title alone."""
        metadata = {
            "event_type": "zads_incident",
            "event_payload": {"state": message.state, "incident": delivery.incident.id, "delivery": delivery.key},
        }
        forms: tuple[dict[str, Any], ...] = (
            {"text": short(message), "blocks": blocks(message), "metadata": metadata},
            {"text": plain(message), "blocks": [], "metadata": metadata},
            {"text": short(message), "blocks": []},
        )
        for form in forms[:-1]:
            try:
                return self._call(method, **fields, **form)
            except DeliveryError as error:
                if str(error) not in _FORM:
                    raise
        return self._call(method, **fields, **forms[-1])

    def _call(self, method: str, **fields: Any) -> Any:
        try:
            answer = getattr(self._client, method)(**fields)
            answer.get("ok")  # JSON that is no object has none
        except SlackApiError as error:
            raise self._refusal(error) from None
        except (SlackClientError, OSError, HTTPException) as error:
            words, doubtful = trouble(error, "slack")
            raise DeliveryError(words, doubtful=doubtful) from None
        except (AttributeError, TypeError, ValueError, json.JSONDecodeError):
            # The library trips over what is no JSON object; so do its own checks.
            raise DeliveryError("no answer of Slack's: it is no JSON object", doubtful=True) from None
        return answer

    @staticmethod
    def _refusal(error: SlackApiError) -> DeliveryError:
        response: Any = error.response
        status = int(getattr(response, "status_code", 200) or 200)
        try:
            name = str(response.get("error") or "it names no error")
        except (AttributeError, ValueError):
            name = str(getattr(response, "data", "")) or f"HTTP {status}"
        headers = {key.lower(): value for key, value in (getattr(response, "headers", None) or {}).items()}
        wait = retry_after(headers.get("retry-after"))
        ambiguous = status >= 500 or name in _AMBIGUOUS
        if status == 429 or name in _TRANSIENT or ambiguous:
            return DeliveryError(name[:200], retry_after=wait, doubtful=ambiguous)
        # Slack names its errors in one word; a sentence or a page is from somebody in between (a proxy) and passes.
        if not name.isidentifier():
            return DeliveryError(f"no answer of Slack's: {name[:200]}", doubtful=True)
        return DeliveryError(name, permanent=True)
