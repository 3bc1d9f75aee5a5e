"""The channels: each tells one kind of provider, and says of a failure whether trying again helps."""

from __future__ import annotations

from typing import Protocol

from notifier.message import Message
from notifier.model import Delivery, Receipt


class Channel(Protocol):
    """One kind of provider."""

    name: str

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Deliver; say what has to be remembered and who missed it. Raises DeliveryError when nobody took it."""


__all__ = ["Channel"]
