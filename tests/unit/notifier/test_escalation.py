"""What time brings to an incident: steps, reminders, acknowledgements that end, and what waits until when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from notifier.plan import QUIET, Audience, Plan, Step
from notifier.routing import Router
from notifier.store import Store
from tests.unit.notifier.record import Clock, drain, firing, make_store, resolved, rows
from zads.config import parse

STEPS = (
    Step(0.0, (Audience("pagerduty"), Audience("slack"))),
    Step(600.0, (Audience("email", "one@example.org", True), Audience("slack", "@U1", True))),
    Step(1500.0, (Audience("email"), Audience("email", "two@example.org"))),
)


class Planner:
    """A plan that the test changes."""

    def __init__(self) -> None:
        self.plan = Plan("page", STEPS)

    def __call__(self, _labels: Mapping[str, str], _severity: str, _now: float) -> Plan:
        return self.plan


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def planner() -> Planner:
    return Planner()


@pytest.fixture
def store(tmp_path: Path, clock: Clock, planner: Planner) -> Iterator[Store]:
    store = make_store(tmp_path, clock, plan=planner)
    yield store
    store.close()


def _sent(store: Store, *channels: str) -> set[tuple[str, str, str]]:
    return {(one.channel, one.kind, one.target) for name in channels for one in drain(store, name)}


ALL = ("pagerduty", "slack", "email")


def test_each_step_tells_its_own_when_it_is_due_and_never_twice(store: Store, clock: Clock) -> None:
    store.take([firing(clock.now)])
    assert _sent(store, *ALL) == {("pagerduty", "firing", ""), ("slack", "firing", "")}
    clock.now += 599
    assert store.escalate() == set()
    clock.now += 1
    assert store.escalate() == {"email", "slack"}
    assert store.escalate() == set()
    assert _sent(store, *ALL) == {("email", "reminder", "one@example.org"), ("slack", "reminder", "@U1")}
    clock.now += 900
    assert store.escalate() == {"email"}
    assert _sent(store, *ALL) == {("email", "reminder", ""), ("email", "reminder", "two@example.org")}
    clock.now += 86_400
    assert store.escalate() == set(), "no step is left"


def test_an_escalation_is_news_to_whom_it_reaches_first(store: Store, clock: Clock) -> None:
    store.take([firing(clock.now)])
    drain(store, "slack")
    clock.now += 600
    store.escalate()
    (mail,) = drain(store, "email")
    assert not mail.told
    clock.now += 1801
    store.remind(1800)
    again = [one for one in drain(store, "email") if one.target == "one@example.org"]
    assert [one.told for one in again] == [True]


def test_an_acknowledgement_stops_the_steps_and_the_end_reaches_who_was_told(store: Store, clock: Clock) -> None:
    began = clock.now
    store.take([firing(began)])
    _sent(store, *ALL)
    clock.now += 600
    store.escalate()
    _sent(store, *ALL)
    (incident,) = store.open_incidents()
    assert store.acknowledge(incident.id, "one") == {"pagerduty", "slack"}
    clock.now += 3600
    assert store.escalate() == set()
    assert _sent(store, *ALL) == {("pagerduty", "acknowledged", ""), ("slack", "acknowledged", "")}
    store.take([resolved(began, clock.now)])
    # One mail, since the list was never told; Slack's channel has it anyway, so nobody is mentioned for an end.
    assert _sent(store, *ALL) == {
        ("pagerduty", "resolved", ""),
        ("slack", "resolved", ""),
        ("email", "resolved", "one@example.org"),
    }


def test_a_recipient_of_the_list_hears_the_end_once(store: Store, clock: Clock) -> None:
    began = clock.now
    store.take([firing(began)])
    clock.now += 600
    store.escalate()
    clock.now += 900
    store.escalate()
    _sent(store, *ALL)
    store.take([resolved(began, clock.now)])
    assert {one for one in _sent(store, *ALL) if one[0] == "email"} == {
        ("email", "resolved", ""),
        ("email", "resolved", "two@example.org"),
    }


def test_a_reminder_goes_to_all_that_the_steps_have_told(store: Store, clock: Clock) -> None:
    store.take([firing(clock.now)])
    _sent(store, *ALL)
    clock.now += 600
    store.escalate()
    _sent(store, *ALL)
    clock.now += 1000
    assert store.remind(1800) == set(), "the escalation was a reminder"
    clock.now += 801
    store.remind(1800)
    assert _sent(store, *ALL) == {
        ("pagerduty", "reminder", ""),
        ("slack", "reminder", ""),
        ("slack", "reminder", "@U1"),
        ("email", "reminder", "one@example.org"),
    }


def test_what_fires_again_begins_at_the_first_step_and_only_those_hear_its_end(store: Store, clock: Clock) -> None:
    began = clock.now
    store.take([firing(began)])
    clock.now += 600
    store.escalate()
    _sent(store, *ALL)
    clock.now += 10
    store.take([resolved(began, clock.now)])
    _sent(store, *ALL)
    clock.now += 300
    store.take([firing(clock.now)])
    assert _sent(store, *ALL) == {("pagerduty", "firing", ""), ("slack", "firing", "")}
    clock.now += 599
    assert store.escalate() == set()
    store.take([resolved(clock.now - 599, clock.now)])
    assert _sent(store, *ALL) == {("pagerduty", "resolved", ""), ("slack", "resolved", "")}


def test_an_acknowledgement_does_not_last_for_ever(store: Store, clock: Clock) -> None:
    store.take([firing(clock.now)])
    _sent(store, *ALL)
    (incident,) = store.open_incidents()
    store.acknowledge(incident.id, "one # two")
    _sent(store, *ALL)
    clock.now += 4 * 3600
    assert store.forget_acknowledgements(4 * 3600) == set()
    clock.now += 1
    assert store.forget_acknowledgements(4 * 3600) == {"pagerduty", "slack"}
    again = [one for name in ALL for one in drain(store, name)]
    assert {(one.channel, one.kind) for one in again} == {("pagerduty", "reminder"), ("slack", "reminder")}
    assert all("acknowledged by one" in one.held for one in again), "they say why they come"
    (incident,) = store.open_incidents()
    assert (incident.state, incident.acknowledged_by, incident.acknowledged_at) == ("firing", "", None)
    assert any("acknowledged by one" in what for _, what in store.timeline(incident.id))
    clock.now += 600
    assert store.escalate() == {"email", "slack"}, "and the next step is due after its own time"


def test_a_ticket_waits_for_the_morning_and_nothing_lets_it_go_before(store: Store, clock: Clock, planner: Planner) -> None:
    until = clock.now + 3600
    planner.plan = Plan("ticket", (Step(0.0, (Audience("email"),)),), held_until=until, held=QUIET)
    store.take([firing(clock.now, f"t{n}", severity="ticket") for n in range(30)])
    assert store.claim("email") is None
    assert store.storm("email", 20) == []
    planner.plan = Plan("page", (Step(0.0, (Audience("email"),)),))
    store.take([firing(clock.now, "page")])
    (page,) = drain(store, "email")
    assert page.incident.fingerprint == "page"
    assert store.claim("email") is None, "a provider that takes a page lets no ticket go"
    assert "email" not in store.queue(), "what waits by decision is nothing that is stuck"
    clock.now = until
    many = store.storm("email", 20)
    assert len(many) == 30
    assert all(one.held == QUIET for one in many)


def test_a_ticket_that_was_over_before_the_morning_is_told_once_as_over(
    store: Store, clock: Clock, planner: Planner
) -> None:
    began, until = clock.now, clock.now + 3600
    planner.plan = Plan("ticket", (Step(0.0, (Audience("email"),)),), held_until=until, held=QUIET)
    store.take([firing(began, severity="ticket")])
    clock.now += 600
    store.take([resolved(began, clock.now)])
    assert store.claim("email") is None
    clock.now = until + 5
    (only,) = drain(store, "email")
    assert (only.kind, only.told, only.held) == ("resolved", False, QUIET)


def test_what_is_over_within_planned_work_is_told_to_nobody(store: Store, clock: Clock, planner: Planner) -> None:
    began, until = clock.now, clock.now + 3600
    planner.plan = Plan("page", STEPS, held_until=until, held="planned work 1: disks")
    store.take([firing(began)])
    clock.now += 1200
    assert store.escalate() == set(), "what waits does not escalate"
    assert store.remind(600) == set()
    store.take([resolved(began, clock.now)])
    clock.now = until + 5
    planner.plan = Plan("page", STEPS)
    assert _sent(store, *ALL) == set()
    assert "over within the planned work 1" in rows(store, "SELECT error FROM deliveries WHERE state='folded'")[0][0]


def test_what_still_fires_after_planned_work_is_told_then_and_escalates_from_then(
    store: Store, clock: Clock, planner: Planner
) -> None:
    until = clock.now + 3600
    planner.plan = Plan("page", STEPS, held_until=until, held="planned work: disks")
    store.take([firing(clock.now)])
    clock.now, planner.plan = until, Plan("page", STEPS)
    assert _sent(store, *ALL) == {("pagerduty", "firing", ""), ("slack", "firing", "")}
    clock.now += 599
    assert store.escalate() == set()
    clock.now += 1
    assert store.escalate() == {"email", "slack"}


def test_planned_work_that_ends_early_lets_its_own_go(tmp_path: Path, clock: Clock) -> None:
    text = '[kafka.public]\nbootstrap = ["k:1"]\n[notifier.email]\nsmarthost = "l:25"\nsender = "a@b"\nto = ["c@d"]\n'
    router = Router(parse(text, "test"))
    store = make_store(tmp_path, clock, plan=router.plan)
    router.windows = store.windows
    numbers = [
        store.add_window(clock.now, clock.now + 9000, [f'community="{name}"'], "disks", "me") for name in ("lasair", "fink")
    ]
    store.take([firing(clock.now, name, labels={"community": name}) for name in ("lasair", "fink")])
    assert store.claim("email") is None
    assert store.end_window(numbers[0])
    assert [one.incident.fingerprint for one in drain(store, "email")] == ["lasair"]
    assert not store.end_window(numbers[0]), "it is over already"
    assert [window.id for window in store.windows()] == [numbers[1]]
    store.close()


def test_a_policy_that_became_shorter_ends_the_steps(store: Store, clock: Clock, planner: Planner) -> None:
    store.take([firing(clock.now)])
    _sent(store, *ALL)
    planner.plan = Plan("page", STEPS[:1])
    clock.now += 600
    assert store.escalate() == set()
    assert rows(store, "SELECT step_at FROM incidents") == [(None,)]


def test_a_fallback_is_told_the_end_too(store: Store, clock: Clock) -> None:
    began = clock.now
    store.take([firing(began)])
    refused = store.claim("slack")
    assert refused
    store.failed(refused, "token_revoked", None, doubtful=False, fallback="email")
    drain(store, "pagerduty")
    (stand_in,) = drain(store, "email")
    assert stand_in.fallback_for == "slack"
    clock.now += 200
    store.take([resolved(began, clock.now)])
    assert ("email", "resolved", "") in _sent(store, "email", "pagerduty")
