"""The stand-in for Slack's Web API: the six methods a notifier needs, as strict as the documentation says.

Sources: docs.slack.dev (chat.postMessage, chat.update, conversations.history, .replies and .list, auth.test,
rate limits). Which error comes first when several things are wrong is not documented; here it is token,
method, scope, rate, arguments, channel, content.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from zads.stack.inbox_store import STATES, Inbox
from zads.stack.standin_http import Reply, slack_refusal
from zads.stack.standin_rates import Rate, RateLimit
from zads.stack.standin_slack_history import Conversations, Message
from zads.stack.standin_slack_message import TEXT_MOST, Refusal, decoded, readable, wrong

# "Generally one message per second per channel", short bursts are tolerated: ten in ten seconds. Tier 3 is
# "50+ per minute", tier 2 "20+ per minute". auth.test has a special limit ("hundreds of requests per minute").
SLACK_RATES: Mapping[str, Rate] = {
    "chat.postMessage": Rate(10, 10.0),
    "chat.update": Rate(50, 60.0),
    "conversations.history": Rate(50, 60.0),
    "conversations.replies": Rate(50, 60.0),
    "conversations.list": Rate(20, 60.0),
    "auth.test": Rate(300, 60.0),
}
SLACK_SCOPES: Mapping[str, str] = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.replies": "channels:history",
    "conversations.list": "channels:read",
}
# Tokens and channels with a fate, so that a test can see each error that a real workspace gives.
_TOKENS = {
    "xoxb-revoked": "token_revoked",
    "xoxb-expired": "token_expired",
    "xoxb-inactive": "account_inactive",
    "xoxa-": "not_allowed_token_type",
}
_CHANNELS = {
    "archived": "is_archived",
    "not-a-member": "not_in_channel",
    "read-only": "restricted_action_read_only_channel",
    "restricted": "restricted_action",
}
_STRINGS = (
    "channel",
    "text",
    "markdown_text",
    "ts",
    "thread_ts",
    "cursor",
    "oldest",
    "latest",
    "username",
    "parse",
    "types",
)
_TIMES = ("ts", "thread_ts", "oldest", "latest")
_NAME = re.compile(r"\w{1,64}", re.ASCII)


class Slack:
    """One workspace with one bot; `others` are channels beside the one that the notifier uses.

    `scopes` are what the bot was granted. After `edit_window` seconds a message can not be edited any more;
    None is for ever, as is Slack's default.
    """

    def __init__(
        self,
        inbox: Inbox,
        token: str,
        channel: str,
        others: Sequence[str] = (),
        *,
        rates: Mapping[str, Rate] = SLACK_RATES,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        edit_window: float | None = None,
        scopes: Collection[str] = frozenset(SLACK_SCOPES.values()),
    ) -> None:
        self._inbox, self._token, self._wall, self._edit_window, self._scopes = inbox, token, wall, edit_window, scopes
        self._channels: dict[str, str] = {}
        names: dict[str, str] = {}
        for number, name in enumerate((channel, *others), start=1):
            identity = name if re.fullmatch(r"C[A-Z0-9]{8,}", name) else f"C0ZADS{number:05d}"
            self._channels |= {name: identity, name.lstrip("#"): identity, identity: identity}
            names[identity] = name
        self._limits = {method: RateLimit(rate.count, rate.seconds, clock) for method, rate in rates.items()}
        self._conversations = Conversations(names)
        self._last, self._own = 0.0, channel
        self._methods: dict[str, Callable[[dict[str, Any]], Reply]] = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.list": self._conversations.listing,
        }
        for message in inbox.all():
            self._restore(message)

    def _restore(self, message: dict[str, Any]) -> None:
        """Take a message of the last run back into its channel, so that it can still be edited and read."""
        raw = message["raw"]
        if message["channel"] != "slack" or not isinstance(raw, dict):
            return
        edited = bool(raw.get("edited"))
        channel, ts = self._channels.get(str(raw.get("channel"))), str(raw.get("ts"))
        arguments = self._arguments(raw)
        content = arguments if isinstance(arguments, Reply) else self._content(arguments, update=edited)
        if channel and re.fullmatch(r"\d{1,12}\.\d{6}", ts) and isinstance(content, dict):
            self._conversations.put(channel, ts, content, edited=edited)
            self._last = max(self._last, float(ts))

    def call(self, method: str, token: str, fields: dict[str, Any]) -> Reply:
        """Answer one method call."""
        refusal = self._refuse_token(token)
        if refusal:
            return refusal
        handler = self._methods.get(method)
        if handler is None:
            return slack_refusal("unknown_method", req_method=method)
        scope = SLACK_SCOPES.get(method)
        if scope and scope not in self._scopes:
            return slack_refusal("missing_scope", needed=scope, provided=",".join(sorted(self._scopes)))
        name = fields.get("channel")
        channel = self._channels.get(name, "") if isinstance(name, str) else ""
        if method in self._limits:
            wait = self._limits[method].take(channel if method == "chat.postMessage" else "")
            if wait:
                return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(max(1, math.ceil(wait)))})
        arguments = self._arguments(fields)
        return arguments if isinstance(arguments, Reply) else handler(arguments)

    def hooked(self, fields: dict[str, Any]) -> Reply:
        """Post what came to the incoming webhook, whose channel is the notifier's whatever the fields say."""
        wait = self._limits["chat.postMessage"].take(self._channels[self._own])
        if wait:
            return Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": str(max(1, math.ceil(wait)))})
        arguments = self._arguments({**fields, "channel": self._own})
        return arguments if isinstance(arguments, Reply) else self._post(arguments)

    def _refuse_token(self, token: str) -> Reply | None:
        if not token:
            return slack_refusal("not_authed")
        if token == self._token:
            return None
        fate = next((error for start, error in _TOKENS.items() if token.startswith(start)), "invalid_auth")
        return slack_refusal(fate)

    @staticmethod
    def _arguments(fields: dict[str, Any]) -> dict[str, Any] | Reply:
        """Return the arguments, those that are text as text; refuse other kinds of values there."""
        out = {name: value for name, value in fields.items() if value is not None}
        for name in out:
            if name.endswith("]"):  # foo[7]
                return slack_refusal("invalid_array_arg")
            if not _NAME.fullmatch(name):
                return slack_refusal("invalid_arg_name")
        for name in _STRINGS:
            value = out.get(name)
            if name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool):
                out[name] = value = str(value)
            if isinstance(value, list):
                return slack_refusal("invalid_array_arg")
            if value is not None and not isinstance(value, str):
                return slack_refusal("invalid_arguments", (f"must be a string [json-pointer:/{name}]",))
        return out

    def _auth_test(self, _fields: dict[str, Any]) -> Reply:
        who = {"team": "ZADS stand-in", "team_id": "T0ZADS00001", "user": "zads", "user_id": "U0ZADS00001"}
        return Reply(200, {"ok": True, "url": "https://zads.example.org/", **who, "bot_id": "B0ZADS00001"})

    def _channel(self, fields: dict[str, Any], *, named: bool = False) -> str | Reply:
        """Return the channel's id; only chat.postMessage takes a name."""
        name = fields.get("channel", "")
        channel = self._channels.get(name)
        if channel is not None and (named or channel == name):
            return channel
        fate = next((error for word, error in _CHANNELS.items() if name.lstrip("#").lower().startswith(word)), None)
        return slack_refusal(fate if fate and named and channel is None else "channel_not_found")

    def _content(self, fields: dict[str, Any], *, update: bool = False) -> dict[str, Any] | Reply:
        content = decoded(fields)
        refusal = content if isinstance(content, Refusal) else wrong(content, update=update)
        if refusal is not None:
            return slack_refusal(refusal.error, refusal.messages)
        assert isinstance(content, dict)
        return content

    def _post(self, fields: dict[str, Any]) -> Reply:
        channel = self._channel(fields, named=True)
        if isinstance(channel, Reply):
            return channel
        content = self._content(fields)
        if isinstance(content, Reply):
            return content
        thread = content.get("thread_ts")
        if thread and self._conversations.get(channel, thread) is None:
            return slack_refusal("cannot_reply_to_message")
        body: dict[str, Any] = {}
        if len(content.get("text", "")) > TEXT_MOST:
            content["text"] = content["text"][:TEXT_MOST]
            words = "[WARN] Your message was truncated but still posted. The `text` field accepts up to 40,000 characters."
            body["warning"] = "message_truncated"
            body["response_metadata"] = {"messages": [words], "warnings": ["message_truncated"]}
        ts = self._next_ts()
        message = self._conversations.put(channel, ts, content, edited=False)
        self._keep(content, message, edited=False)
        return Reply(200, {"ok": True, "channel": channel, "ts": ts, "message": message, **body})

    def _next_ts(self) -> str:
        """Return the time as Slack's identity of a message, never twice the same."""
        self._last = max(self._wall(), self._last + 0.000_01)
        return f"{self._last:.6f}"

    def _update(self, fields: dict[str, Any]) -> Reply:
        channel = self._channel(fields)
        if isinstance(channel, Reply):
            return channel
        if not fields.get("ts"):
            return slack_refusal("invalid_arguments", ("missing required field: ts",))
        content = self._content(fields, update=True)
        if isinstance(content, Reply):
            return content
        ts = str(content["ts"])
        old = self._conversations.get(channel, ts)
        if old is None:
            return slack_refusal("message_not_found")
        if self._edit_window is not None and self._wall() - float(ts) > self._edit_window:
            return slack_refusal("edit_window_closed")
        if _is_rich(old) and content.get("blocks") and not _is_rich(content):
            return slack_refusal("block_mismatch")
        message = self._conversations.put(channel, ts, content, edited=True)
        self._keep(content, message, edited=True)
        return Reply(200, {"ok": True, "channel": channel, "ts": ts, "text": message["text"], "message": message})

    def _history(self, fields: dict[str, Any]) -> Reply:
        channel = self._channel(fields)
        return channel if isinstance(channel, Reply) else self._conversations.history(channel, fields)

    def _replies(self, fields: dict[str, Any]) -> Reply:
        channel = self._channel(fields)
        return channel if isinstance(channel, Reply) else self._conversations.replies(channel, fields)

    def _keep(self, content: dict[str, Any], message: Message, *, edited: bool) -> None:
        """Record the message as its reader sees it now; the metadata that the notifier attaches names the state."""
        state = message.get("metadata", {"event_payload": {}})["event_payload"].get("state")
        text = readable(message)
        title = message["text"] or text.partition("\n")[0]
        raw = {**content, "ts": message["ts"], "edited": edited}
        self._inbox.add("slack", state if state in STATES else "firing", title, text, raw)


def _is_rich(content: dict[str, Any]) -> bool:
    return any(block["type"] == "rich_text" for block in content.get("blocks") or [])
