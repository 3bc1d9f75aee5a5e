"""The watch: blindness, reconciliation, the outside dead-man's switch; nothing of it stops the rest."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from notifier.daemon import Notifier
from notifier.model import Alert, DeliveryError
from notifier.watch import BLIND
from tests.unit.notifier.record import Clock, firing
from tests.unit.notifier.site import OURS, Site, free_port, wait

PING = "/ping"


class Outside:
    """Counts heartbeats."""

    def __init__(self) -> None:
        self.beats = 0

    def application(self) -> Starlette:
        async def beat(_request: Any) -> Response:
            self.beats += 1
            return PlainTextResponse("ok")

        return Starlette(routes=[Route(PING, beat, methods=["POST"])])


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def outside(quiet: Site, monkeypatch: pytest.MonkeyPatch) -> Outside:
    port, switch = free_port(), Outside()
    quiet.serve(switch.application(), port)
    monkeypatch.setenv("ZADS_DEADMAN_URL", f"http://127.0.0.1:{port}{PING}")
    return switch


@pytest.fixture
def notifier(quiet: Site, clock: Clock, outside: Outside) -> Iterator[Notifier]:
    """Give a notifier whose workers run, with providers, Prometheus and Alertmanager."""
    quiet.start_providers()
    quiet.start_monitoring()
    built = quiet.build(clock=clock)
    built.dispatcher.start()
    yield built


def _states(notifier: Notifier) -> list[tuple[str, str]]:
    return [(i.fingerprint, i.state) for i in notifier.store.open_incidents()]


def _unwritable(notifier: Notifier, on: bool) -> None:
    assert notifier.store._connection
    notifier.store._connection.execute(f"PRAGMA query_only={'ON' if on else 'OFF'}")


def test_a_restart_does_not_end_blindness_before_anything_was_heard(quiet: Site, notifier: Notifier, clock: Clock) -> None:
    """ "Monitoring blind" stays open over a restart of the notifier, until the Watchdog is really heard."""
    clock.now += 200
    notifier.watch.look()
    assert _states(notifier) == [(BLIND, "firing")]
    notifier.stop()
    again = quiet.build(clock=clock)
    clock.now += 10
    again.watch.look()
    assert _states(again) == [(BLIND, "firing")]
    again.watch.heard(OURS)
    again.watch.look()
    assert _states(again) == []


def test_blindness_while_the_record_cannot_be_written_pages_from_memory_once(
    quiet: Site, notifier: Notifier, clock: Clock
) -> None:
    """And is recorded as soon as it can be, and ended where it was told."""
    clock.now += 200
    _unwritable(notifier, True)
    notifier.watch.look()
    wait(lambda: quiet.all_told("firing"), 5)
    clock.now += 10
    notifier.watch.look()
    _unwritable(notifier, False)
    clock.now += 10
    notifier.watch.look()
    assert _states(notifier) == [(BLIND, "firing")]
    time.sleep(0.5)
    assert len(quiet.got("pagerduty", "firing")) == 1
    assert len(quiet.got("email", "firing")) == 2
    notifier.watch.heard(OURS)
    notifier.watch.look()
    wait(lambda: quiet.all_told("resolved"), 5)


def test_blindness_that_ends_before_the_record_works_is_ended_from_memory(
    quiet: Site, notifier: Notifier, clock: Clock
) -> None:
    """PagerDuty does not stay open."""
    clock.now += 200
    _unwritable(notifier, True)
    notifier.watch.look()
    wait(lambda: quiet.all_told("firing"), 5)
    notifier.watch.heard(OURS)
    notifier.watch.look()
    wait(lambda: quiet.all_told("resolved"), 5)


def test_a_step_that_fails_keeps_none_of_the_others_from_being_done(
    notifier: Notifier, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases cannot be returned: blindness is raised all the same."""

    def broken() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(notifier.store, "return_leases", broken)
    clock.now += 200
    notifier.watch.look()
    assert _states(notifier) == [(BLIND, "firing")]


def _in_sight(notifier: Notifier, clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds / 30)):
        clock.now += 30
        notifier.watch.heard(OURS)
        notifier.watch.look()


def _one(mark: str, source: str, clock: Clock) -> Alert:
    return firing(clock.now, mark, source=source)


def test_only_our_own_alertmanagers_alerts_are_reconciled(quiet: Site, notifier: Notifier, clock: Clock) -> None:
    """What Grafana or a script reported is not over because our Alertmanager does not know it."""
    notifier.watch.heard(OURS)
    alerts = [_one("ours", OURS, clock), _one("known", OURS, clock), _one("grafana", "http://grafana:3000/", clock)]
    notifier.store.take([*alerts, _one("script", "", clock)])
    quiet.monitoring.known = ["known"]
    _in_sight(notifier, clock, 400)
    assert {i.fingerprint for i in notifier.store.open_incidents()} == {"known", "grafana", "script"}


def test_absence_counts_only_in_full_sight(quiet: Site, notifier: Notifier, clock: Clock) -> None:
    """Prometheus is away for a moment after four minutes: the five minutes begin anew."""
    notifier.watch.heard(OURS)
    notifier.store.take([_one("ours", OURS, clock)])
    _in_sight(notifier, clock, 240)
    quiet.monitoring.ready = False
    _in_sight(notifier, clock, 30)
    quiet.monitoring.ready = True
    _in_sight(notifier, clock, 240)
    assert _states(notifier) == [("ours", "firing")]
    _in_sight(notifier, clock, 120)
    assert _states(notifier) == []


def test_a_page_that_only_memory_knows_is_reconciled_too(quiet: Site, notifier: Notifier, clock: Clock) -> None:
    """Alertmanager never got it accepted, so it will not report its end."""
    notifier.watch.heard(OURS)
    notifier.emergency.failed([_one("ours", OURS, clock)], sqlite3.OperationalError("disk full"))
    wait(lambda: quiet.all_told("firing"), 5)
    _in_sight(notifier, clock, 400)
    wait(lambda: quiet.all_told("resolved"), 5)


def _beats(notifier: Notifier, outside: Outside, clock: Clock, seconds: float) -> int:
    before = outside.beats
    _in_sight(notifier, clock, seconds)
    return outside.beats - before


def test_the_dead_mans_switch_is_fed_only_while_pages_arrive(notifier: Notifier, outside: Outside, clock: Clock) -> None:
    """One channel of three broken for a quarter of an hour, or all at once, or a dead worker: it stops."""
    books = notifier.dispatcher.books
    assert _beats(notifier, outside, clock, 90) == 3
    revoked = DeliveryError("token_revoked", permanent=True)
    books["slack"].failed(revoked)
    assert _beats(notifier, outside, clock, 600) > 10
    assert _beats(notifier, outside, clock, 600) < 12
    assert _beats(notifier, outside, clock, 300) == 0
    books["slack"].refused, books["slack"].broken_since = False, None
    books["slack"].failures = 0
    assert _beats(notifier, outside, clock, 60) == 2
    for book in books.values():
        book.failed(revoked)
    assert _beats(notifier, outside, clock, 60) == 0


def test_the_dead_mans_switch_is_not_fed_without_record_or_worker(
    notifier: Notifier, outside: Outside, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be recorded or sent is as good as silence."""
    monkeypatch.setattr(notifier.dispatcher, "running", lambda name: name != "slack")
    assert _beats(notifier, outside, clock, 60) == 0
    monkeypatch.undo()
    _unwritable(notifier, True)
    assert _beats(notifier, outside, clock, 60) == 0
    _unwritable(notifier, False)
