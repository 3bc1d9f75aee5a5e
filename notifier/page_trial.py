"""A test message by one channel: sent now, past the queue, and what came of it in words."""

from __future__ import annotations

import logging
import time

from notifier.channels import Channel
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import Renderer
from notifier.words import channel as spoken_name

_LOG = logging.getLogger(__name__)


def send_test(channel: Channel, renderer: Renderer, now: float | None = None) -> tuple[bool, str]:
    """Send it; return whether everybody got it, and the words for who asked."""
    at = time.time() if now is None else now
    notes = {
        "summary": "Test from ZADS Monitor: nothing is wrong",
        "effect": "nothing to do",
        "impact": "None.",
        "first": "Nothing: you can read this, so it works.",
    }
    labels = {"alertname": "Test", "headline": "TEST MESSAGE"}
    incident = Incident(0, "test", "firing", "info", labels, notes, at, at)
    delivery = Delivery(int(at), incident, channel.name, "firing", 1, at)
    name = spoken_name(channel.name)
    try:
        receipt = channel.send(delivery, renderer.message(delivery))
        if channel.name == "pagerduty":
            # An alert that stays open there would page again, or hide the next test.
            end = Delivery(int(at), incident, channel.name, "resolved", 1, at, references=receipt.references)
            channel.send(end, renderer.message(end))
    except DeliveryError as error:
        return False, f"The test message by {name} did not arrive: {error}"
    except Exception as error:  # the edge of the channel's and the renderer's code
        _LOG.exception("the test message by %s failed in a way it should not", channel.name)
        return False, f"The test message by {name} did not arrive: {type(error).__name__}"
    if receipt.missed:
        missed = "; ".join(f"{recipient}: {reason}" for recipient, reason in receipt.missed.items())
        return False, f"The test message by {name} did not reach everybody: {missed}"
    return (
        True,
        f"{name[:1].upper()}{name[1:]} accepted the test message{' and its end' if channel.name == 'pagerduty' else ''}.",
    )
