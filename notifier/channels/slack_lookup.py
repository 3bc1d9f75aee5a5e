"""Look in Slack whether a message arrived although no answer came: by the delivery's name in its metadata.

conversations.history, conversations.replies (channels:history, groups:history for private channels) and
conversations.list (channels:read, groups:read), which is only needed where zads.toml gives the channel's
name instead of its id and the process has not posted yet (docs.slack.dev).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from notifier.model import Delivery, DeliveryError

_LOG = logging.getLogger(__name__)
_ID = re.compile(r"[CG][A-Z0-9]{8,}")
_PAGES = 20
_CLOCKS_DIFFER = 60.0  # seconds that Slack's clock may be behind ours


class Lookup:
    """Finds what the bot has posted to one channel."""

    def __init__(self, channel: str, call: Callable[..., Any]) -> None:
        self._channel, self._call = channel, call
        self._id = channel if _ID.fullmatch(channel) else None

    def learn(self, identity: str) -> None:
        """Remember the channel's id, which Slack's answer to a post tells."""
        self._id = identity

    def posted(self, delivery: Delivery) -> tuple[bool, Mapping[str, str] | None]:
        """Return whether it was possible to look, and where the delivery's message stands."""
        try:
            channel = self._id or self._find()
            if channel is None:
                return False, None
            self._id = channel
            for entry in self._pages("conversations_history", "messages", **self._since(delivery), channel=channel):
                if _names(entry, delivery):
                    return True, {"ts": str(entry["ts"]), "channel": channel}
        except DeliveryError as error:
            if not error.permanent:
                raise
            _LOG.warning("slack: the bot may not look whether a message arrived: %s", error)
            return False, None
        return True, None

    def replied(self, delivery: Delivery, channel: str, thread: str) -> bool:
        """Tell whether the delivery's reply stands in the thread."""
        try:
            entries = self._pages("conversations_replies", "messages", **self._since(delivery), channel=channel, ts=thread)
            # The thread's first message is edited and names the same delivery.
            return any(_names(entry, delivery) for entry in entries if str(entry.get("ts")) != thread)
        except DeliveryError as error:
            if not error.permanent:
                raise
            return False

    @staticmethod
    def _since(delivery: Delivery) -> dict[str, Any]:
        return {
            "oldest": f"{max(0.0, delivery.created_at - _CLOCKS_DIFFER):.6f}",
            "include_all_metadata": True,
            "limit": 200,
        }

    def _find(self) -> str | None:
        """Return the id of the channel that zads.toml names."""
        wanted = self._channel.lstrip("#")
        channels = self._pages(
            "conversations_list", "channels", types="public_channel,private_channel", exclude_archived=True, limit=1000
        )
        return next((str(entry["id"]) for entry in channels if entry.get("name") == wanted), None)

    def _pages(self, method: str, what: str, **fields: Any) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        for _ in range(_PAGES):
            answer = self._call(method, **fields, **({"cursor": cursor} if cursor else {}))
            yield from answer.get(what) or []
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return


def _names(entry: Mapping[str, Any], delivery: Delivery) -> bool:
    payload = (entry.get("metadata") or {}).get("event_payload") or {}
    return str(payload.get("delivery")) == delivery.key
