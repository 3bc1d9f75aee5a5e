"""A record with a clock that the test moves, and alerts in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from notifier.model import Alert, Delivery, Receipt
from notifier.plan import Audience, Plan, Step
from notifier.store import Store

ROUTES = {"page": ("pagerduty", "slack", "email"), "ticket": ("email", "slack")}


def planned(_labels: Mapping[str, str], severity: str, _now: float) -> Plan:
    """Tell all of a severity's channels at once."""
    audience = tuple(Audience(channel) for channel in ROUTES.get(severity, ()))
    return Plan(severity, (Step(0.0, audience),) if audience else ())


class Clock:
    """Time as the test sets it."""

    def __init__(self, now: float = 1_775_030_400.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def make_store(folder: Path, clock: Clock, **words: Any) -> Store:
    store = Store(folder / "n.sqlite3", words.pop("plan", planned), clock=clock, **words)
    if words.get("owner", True):
        store.own()
    return store


def firing(
    at: float,
    mark: str = "f",
    *,
    severity: str = "page",
    source: str = "http://am",
    labels: dict[str, str] | None = None,
    **notes: str,
) -> Alert:
    content = {
        "alertname": "ServiceDown",
        "severity": severity,
        "headline": "KAFKA DOWN",
        "service": "kafka-public",
        "label": "Kafka",
    }
    return Alert(mark, "firing", at, None, content | (labels or {}), {"summary": f"Kafka down {mark}", **notes}, source)


def resolved(began: float, ended: float, mark: str = "f") -> Alert:
    one = firing(began, mark)
    return Alert(mark, "resolved", began, ended, one.labels, one.annotations, one.source)


def drain(store: Store, channel: str) -> list[Delivery]:
    """Send all that is due on a channel, and return it in its order."""
    found: list[Delivery] = []
    while delivery := store.claim(channel):
        store.sent(delivery, Receipt())
        found.append(delivery)
    return found


def rows(store: Store, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in store._read(query)]


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()
