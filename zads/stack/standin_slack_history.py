"""Slack's conversations: the messages of each channel, and how conversations.history, .replies and .list read them.

Sources: docs.slack.dev (conversations.history, conversations.replies, conversations.list, pagination).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from zads.stack.standin_http import Reply, decode, slack_refusal

_TS = re.compile(r"\d{1,12}(\.\d{1,9})?")
_HISTORY_DEFAULT, _HISTORY_MOST = 100, 999
_REPLIES_DEFAULT, _REPLIES_MOST = 1000, 1000
_LIST_DEFAULT, _LIST_MOST = 100, 1000
_CURSOR = "next:"
_LIMIT = re.compile(r"[1-9]\d{0,5}")
_TYPES = {"public_channel", "private_channel", "mpim", "im"}
Message = dict[str, Any]


class Conversations:
    """Messages by channel and ts, as Slack would return them."""

    def __init__(self, names: Mapping[str, str]) -> None:
        """Take the public channels: id to name."""
        self._names = names
        self._channels: dict[str, dict[str, Message]] = {channel: {} for channel in names}

    def get(self, channel: str, ts: str) -> Message | None:
        """Return a message."""
        return self._channels[channel].get(ts)

    def put(self, channel: str, ts: str, fields: dict[str, Any], *, edited: bool) -> Message:
        """Post or edit; what an edit does not name stays, what it names as empty goes."""
        base: Message = {"type": "message", "subtype": "bot_message", "bot_id": "B0ZADS00001", "ts": ts, "text": ""}
        message = dict(self._channels[channel].get(ts, base)) if edited else base
        for name in ("text", "blocks", "attachments", "metadata"):
            if fields.get(name):
                message[name] = fields[name]
            elif name in fields and name != "text":
                message.pop(name, None)
        if fields.get("markdown_text"):
            message["text"] = fields["markdown_text"]
        if edited:
            message["edited"] = {"user": "U0ZADS00001", "ts": ts}
        elif fields.get("thread_ts"):
            parent = self._channels[channel].get(str(fields["thread_ts"]))
            # "Avoid using a reply's ts; use its parent instead": a reply to a reply is one to the parent.
            message["thread_ts"] = parent.get("thread_ts", parent["ts"]) if parent else str(fields["thread_ts"])
            if is_true(fields.get("reply_broadcast")):
                message["subtype"] = "thread_broadcast"
        self._channels[channel][ts] = message
        return message

    def history(self, channel: str, fields: dict[str, Any]) -> Reply:
        """Return a channel's messages, newest first, without the replies in its threads."""
        found = [
            message
            for message in self._channels[channel].values()
            if "thread_ts" not in message or message["subtype"] == "thread_broadcast"
        ]
        found.sort(key=lambda message: Decimal(message["ts"]), reverse=True)
        return self._page(channel, found, fields, _HISTORY_DEFAULT, _HISTORY_MOST)

    def replies(self, channel: str, fields: dict[str, Any]) -> Reply:
        """Return a thread: its parent, then its replies, oldest first."""
        asked = self._channels[channel].get(str(fields.get("ts", "")))
        if asked is None:
            return slack_refusal("thread_not_found")
        root = asked.get("thread_ts", asked["ts"])
        found = [
            message for message in self._channels[channel].values() if root in (message["ts"], message.get("thread_ts"))
        ]
        found.sort(key=lambda message: Decimal(message["ts"]))
        return self._page(channel, found, fields, _REPLIES_DEFAULT, _REPLIES_MOST)

    def _page(self, channel: str, found: list[Message], fields: dict[str, Any], default: int, most: int) -> Reply:
        window: dict[str, Decimal] = {}
        for name in ("oldest", "latest"):
            text = str(fields.get(name) or "")
            if text and not _TS.fullmatch(text):
                return slack_refusal(f"invalid_ts_{name}")
            if text:
                window[name] = Decimal(text)
        inclusive = is_true(fields.get("inclusive"))
        kept = [message for message in found if _inside(Decimal(message["ts"]), window, inclusive)]
        limit = str(fields.get("limit") or default)
        if not _LIMIT.fullmatch(limit):
            return slack_refusal("invalid_arguments", (f"limit must be between 1 and {most} [json-pointer:/limit]",))
        page = _cut(kept, "ts", fields, min(int(limit), most))
        if page is None:
            return slack_refusal("invalid_cursor")
        only = _metadata_kinds(fields.get("metadata_keys_to_include"))
        if only is None:
            return slack_refusal("invalid_metadata_filter_keys")
        everything = is_true(fields.get("include_all_metadata"))
        shown = [self._shown(channel, message, everything, only) for message in page[0]]
        body: dict[str, Any] = {"ok": True, "messages": shown, "has_more": bool(page[1])}
        if "latest" in window:
            body["latest"] = str(fields["latest"])
        if page[1]:
            body["response_metadata"] = {"next_cursor": page[1]}
        return Reply(200, body)

    def listing(self, fields: dict[str, Any]) -> Reply:
        """Return the channels that the bot may see; all of ours are public and it is in each of them."""
        kinds = {kind.strip() for kind in str(fields.get("types") or "public_channel").split(",")}
        if not kinds <= _TYPES:
            return slack_refusal("invalid_types")
        limit = str(fields.get("limit") or _LIST_DEFAULT)
        if not _LIMIT.fullmatch(limit) or int(limit) > _LIST_MOST:
            return slack_refusal("invalid_limit")
        flags = {"is_channel": True, "is_private": False, "is_archived": False, "is_member": True}
        channels = [{"id": identity, "name": name.lstrip("#"), **flags} for identity, name in self._names.items()]
        page = _cut(channels if "public_channel" in kinds else [], "id", fields, int(limit))
        if page is None:
            return slack_refusal("invalid_cursor")
        return Reply(200, {"ok": True, "channels": page[0], "response_metadata": {"next_cursor": page[1]}})

    def _shown(self, channel: str, message: Message, everything: bool, only: list[str]) -> Message:
        """Return a message as a reader gets it: metadata only when asked for, a parent with its replies' number."""
        shown = dict(message)
        if not everything and shown.get("metadata", {}).get("event_type") not in only:
            shown.pop("metadata", None)
        answers = [m["ts"] for m in self._channels[channel].values() if m.get("thread_ts") == message["ts"]]
        if answers:
            shown |= {"thread_ts": message["ts"], "reply_count": len(answers), "latest_reply": max(answers, key=Decimal)}
        return shown


def is_true(value: Any) -> bool:
    """Return whether a flag is set, which forms send as text."""
    return value is True or (isinstance(value, int | str) and str(value).lower() in {"1", "true"})


def _inside(ts: Decimal, window: dict[str, Decimal], inclusive: bool) -> bool:
    oldest, latest = window.get("oldest"), window.get("latest")
    if inclusive and ts in (oldest, latest):
        return True
    return (oldest is None or ts > oldest) and (latest is None or ts < latest)


def _cut(found: list[Message], identity: str, fields: dict[str, Any], count: int) -> tuple[list[Message], str] | None:
    """Return the page that the cursor asks for and the next one's cursor, None for a cursor that is none."""
    if fields.get("cursor"):
        try:
            text = base64.b64decode(str(fields["cursor"]).encode("ascii"), validate=True).decode("ascii")
        except ValueError:
            return None
        start = next((number for number, entry in enumerate(found) if f"{_CURSOR}{entry[identity]}" == text), None)
        if start is None:
            return None
        found = found[start:]
    rest = found[count:]
    return found[:count], base64.b64encode(f"{_CURSOR}{rest[0][identity]}".encode()).decode() if rest else ""


def _metadata_kinds(value: Any) -> list[str] | None:
    """Return the kinds of metadata asked for, None when the list is not one."""
    if value is None or value == "":
        return []
    try:
        kinds = decode(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return kinds if isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds) else None
