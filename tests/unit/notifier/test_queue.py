"""What goes out when: order, leases, what is folded because it is no longer true, one bad mailbox, digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from notifier.model import Delivery, DeliveryError, Receipt
from notifier.store import Store
from tests.unit.notifier.record import Clock, drain, firing, make_store, resolved, rows


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Store:
    return make_store(tmp_path, clock)


def _kinds(deliveries: list[Delivery]) -> list[tuple[int, str]]:
    return [(d.incident.id, d.kind) for d in deliveries]


def _fail(store: Store, delivery: Delivery, again_in: float, *, doubtful: bool = False) -> None:
    store.failed(delivery, "away", again_in, doubtful=doubtful, fallback=None)


def test_a_reminder_that_was_queued_before_the_acknowledgement_is_not_sent_after_it(store: Store, clock: Clock) -> None:
    """Neither in Slack nor at PagerDuty."""
    store.take([firing(clock.now)])
    for channel in ("slack", "pagerduty", "email"):
        drain(store, channel)
    clock.now += 2000
    store.remind(1800)
    store.acknowledge(1, "ada")
    assert _kinds(drain(store, "slack")) == [(1, "acknowledged")]
    assert _kinds(drain(store, "pagerduty")) == [(1, "acknowledged")]
    assert drain(store, "email") == []
    assert store.folded == {"slack": 1, "pagerduty": 1, "email": 1}


def test_an_end_that_waits_is_not_told_once_it_fires_again(store: Store, clock: Clock) -> None:
    """Nobody reads "back after 0 s" of what fires; PagerDuty, which goes by the order of events, gets each."""
    at = clock.now
    store.take([firing(at)])
    drain(store, "slack")
    clock.now += 30
    store.take([resolved(at, clock.now)])
    clock.now += 30
    store.take([firing(clock.now)])
    assert _kinds(drain(store, "slack")) == [(1, "firing")]
    assert _kinds(drain(store, "pagerduty")) == [(1, "firing"), (1, "resolved"), (1, "firing")]


def test_a_first_page_that_is_late_tells_all_that_happened_since_and_is_one_message(store: Store, clock: Clock) -> None:
    """Fired, over, fired again, reminded while Slack was away: one page, the first; it is never folded while it fires."""
    at = clock.now
    store.take([firing(at)])
    _fail(store, store.claim("slack") or pytest.fail("nothing"), 600)
    clock.now += 60
    store.take([resolved(at, clock.now)])
    clock.now += 60
    store.take([firing(clock.now)])
    clock.now += 2000
    store.remind(1800)
    sent = drain(store, "slack")
    assert [(d.id, d.kind, d.told) for d in sent] == [(3, "firing", False)]


def test_what_was_over_before_the_channel_came_back_is_one_message(store: Store, clock: Clock) -> None:
    """The end tells both, and knows that nothing was told before."""
    at = clock.now
    store.take([firing(at)])
    _fail(store, store.claim("slack") or pytest.fail("nothing"), 600)
    clock.now += 1200
    store.take([resolved(at, clock.now)])
    sent = drain(store, "slack")
    assert [(d.kind, d.told) for d in sent] == [("resolved", False)]


def test_a_page_fires_again_and_the_message_knows_it(store: Store, clock: Clock) -> None:
    """Its end was the last that was told."""
    at = clock.now
    store.take([firing(at)])
    drain(store, "slack")
    clock.now += 60
    store.take([resolved(at, clock.now)])
    drain(store, "slack")
    clock.now += 200
    store.take([firing(clock.now)])
    assert [(d.told, d.again) for d in drain(store, "slack")] == [(False, True)]


def test_one_mailbox_that_refuses_gets_a_delivery_of_its_own(store: Store, clock: Clock) -> None:
    """The others have theirs, it is tried again or parked, its attempts are in the timeline, and it holds up nobody."""
    at = clock.now
    store.take([firing(at)])
    first = store.claim("email") or pytest.fail("nothing")
    missed = {"full@x": DeliveryError("full@x: 452", narrow=True), "gone@x": DeliveryError("gone@x: 550", permanent=True)}
    store.sent(first, Receipt(missed=missed), {"full@x": 300.0})
    assert store.parked() == {"email": 1}
    text = [words for _, words in store.timeline(1)]
    assert "e-mail: firing sent" in text
    assert "e-mail: firing refused: gone@x: 550" in text
    # Nobody else waits for it: the end goes to all at once.
    clock.now += 60
    store.take([resolved(at, clock.now)])
    assert [(d.kind, d.target) for d in drain(store, "email")] == [("resolved", "")]
    assert store.queue()["email"] == (1, 0.0)
    # Its own firing is over by now: the end that it has told both.
    clock.now += 400
    assert drain(store, "email") == []


def test_a_recipient_of_its_own_is_known_by_the_same_name(store: Store, clock: Clock) -> None:
    """Its Message-ID is that of the first try, which it may have taken."""
    store.take([firing(clock.now)])
    first = store.claim("email") or pytest.fail("nothing")
    store.sent(first, Receipt(missed={"b@x": DeliveryError("cut", doubtful=True)}), {"b@x": 1.0})
    clock.now += 2
    second = store.claim("email") or pytest.fail("nothing")
    assert (second.key, second.target, second.doubtful, second.attempts) == (first.key, "b@x", True, 2)


def _storm(store: Store, clock: Clock, count: int = 25) -> float:
    at = clock.now
    for number in range(count):
        store.take([firing(at, f"f{number}", severity="ticket")])
    return at


def test_a_digest_does_not_overtake_its_own_firings(store: Store, clock: Clock) -> None:
    """Three firings wait behind a back-off when everything is over: the digest takes them too, nothing comes after it."""
    at = _storm(store, clock)
    for _ in range(3):
        _fail(store, store.claim("slack") or pytest.fail("nothing"), 600)
    clock.now += 100
    for number in range(25):
        store.take([resolved(at, at + 50, f"f{number}")])
    many = store.storm("slack", 20)
    assert sorted(d.kind for d in many) == ["firing"] * 25 + ["resolved"] * 25
    store.sent_many(many, Receipt(), {})
    clock.now += 700
    assert drain(store, "slack") == []


def test_a_digest_leaves_what_may_have_arrived_to_its_turn_and_its_end_too(store: Store, clock: Clock) -> None:
    """A doubtful page is looked up and sent by itself; its end must not come before it."""
    at = _storm(store, clock)
    doubtful = store.claim("slack") or pytest.fail("nothing")
    _fail(store, doubtful, 600, doubtful=True)
    clock.now += 10
    for number in range(25):
        store.take([resolved(at, at + 5, f"f{number}")])
    many = store.storm("slack", 20)
    assert doubtful.incident.id not in {d.incident.id for d in many}
    assert len(many) == 48


def test_a_doubtful_digest_is_sent_again_as_the_same_set_under_the_same_name(store: Store, clock: Clock) -> None:
    """More alerts came meanwhile: they get a digest of their own."""
    at = _storm(store, clock)
    many = store.storm("slack", 20)
    store.release_many(many, "cut", 5.0, doubtful=True)
    for number in range(30, 60):
        store.take([firing(at, f"g{number}", severity="ticket")])
    clock.now += 10
    again = store.storm("slack", 20)
    assert [d.id for d in again] == [d.id for d in many]
    assert again[0].key == many[0].key
    assert again[0].doubtful
    store.sent_many(again, Receipt(), {})
    other = store.storm("slack", 20)
    assert len(other) == 30
    assert other[0].key != many[0].key


def test_a_digest_that_certainly_did_not_arrive_is_made_anew(store: Store, clock: Clock) -> None:
    """It takes what came meanwhile, and tells what is true then."""
    _storm(store, clock)
    store.release_many(store.storm("slack", 20), "away", 5.0, doubtful=False)
    store.take([firing(clock.now, "late", severity="ticket")])
    clock.now += 10
    assert len(store.storm("slack", 20)) == 26


def test_a_mailbox_that_missed_a_digest_gets_exactly_that_digest(store: Store, clock: Clock) -> None:
    """Who took it gets nothing twice; who did not loses no alert, also when more came meanwhile."""
    at = _storm(store, clock)
    many = store.storm("email", 20)
    store.sent_many(many, Receipt(missed={"b@x": DeliveryError("b@x: 451 greylisted", narrow=True)}), {"b@x": 60.0})
    for number in range(30, 55):
        store.take([firing(at, f"g{number}", severity="ticket")])
    fresh = store.storm("email", 20)
    assert {d.target for d in fresh} == {""}
    assert len(fresh) == 25
    store.sent_many(fresh, Receipt(), {})
    clock.now += 70
    late = store.storm("email", 20)
    assert {d.target for d in late} == {"b@x"}
    assert {d.incident.id for d in late} == {d.incident.id for d in many}
    assert late[0].key == many[0].key


def test_a_worker_that_failed_gives_back_what_it_had_claimed(store: Store, clock: Clock) -> None:
    """Doubtful, since it may have been sent; and a lease that ran out comes back the same way."""
    store.take([firing(clock.now), firing(clock.now, "g")])
    store.claim("slack")
    store.release("slack", "ValueError", 30.0)
    assert rows(store, "SELECT state, doubtful FROM deliveries WHERE channel='slack' ORDER BY id") == [
        ("pending", 1),
        ("pending", 0),
    ]
    clock.now += 31
    store.claim("slack")
    clock.now += 121
    store.return_leases()
    assert (store.claim("slack") or pytest.fail("nothing")).doubtful


def test_a_fallback_that_already_tells_the_end_does_not_tell_it_twice(store: Store, clock: Clock) -> None:
    """Slack refuses a ticket for good, PagerDuty stands in for it; then the end comes, which both know."""
    at = clock.now
    store.take([firing(at, severity="ticket")])
    slack = store.claim("slack") or pytest.fail("nothing")
    store.failed(slack, "token_revoked", None, doubtful=False, fallback="pagerduty")
    assert _kinds(drain(store, "pagerduty")) == [(1, "firing")]
    clock.now += 60
    store.take([resolved(at, clock.now)])
    end = store.claim("slack") or pytest.fail("nothing")
    store.failed(end, "token_revoked", None, doubtful=False, fallback="pagerduty")
    assert _kinds(drain(store, "pagerduty")) == [(1, "resolved")]
