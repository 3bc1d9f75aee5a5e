"""The record in trouble, without a process: a clock that is set back, a file that is damaged or gone, what is replayed late."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt
from notifier.plain import written
from notifier.render import Renderer
from notifier.store import Store
from tests.unit.notifier.record import Clock, drain, firing, make_store, resolved, rows

_HOURS = 3 * 3600.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return make_store(tmp_path, clock)


def _kinds(deliveries: list[Delivery]) -> list[str]:
    return [delivery.kind for delivery in deliveries]


def test_a_clock_that_is_set_back_prolongs_no_pause(store: Store, clock: Clock) -> None:
    """A try that was due in ten minutes, and a message that was queued since, go at once."""
    store.take([firing(clock.now)])
    store.failed(store.claim("slack") or pytest.fail("nothing"), "away", 600.0, doubtful=False, fallback=None)
    clock.now -= _HOURS
    assert drain(store, "pagerduty") == []
    store.return_leases()
    assert _kinds(drain(store, "slack")) == ["firing"]
    assert _kinds(drain(store, "pagerduty")) == ["firing"]


def test_what_a_provider_asked_to_wait_for_is_still_waited_for(store: Store, clock: Clock) -> None:
    """The clock stands as it should: half an hour is half an hour."""
    store.take([firing(clock.now)])
    store.failed(store.claim("slack") or pytest.fail("nothing"), "429", 1800.0, doubtful=False, fallback=None)
    clock.now += 900
    store.return_leases()
    assert drain(store, "slack") == []
    assert DeliveryError("429", retry_after=1e9).retry_after == 3600.0


def test_a_claim_of_a_time_to_come_is_given_back(store: Store, clock: Clock) -> None:
    """Its lease would last for hours; it may have been sent, and says so."""
    store.take([firing(clock.now)])
    store.claim("slack")
    clock.now -= _HOURS
    store.return_leases()
    assert (store.claim("slack") or pytest.fail("nothing")).doubtful


def test_after_a_clock_was_set_back_it_can_be_acknowledged_and_taken_back(store: Store, clock: Clock) -> None:
    """What is said here is said now; reminders go on by the new time."""
    store.take([firing(clock.now)])
    drain(store, "slack")
    clock.now -= _HOURS
    store.escalate()
    clock.now += 1801
    assert "slack" in store.remind(1800)
    assert store.acknowledge(1, "ada")
    clock.now -= 1000
    assert store.unacknowledge(1, "taken back by ada")
    assert [one.state for one in store.open_incidents()] == ["firing"]


def test_an_end_that_was_parked_closes_nothing_that_fires_again(store: Store, clock: Clock) -> None:
    """PagerDuty refused it; by the time of the replay the incident fires anew and must stay open there."""
    at = clock.now
    store.take([firing(at)])
    drain(store, "pagerduty")
    clock.now += 60
    store.take([resolved(at, clock.now)])
    store.failed(store.claim("pagerduty") or pytest.fail("nothing"), "revoked", None, doubtful=False, fallback=None)
    clock.now += 60
    store.take([firing(clock.now)])
    assert _kinds(drain(store, "pagerduty")) == ["firing"]
    store.replay()
    assert drain(store, "pagerduty") == []


def test_a_page_of_the_file_that_is_damaged_costs_only_what_stands_on_it(tmp_path: Path, clock: Clock) -> None:
    """The index of words is damaged: all that is open or waits goes on in a new file, under the same names."""
    store = make_store(tmp_path, clock)
    store.take([firing(clock.now), firing(clock.now, "g")])
    names = [delivery.key for delivery in drain(store, "slack")]
    store.close()
    file = tmp_path / "n.sqlite3"
    db = sqlite3.connect(file)
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='incident_text_data'").fetchone()
    db.close()
    with file.open("r+b") as out:
        out.seek((root - 1) * 4096)
        out.write(os.urandom(4096))
    store = make_store(tmp_path, clock)
    with pytest.raises(sqlite3.DatabaseError):
        store.take([firing(clock.now, "h")])
    assert store.renewed_at == clock.now
    assert "slack" in store.take([firing(clock.now, "h")])
    assert [one.fingerprint for one in store.open_incidents()] == ["f", "g", "h"]
    assert len(names) == 2
    assert [d.incident.fingerprint for d in drain(store, "slack")] == ["h"]
    assert [d.incident.fingerprint for d in drain(store, "pagerduty")] == ["f", "g", "h"]
    assert len(list(tmp_path.glob("n.damaged-*"))) >= 1


def test_a_file_that_was_deleted_is_made_anew_with_what_is_open(store: Store, tmp_path: Path, clock: Clock) -> None:
    """What is recorded afterwards is found by the next process."""
    store.take([firing(clock.now)])
    (tmp_path / "n.sqlite3").unlink()
    store.take([firing(clock.now, "g")])
    store.close()
    again = make_store(tmp_path, clock)
    assert [one.fingerprint for one in again.open_incidents()] == ["f", "g"]
    assert rows(again, "SELECT COUNT(*) FROM deliveries WHERE state='pending'") == [(6,)]


def test_a_defect_of_the_renderer_keeps_no_page_back(clock: Clock, monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    """It goes out in plain words, says why, and still names what to do first."""
    store.take([firing(clock.now, impact="No alerts.", first="look at it")])
    delivery = store.claim("slack") or pytest.fail("nothing")
    renderer = Renderer("http://n", clock=clock)

    def broken(*_: object) -> Message:
        raise UnboundLocalError("effect")

    monkeypatch.setattr(renderer, "message", broken)
    message = written(renderer, delivery)
    assert "KAFKA DOWN kafka-public: firing" in message.title
    assert "Kafka down f" in message.text and "No alerts." in message.text and "look at it" in message.text
    assert "UnboundLocalError" in message.text
    store.sent(delivery, Receipt())
