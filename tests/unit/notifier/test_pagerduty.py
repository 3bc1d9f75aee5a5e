"""PagerDuty on the wire: fields that keep their meaning, a title that a repetition does not change, keys, every answer."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from notifier.channels.pagerduty import PagerDutyChannel
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Incident, Receipt
from notifier.render import Renderer
from tests.unit.notifier.record import Clock
from tests.unit.notifier.site import KEY, Site, alert, free_port, wait
from tests.unit.notifier.wire import CUT, GARBAGE, SLOW, serving
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


def _wired(url: str, **words: Any) -> PagerDutyChannel:
    return PagerDutyChannel(PagerDuty(routing_key_env="X", base_url=url), KEY, "ZADS", **words)


def _trigger(channel: PagerDutyChannel, incident: Incident | None = None, **words: Any) -> Receipt:
    clock = Clock()
    delivery = Delivery(1, incident or _incident(clock), "pagerduty", words.pop("kind", "firing"), 1, clock.now, **words)
    return channel.send(delivery, Renderer("http://n", clock=clock).message(delivery))


def test_nobody_there_passes_and_surely_did_not_arrive() -> None:
    """Connection refused, and a name that nobody knows: tried again, said with the host."""
    for url, words in (
        (f"http://127.0.0.1:{free_port()}", "nobody listens there"),
        ("http://no-such-host.invalid", "the name cannot be resolved"),
    ):
        with pytest.raises(DeliveryError, match=words) as caught:
            _trigger(_wired(url))
        assert (caught.value.permanent, caught.value.doubtful) == (False, False)


ACCEPTED: Any = (202, {}, '{"status": "success", "message": "Event processed", "dedup_key": "k"}')
INVALID = '{"status": "invalid event", "message": "Event object is invalid", "errors": ["Invalid routing key"]}'


@pytest.mark.parametrize("status", [301, 308, 400, 401, 402, 403, 404, 405, 413, 422])
def test_what_stays_is_parked(status: int) -> None:
    """One event, not followed elsewhere, not repeated by the library; its words are in the error."""
    with serving((status, {"Retry-After": "9"}, INVALID), ACCEPTED) as wire:
        with pytest.raises(DeliveryError, match=f"answered {status}: .*Invalid routing key") as caught:
            _trigger(_wired(wire.url))
        assert len(wire.got) == 1
    assert (caught.value.permanent, caught.value.doubtful, caught.value.retry_after) == (True, False, None)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {}, 30.0),
        (429, {"Retry-After": "90"}, 90.0),
        (429, {"Retry-After": "Wed, 01 Apr 2020 08:00:00 GMT"}, 0.0),
        (408, {}, None),
        (500, {}, None),
        (502, {}, None),
        (503, {"Retry-After": "5"}, 5.0),
        (504, {}, None),
    ],
)
def test_what_passes_is_tried_again_by_the_queue_alone(status: int, headers: dict[str, str], wait: float | None) -> None:
    """One event at each try: the library neither sleeps nor repeats; a throttled one was not taken."""
    begin = time.monotonic()
    with serving((status, headers, "busy")) as wire, pytest.raises(DeliveryError) as caught:
        _trigger(_wired(wire.url))
    assert len(wire.got) == 1
    assert time.monotonic() - begin < 1.0
    assert (caught.value.permanent, caught.value.retry_after) == (False, wait)
    assert caught.value.doubtful == (status != 429)


@pytest.mark.parametrize("answer", [CUT, SLOW, GARBAGE, (202, "<html>log in</html>"), (202, "[]"), (202, '{"status": 1}')])
def test_no_answer_of_pagerdutys_may_have_arrived(answer: Any) -> None:
    """Cut after the request, endless, no HTTP, a page of somebody in between: again, with the same key."""
    with serving(answer, ACCEPTED) as wire:
        channel = _wired(wire.url, timeout=0.4)
        with pytest.raises(DeliveryError) as caught:
            _trigger(channel)
        assert (caught.value.permanent, caught.value.doubtful) == (False, True)
        _trigger(channel)
        assert len({json.loads(one.body)["dedup_key"] for one in wire.got}) == 1
        assert len(wire.got) == 2


def test_an_event_keeps_pagerdutys_limits() -> None:
    """Megabytes in annotations and labels: the page goes out all the same, under 512 KB, with a summary of 1,024."""
    large = "x" * 1_000_000
    labels = {"alertname": large, "host": large, "service": large, "headline": large}
    incident = Incident(1, "f" * 999, "firing", "page", labels, {"summary": large, "impact": large}, 1.0, 1.0)
    with serving(ACCEPTED) as wire:
        receipt = _trigger(_wired(wire.url), incident)
    assert len(wire.got[0].body) < 100_000
    event = json.loads(wire.got[0].body)
    assert len(event["payload"]["summary"]) <= 1024 and len(event["dedup_key"]) == 255
    assert receipt.references == {"key": event["dedup_key"]}


@pytest.mark.parametrize("answer", [400, 401, 403, 429, 500, CUT, (400, f"unknown key {KEY}")])
def test_no_error_and_no_log_tells_the_key(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Nor its last letters, which the library likes to tell."""
    with serving(answer) as wire, caplog.at_level(logging.DEBUG, "notifier"), pytest.raises(DeliveryError) as caught:
        _trigger(_wired(wire.url))
    said = f"{caught.value} {caplog.text}"
    assert KEY[-4:] not in said.replace(str(wire.port), "")


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
