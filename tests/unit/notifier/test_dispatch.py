"""The workers: no defect ends one, no bad mailbox holds up the others, health is what is true."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifier.channels import Channel
from notifier.dispatch import Dispatcher
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt
from notifier.render import Renderer
from notifier.store import Store
from tests.unit.notifier.record import Clock, firing, make_store
from tests.unit.notifier.site import wait


class Fake:
    """A channel that answers what the test wants."""

    def __init__(self, name: str = "slack") -> None:
        self.name = name
        self.answers: list[Exception | Receipt] = []
        self.sent: list[tuple[Delivery, Message]] = []

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        answer = self.answers.pop(0) if self.answers else Receipt()
        if isinstance(answer, Exception):
            raise answer
        self.sent.append((delivery, message))
        return answer


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, Clock(time.time()))


@pytest.fixture
def slack() -> Fake:
    return Fake()


@pytest.fixture
def dispatcher(store: Store, slack: Channel) -> Iterator[Dispatcher]:
    one = Dispatcher(store, [slack], Renderer("http://n"))
    yield one
    one.stop(2)


def _storm(store: Store) -> None:
    store.take([firing(time.time(), str(number)) for number in range(25)])


def test_a_defect_in_a_digest_does_not_end_the_worker(store: Store, slack: Fake, dispatcher: Dispatcher) -> None:
    """An exception that nobody foresaw: tried again as the same digest, by the same worker."""
    slack.answers = [ValueError("boom")]
    _storm(store)
    dispatcher.start()
    wait(lambda: dispatcher.books["slack"].outcomes["failed"] == 1)
    assert dispatcher.running("slack")
    store._clock.now += 20  # type: ignore[attr-defined]
    dispatcher.wake(["slack"])
    wait(lambda: slack.sent, 15)
    assert slack.sent[0][0].doubtful
    wait(lambda: store.queue().get("slack") is None)


def test_a_defect_outside_of_the_channel_does_not_end_the_worker(
    store: Store, slack: Fake, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, what was claimed is given back, and the channel is not called healthy while it goes on."""
    calls = iter(range(1000))
    again_in = dispatcher._again_in

    def broken(receipt: Receipt, attempts: int) -> dict[str, float]:
        if next(calls) < 1:
            raise TypeError("a defect of ours")
        return again_in(receipt, attempts)

    monkeypatch.setattr(dispatcher, "_again_in", broken)
    store.take([firing(time.time())])
    dispatcher.start()
    wait(lambda: dispatcher.books["slack"].outcomes["failed"] == 1)
    wait(lambda: store.queue()["slack"][0] == 1)
    assert dispatcher.running("slack")
    store._clock.now += 60  # type: ignore[attr-defined]
    dispatcher.wake(["slack"])
    wait(lambda: len(slack.sent) == 2, 15)
    assert slack.sent[1][0].doubtful


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_worker_is_no_healthy_channel(dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ended it, the metric and the page say so."""

    def end(_name: str) -> None:
        raise SystemExit

    monkeypatch.setattr(dispatcher, "_step", end)
    assert dispatcher.healthy("slack")
    dispatcher.start()
    wait(lambda: not dispatcher.running("slack"))
    assert not dispatcher.healthy("slack")


def test_one_recipient_that_refuses_is_counted_and_makes_the_channel_unhealthy(
    store: Store, slack: Fake, dispatcher: Dispatcher
) -> None:
    """The others have the mail: sent, refused, ChannelUnhealthy; yet the channel works for what stands in for others."""
    slack.answers = [Receipt(missed={"b@x": DeliveryError("550 unknown", permanent=True, narrow=True)})]
    store.take([firing(time.time())])
    assert dispatcher._one("slack")
    book = dispatcher.books["slack"]
    assert (book.outcomes["sent"], book.outcomes["refused"]) == (1, 1)
    assert book.works
    assert not dispatcher.healthy("slack")
    store.take([firing(time.time(), "g")])
    assert dispatcher._one("slack")
    assert dispatcher.healthy("slack")


def test_a_full_mailbox_holds_back_nobody_else(store: Store, slack: Fake, dispatcher: Dispatcher) -> None:
    """Four pages, one of two mailboxes is full each time: the circuit stays closed."""
    full = DeliveryError("452 full", narrow=True)
    slack.answers = [Receipt(missed={"b@x": full}) for _ in range(4)]
    for number in range(4):
        store.take([firing(time.time(), str(number))])
        assert dispatcher._one("slack")
    book = dispatcher.books["slack"]
    assert (len(slack.sent), book.held_until, book.works) == (4, 0.0, True)


def test_a_channel_whose_only_mailbox_is_full_is_broken_and_not_held(
    store: Store, slack: Fake, dispatcher: Dispatcher
) -> None:
    """Each message has its own back-off; the server itself answers."""
    slack.answers = [DeliveryError("452 full", narrow=True) for _ in range(3)]
    for number in range(3):
        store.take([firing(time.time(), str(number))])
        assert dispatcher._one("slack")
    book = dispatcher.books["slack"]
    assert (book.works, book.held_until) == (False, 0.0)


def test_a_provider_that_is_away_is_probed_once_a_minute(store: Store, slack: Fake, dispatcher: Dispatcher) -> None:
    """The circuit opens after three failures in a row."""
    slack.answers = [DeliveryError("connection refused") for _ in range(3)]
    for number in range(3):
        store.take([firing(time.time(), str(number))])
        assert dispatcher._one("slack")
    assert 0 < dispatcher.books["slack"].held_until - time.time() <= 60


def test_stopping_waits_for_all_workers_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that hang cost the time of one: the service manager's patience is limited."""
    channels: list[Any] = [Fake("slack"), Fake("email")]
    dispatcher = Dispatcher(store, channels, Renderer("http://n"))
    monkeypatch.setattr(dispatcher, "_step", lambda _name: time.sleep(3))
    dispatcher.start()
    begin = time.monotonic()
    dispatcher.stop(0.5)
    assert time.monotonic() - begin < 1.5
