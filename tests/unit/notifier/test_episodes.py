"""Which firing and which end belong together: overtaken, older, held, back again."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.store import Store
from tests.unit.notifier.record import Clock, drain, firing, make_store, resolved


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return make_store(tmp_path, clock)


def test_the_end_of_an_older_episode_does_not_close_a_newer_one(store: Store, clock: Clock) -> None:
    """firing(100), firing(200), resolved(100): it still fires, nobody is told "back"; resolved(200) ends it."""
    at = clock.now
    store.take([firing(at)])
    store.take([firing(at + 100)])
    clock.now += 150
    assert store.take([resolved(at, at + 140)]) == set()
    assert [i.state for i in store.open_incidents()] == ["firing"]
    assert store.take([firing(at + 100)]) == set()
    assert store.take([resolved(at + 100, at + 150)]) == {"pagerduty", "slack", "email"}
    assert store.open_incidents() == []


def test_the_key_of_an_episode_stays_when_it_is_continued(store: Store, clock: Clock) -> None:
    """PagerDuty is resolved by the key that triggered: a new startsAt on an open incident changes nothing of it."""
    store.take([firing(clock.now)])
    key = store.open_incidents()[0].episode_key
    store.take([firing(clock.now + 50)])
    assert store.open_incidents()[0].episode_key == key


def test_a_firing_right_after_its_end_is_overtaken_and_one_later_is_news(store: Store, clock: Clock) -> None:
    """The other Alertmanager's copy within two minutes is nothing; the same startsAt after ten minutes fires again.

    Prometheus that was cut off comes back with the startsAt it had: ignoring it would lose the alert for ever.
    """
    at = clock.now
    store.take([firing(at)])
    clock.now += 300
    store.take([resolved(at, clock.now)])
    clock.now += 60
    assert store.take([firing(at)]) == set()
    assert store.open_incidents() == []
    clock.now += 600
    assert store.take([firing(at)]) == {"pagerduty", "slack", "email"}
    assert [(i.id, i.state) for i in store.open_incidents()] == [(1, "firing")]
    clock.now += 60
    assert store.take([resolved(at, clock.now)]) == {"pagerduty", "slack", "email"}


def test_the_same_episode_hours_later_is_an_incident_of_its_own(store: Store, clock: Clock) -> None:
    """After half an hour nobody looks for it in the old thread."""
    at = clock.now
    store.take([firing(at)])
    clock.now += 300
    store.take([resolved(at, clock.now)])
    clock.now += 4 * 3600
    assert store.take([firing(at)])
    assert [i.id for i in store.open_incidents()] == [2]


def test_an_old_copy_after_the_end_of_a_newer_episode_is_overtaken(store: Store, clock: Clock) -> None:
    """firing(100), firing(200), resolved(200), and the copy of firing(100) at once."""
    at = clock.now
    store.take([firing(at)])
    store.take([firing(at + 10)])
    clock.now += 60
    store.take([resolved(at + 10, clock.now)])
    assert store.take([firing(at)]) == set()
    assert store.open_incidents() == []


def test_an_end_that_is_not_believed_changes_nothing_and_the_true_one_counts(store: Store, clock: Clock) -> None:
    """Held: nobody is told, the timeline says so; it fires on; its true end has the same startsAt."""
    at = clock.now
    store.take([firing(at)])
    clock.now += 240
    false = resolved(at, clock.now)
    assert store.take([false], held={false.episode}) == set()
    assert [i.state for i in store.open_incidents()] == ["firing"]
    assert "not believed" in store.timeline(1)[-1][1]
    assert store.take([firing(at)]) == set()
    clock.now += 60
    assert store.take([resolved(at, clock.now)]) == {"pagerduty", "slack", "email"}


def test_an_incident_that_its_source_forgot_is_told_so(store: Store, clock: Clock) -> None:
    """It ended when its source was first seen not to know it, and the message does not claim more."""
    store.take([firing(clock.now)])
    clock.now += 900
    store.close_incident(1, clock.now - 300)
    incident = store.incident(1)
    assert incident and (incident.resolved_at, incident.ending) == (clock.now - 300, "unseen")


def test_a_clock_that_jumps_back_hides_no_firing(store: Store, clock: Clock) -> None:
    """An end that seems to lie in the future overtakes nothing."""
    at = clock.now
    store.take([firing(at)])
    store.take([resolved(at, at + 5)])
    clock.now -= 3600
    assert store.take([firing(at)])


def test_what_was_told_from_memory_is_not_told_again_and_its_end_is(store: Store, clock: Clock) -> None:
    """Slack has the page already: only the others get it; the end goes to all, Slack's to the same message."""
    page = firing(clock.now)
    told = {page.episode: {"slack": {"ts": "1.0", "channel": "C1"}}}
    assert store.take([page], told=told) == {"pagerduty", "email"}
    assert drain(store, "slack") == []
    clock.now += 60
    assert store.take([resolved(page.starts_at, clock.now)]) == {"pagerduty", "slack", "email"}
    assert drain(store, "slack")[0].references == {"ts": "1.0", "channel": "C1"}
