"""PagerDuty on the wire: fields that keep their meaning, a title that a repetition does not change, keys."""

from __future__ import annotations

import time
from typing import Any

import pytest

from notifier.channels.pagerduty import PagerDutyChannel
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import Renderer
from tests.unit.notifier.record import Clock
from tests.unit.notifier.site import KEY, Site, alert, free_port, wait
from zads.config import PagerDuty


def _incident(clock: Clock, state: Any = "firing", ended: float | None = None) -> Incident:
    notes = {"summary": "Kafka down on zads", "impact": "No community gets alerts.", "first": "systemctl status kafka"}
    labels = {"alertname": "ServiceDown", "headline": "KAFKA DOWN", "label": "Kafka", "service": "kafka-public"}
    return Incident(1, "f", state, "page", labels, notes, clock.now, clock.now, ended)


class _Recorded:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def send_event(self, action: str, dedup_key: str, **fields: Any) -> None:
        self.events.append({"action": action, "dedup_key": dedup_key, **fields})


def _channel() -> tuple[PagerDutyChannel, _Recorded]:
    channel, recorded = PagerDutyChannel(PagerDuty(routing_key_env="X"), KEY, "ZADS"), _Recorded()
    channel._session = recorded
    return channel, recorded


def test_what_is_said_of_the_message_does_not_take_the_place_of_the_impact() -> None:
    """A late page from memory: what, impact, first and note are four fields."""
    clock = Clock()
    channel, recorded = _channel()
    delivery = Delivery(1, _incident(clock), "pagerduty", "firing", 3, clock.now)
    clock.now += 1000
    message: Message = Renderer("http://n", clock=clock).message(delivery).noting("Sent from memory.")
    channel.send(delivery, message)
    details = recorded.events[0]["payload"]["custom_details"]
    assert details["impact"] == "No community gets alerts."
    assert details["first"] == "systemctl status kafka"
    assert "Late" in details["note"] and "from memory" in details["note"]


def test_a_second_try_has_the_title_of_the_first() -> None:
    """PagerDuty shows another title as news."""
    clock = Clock()
    channel, recorded = _channel()
    delivery = Delivery(1, _incident(clock), "pagerduty", "firing", 1, clock.now)
    for _ in range(2):
        channel.send(delivery, Renderer("http://n", clock=clock).message(delivery))
        clock.now += 60
    assert len({event["payload"]["summary"] for event in recorded.events}) == 1


def test_the_end_says_what_is_back_and_has_the_key_that_triggered() -> None:
    """Also when the incident was opened again under another startsAt."""
    clock = Clock()
    channel, recorded = _channel()
    incident = _incident(clock, "resolved", clock.now + 540)
    clock.now += 545
    delivery = Delivery(2, incident, "pagerduty", "resolved", 1, clock.now, references={"key": "zads-f-1"})
    channel.send(delivery, Renderer("http://n", clock=clock).message(delivery))
    event = recorded.events[0]
    assert (event["action"], event["dedup_key"]) == ("resolve", "zads-f-1")
    assert event["payload"]["summary"] == "Kafka back after 9 min"


def test_nobody_there_may_pass_and_may_have_arrived() -> None:
    """Connection refused: tried again; the same key makes it one incident."""
    channel = PagerDutyChannel(PagerDuty(routing_key_env="X", base_url=f"http://127.0.0.1:{free_port()}"), KEY, "ZADS")
    clock = Clock()
    delivery = Delivery(1, _incident(clock), "pagerduty", "firing", 1, clock.now)
    with pytest.raises(DeliveryError, match="ConnectionError") as caught:
        channel.send(delivery, Renderer("http://n", clock=clock).message(delivery))
    assert (caught.value.permanent, caught.value.doubtful) == (False, True)


def test_a_crash_after_pagerdutys_answer_pages_nobody_twice(quiet: Site) -> None:
    """The same key and the same title after the restart: one page."""
    quiet.start_providers()
    notifier = quiet.start()
    claim = notifier.store.sent
    notifier.store.sent = lambda delivery, *rest: None if delivery.channel == "pagerduty" else claim(delivery, *rest)  # type: ignore[method-assign]
    quiet.post(alert())
    wait(lambda: quiet.got("pagerduty", "firing"))
    quiet.stop()
    quiet.start()
    wait(lambda: quiet.notifier and "pagerduty" not in quiet.notifier.store.queue())
    time.sleep(0.2)
    assert len(quiet.got("pagerduty", "firing")) == 1
