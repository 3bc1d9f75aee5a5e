"""Slack by an incoming webhook's address: for a workspace that grants no bot.

The limits of this way: Slack tells no id of what was posted, so that nothing can be edited, answered in a thread
or looked up. The acknowledgement and the end are messages of their own, and a repetition after a try without an
answer says that it may be one. The address is the secret. Source: docs.slack.dev (incoming webhooks).
"""

from __future__ import annotations

import json
from typing import Any

from notifier.channels.post import TIMEOUT, Answer, post
from notifier.channels.slack_content import blocks, plain, short
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt

_PERHAPS = "Perhaps a repeat: Slack did not confirm the first try, and an incoming webhook cannot be looked into."


class SlackHookChannel:
    """Post to one channel by a secret address."""

    name = "slack"

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        self._url, self._timeout = url, timeout

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Post a message of its own."""
        if delivery.doubtful:
            message = message.noting(_PERHAPS)
        answer = self._post({"text": short(message), "blocks": blocks(message), "unfurl_links": False})
        if answer.status == 400:
            # Never drop a page for its looks: once more as plain text.
            answer = self._post({"text": plain(message), "unfurl_links": False})
        if not answer.accepted:
            name = answer.text.strip()
            raise answer.error(name if name.isidentifier() else "")
        if answer.text.strip() != "ok":
            # Somebody in between answers (a proxy, a hotel's network): it passes.
            raise DeliveryError(f"{answer.host}: no answer of Slack's", doubtful=True)
        return Receipt()

    def _post(self, fields: dict[str, Any]) -> Answer:
        return post(self._url, json.dumps(fields).encode(), {}, timeout=self._timeout, read_all=True)
