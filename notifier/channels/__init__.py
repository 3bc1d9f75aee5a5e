"""The channels: each tells one kind of provider, and says of a failure whether trying again helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from notifier.model import Delivery
from notifier.render import Message


class Channel(Protocol):
    """One kind of provider."""

    name: str

    def send(self, delivery: Delivery, message: Message) -> Mapping[str, str]:
        """Deliver; return what has to be remembered of the incident there. Raises DeliveryError."""


__all__ = ["Channel"]
