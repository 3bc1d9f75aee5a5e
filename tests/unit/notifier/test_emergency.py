"""The record cannot be written: pages go out from memory, once, again when nobody took them, and are ended."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import pytest

from notifier.emergency import Emergency
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt
from tests.unit.notifier.site import Site, alert, wait


def _unwritable(site: Site, on: bool) -> None:
    assert site.notifier and site.notifier.store._connection
    site.notifier.store._connection.execute(f"PRAGMA query_only={'ON' if on else 'OFF'}")


def test_a_record_that_cannot_be_written_is_503_and_the_page_goes_out_from_memory(site: Site) -> None:
    """Alertmanager has to send it again, and nobody sleeps through it; what was told is not told twice."""
    _unwritable(site, True)
    for _ in range(3):
        assert site.post(alert()) == 503
    wait(lambda: site.all_told("firing"), 5)
    assert "from memory" in site.got("pagerduty", "firing")[0]["text"]
    assert "No alerts." in site.got("pagerduty", "firing")[0]["text"]
    _unwritable(site, False)
    assert site.post(alert()) == 200
    time.sleep(0.5)
    assert [len(site.got(channel, "firing")) for channel in ("pagerduty", "slack", "email")] == [1, 1, 2]
    # From here on it is an incident like any other: Slack's message is edited, PagerDuty's key is the same.
    site.post(alert("resolved"))
    wait(lambda: site.all_told("resolved"), 5)
    assert site.got("slack", "resolved")[0]["raw"]["edited"]


@pytest.mark.parametrize("works_again", [True, False])
def test_the_end_of_a_page_that_only_memory_knows_is_told(site: Site, works_again: bool) -> None:
    """PagerDuty does not stay open for ever, whether the record works by then or not."""
    _unwritable(site, True)
    assert site.post(alert()) == 503
    wait(lambda: site.all_told("firing"), 5)
    if works_again:
        _unwritable(site, False)
    assert site.post(alert("resolved")) == (200 if works_again else 503)
    wait(lambda: site.all_told("resolved"), 5)
    _unwritable(site, False)


def test_a_lock_of_a_moment_is_no_emergency(site: Site) -> None:
    """Another process holds the file for three seconds: 503, no page from memory, and one page each afterwards."""
    assert site.notifier
    other = sqlite3.connect(site.notifier.store._file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert site.post(alert()) == 503
    other.execute("ROLLBACK")
    other.close()
    time.sleep(0.3)
    assert site.inbox.all() == []
    assert site.post(alert()) == 200
    wait(lambda: site.all_told("firing"), 5)
    assert len(site.got("slack", "firing")) == 1


class _Channel:
    """Takes messages, or fails in the way that a test asks for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: Exception | None = None
        self.sent: list[tuple[Delivery, Message]] = []
        self.tries = 0

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        self.tries += 1
        if self.error:
            raise self.error
        self.sent.append((delivery, message))
        return Receipt({"ts": str(len(self.sent))})


class _World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from notifier.dispatch import Dispatcher
        from notifier.render import Renderer
        from tests.unit.notifier.record import Clock

        self.clock = Clock()
        self.slack, self.pagerduty = _Channel("slack"), _Channel("pagerduty")
        store: Any = None  # the record is what cannot be used
        dispatcher = Dispatcher(
            store, [self.slack, self.pagerduty], Renderer("http://n", clock=self.clock), clock=self.clock
        )
        self.emergency = Emergency(dispatcher, ["slack", "pagerduty"], clock=self.clock)
        monkeypatch.setattr(self.emergency._stop, "wait", lambda _seconds: False)

    def fail(self, *alerts: Any, code: int | None = None) -> None:
        error = sqlite3.OperationalError("disk is full")
        if code is not None:
            error.sqlite_errorcode = code
        self.emergency.failed(alerts, error)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> _World:
    return _World(monkeypatch)


def _page(world: _World, mark: str = "f") -> Any:
    from tests.unit.notifier.record import firing

    return firing(world.clock.now, mark)


@pytest.mark.parametrize("error", [DeliveryError("away"), ValueError("a defect"), DeliveryError("revoked", permanent=True)])
def test_a_channel_that_does_not_take_it_is_tried_again_with_the_next_report(world: _World, error: Exception) -> None:
    """Whatever it failed with; the channels that have it are left in peace."""
    page = _page(world)
    world.slack.error = error
    world.fail(page)
    wait(lambda: world.pagerduty.sent and world.slack.tries >= (1 if getattr(error, "permanent", False) else 5))
    time.sleep(0.2)
    world.slack.error = None
    world.fail(page)
    wait(lambda: world.slack.sent)
    assert len(world.pagerduty.sent) == 1
    assert set(world.emergency.told([page])[page.episode]) == {"slack", "pagerduty"}


def test_an_end_that_overtakes_its_page_is_told_after_it(world: _World) -> None:
    """The page was on its way when the end came."""
    page = _page(world)
    real = world.pagerduty.send

    def slow(delivery: Delivery, message: Message) -> Receipt:
        time.sleep(0.3)
        return real(delivery, message)

    world.pagerduty.send = slow  # type: ignore[method-assign]
    world.fail(page)
    time.sleep(0.1)
    world.emergency.over(world.emergency.open()[0], world.clock.now)
    wait(lambda: len(world.pagerduty.sent) == 2)
    assert [delivery.kind for delivery, _ in world.pagerduty.sent] == ["firing", "resolved"]


def test_a_storm_from_memory_is_one_message(world: _World) -> None:
    """A full disk and a thousand pages: one digest for Slack, few threads; PagerDuty groups by itself."""
    world.slack.error = None
    world.fail(*[_page(world, str(number)) for number in range(1000)])
    wait(lambda: len(world.pagerduty.sent) == 1000)
    wait(lambda: world.emergency.told([_page(world, "999")]).get(("999", world.clock.now), {}).keys() >= {"slack"})
    assert len(world.slack.sent) < 30
    assert "alerts" in world.slack.sent[-1][1].title


def test_a_locked_record_becomes_an_emergency_when_it_stays_locked(world: _World) -> None:
    """SQLITE_BUSY for ten seconds."""
    page = _page(world)
    world.fail(page, code=5)
    time.sleep(0.2)
    assert not world.slack.tries
    world.clock.now += 11
    world.fail(page, code=5)
    wait(lambda: world.slack.sent and world.pagerduty.sent)
    world.emergency.recorded([page])
    world.fail(_page(world, "g"), code=5)
    time.sleep(0.2)
    assert len(world.slack.sent) == 1


def test_mail_from_memory_is_known_by_the_same_name_at_each_try_and_by_another_next_time(world: _World) -> None:
    """A mail server that drops repetitions must not drop the next night's page."""
    page = _page(world)
    world.fail(page)
    wait(lambda: world.slack.sent)
    world.clock.now += 86400
    world.emergency.over(world.emergency.open()[0], world.clock.now)
    world.fail(_page(world))
    wait(lambda: len(world.slack.sent) == 3)
    keys = [delivery.key for delivery, _ in world.slack.sent]
    assert len(set(keys)) == 3
