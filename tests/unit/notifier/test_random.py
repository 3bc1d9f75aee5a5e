"""Random sequences of reports, provider answers, crashes and pauses: nothing lost, nothing twice, order kept, all true at last."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from notifier.dispatch import Dispatcher
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt
from notifier.render import Renderer
from notifier.store import Store
from tests.unit.notifier.record import ROUTES, Clock, firing, make_store, resolved

MARKS = st.integers(0, 5).map(str)
CHANNELS = ("pagerduty", "slack", "email")
PEOPLE = ("a@x", "b@x")


class _Killed(BaseException):
    """kill -9: nothing after it runs."""


class Provider:
    """What one provider has taken, by the delivery's name; it drops what it has taken before, as far as it can tell."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.outcome = "ok"
        self.taken: list[tuple[str, str, list[tuple[int, str]]]] = []  # who, key, what of which incident
        self.digest: list[tuple[int, str]] = []  # what the digest of this moment says

    def send(self, delivery: Delivery, _message: Message) -> Receipt:
        if self.outcome == "away":
            raise DeliveryError("away")
        people = PEOPLE if self.name == "email" else ("",)
        missed: dict[str, DeliveryError] = {}
        for who in (delivery.target,) if delivery.target else people:
            if self.outcome == "one refuses" and who == "b@x":
                missed[who] = DeliveryError("b@x: 450", narrow=True)
                continue
            seen = any(one[:2] == (who, delivery.key) for one in self.taken)
            if not seen:
                kind: str = delivery.kind
                if kind == "resolved":
                    # One that tells beginning and end is news of both; of one without an answer nobody knows.
                    unsure = self.outcome in {"no answer", "killed"}
                    kind = "over" if unsure else "resolved" if delivery.told else "both"
                says: list[tuple[int, str]] = list(self.digest) if kind == "digest" else [(delivery.incident.id, kind)]
                self.taken.append((who, delivery.key, says))
        if self.outcome == "no answer":
            raise DeliveryError("cut", doubtful=True)
        if self.outcome == "killed":
            raise _Killed
        if missed and len(missed) == len((delivery.target,) if delivery.target else people):
            raise next(iter(missed.values()))
        return Receipt({"ts": "1"} if self.name == "slack" and delivery.kind != "digest" else {}, missed)


class Machine(RuleBasedStateMachine):
    """One notifier's record and workers, driven step by step."""

    @initialize()
    def begin(self) -> None:
        self.folder, self.clock = Path(tempfile.mkdtemp()), Clock()
        self.providers = {name: Provider(name) for name in CHANNELS}
        self.starts: dict[str, float] = {}
        self.sets: dict[tuple[str, str], list[int]] = {}
        self.open()

    def open(self) -> None:
        self.store: Store = make_store(self.folder, self.clock)
        self.dispatcher = Dispatcher(
            self.store, self.providers.values(), Renderer("http://n", clock=self.clock), clock=self.clock
        )

    @rule(marks=st.lists(MARKS, min_size=1, max_size=4), times=st.integers(1, 2))
    def fires(self, marks: list[str], times: int) -> None:
        self.clock.now += 1
        for mark in marks:
            self.starts.setdefault(mark, self.clock.now)
        for _ in range(times):
            self.store.take([firing(self.starts[mark], mark) for mark in marks])

    @rule(mark=MARKS, late_copy=st.booleans())
    def ends(self, mark: str, late_copy: bool) -> None:
        began = self.starts.pop(mark, None)
        if began is None:
            return
        self.clock.now += 1
        self.store.take([resolved(began, self.clock.now, mark)])
        if late_copy:
            assert self.store.take([firing(began, mark)]) == set()

    @rule(number=st.integers(0, 50))
    def storm(self, number: int) -> None:
        marks = [f"s{number}-{i}" for i in range(22)]
        self.fires(marks, 1)

    @rule(seconds=st.sampled_from([1, 10, 130, 1000, 4000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        self.store.return_leases()
        self.store.remind(1800)

    @rule(number=st.integers(1, 8))
    def acknowledged(self, number: int) -> None:
        self.store.acknowledge(number, "ada")

    @rule(
        name=st.sampled_from(CHANNELS),
        outcome=st.sampled_from(["ok", "ok", "away", "no answer", "killed", "one refuses"]),
        steps=st.integers(1, 6),
    )
    def sends(self, name: str, outcome: str, steps: int) -> None:
        self.providers[name].outcome = outcome
        try:
            for _ in range(steps):
                if not self._step(name):
                    return
        except _Killed:
            self.store.close()
            self.open()

    def _step(self, name: str) -> bool:
        many = self.store.storm

        def noted(channel: str, least: int) -> list[Delivery]:
            found = many(channel, least)
            if found:
                same = [d.incident.id for d in found]
                assert self.sets.setdefault((channel, found[0].key), same) == same, "a digest of one name told two sets"
                # Each incident once, with its state of now.
                last = {d.incident.id: "over" if d.incident.state == "resolved" else "firing" for d in found}
                self.providers[channel].digest = list(last.items())
            return found

        self.store.storm = noted  # type: ignore[method-assign]
        try:
            return self.dispatcher._storm(name) or self.dispatcher._one(name)
        finally:
            self.store.storm = many  # type: ignore[method-assign]

    def _told(self, name: str, who: str) -> dict[int, list[str]]:
        """Return what one recipient has read of each incident, in order."""
        told: dict[int, list[str]] = {}
        for person, _, says in self.providers[name].taken:
            if person == who:
                for number, what in says:
                    told.setdefault(number, []).append(what)
        return told

    @invariant()
    def nothing_twice(self) -> None:
        if not hasattr(self, "providers"):
            return
        for provider in self.providers.values():
            assert max(Counter(one[:2] for one in provider.taken).values(), default=1) == 1

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self._heal()
            for incident in self.store.recent_incidents(10_000):
                for name in ROUTES["page"]:
                    for who in PEOPLE if name == "email" else ("",):
                        self._check(incident.id, incident.state, self._told(name, who).get(incident.id, []))
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _heal(self) -> None:
        """All providers are well again: everything that waits goes out."""
        for provider in self.providers.values():
            provider.outcome = "ok"
        for _ in range(200):
            self.clock.now += 901
            self.store.return_leases()
            for name in CHANNELS:
                while self._step(name):
                    pass
            if not self.store.queue():
                return
        raise AssertionError(f"it still waits: {self.store.queue()}")

    @staticmethod
    def _check(number: int, state: str, told: list[str]) -> None:
        where = (number, state, told)
        assert told, where  # nothing lost
        news = [kind for kind in told if kind != "acknowledged"]
        if state == "resolved":
            assert news[-1] in {"resolved", "both", "over"}, where
        else:
            assert news and news[-1] in {"firing", "reminder"}, where
        for before, after in pairwise(news):
            # After a digest, or an end of which nobody knows whether it arrived, the end may come once more.
            assert not (before in {"resolved", "both"} and after in {"resolved", "reminder"}), where


Machine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRandom = Machine.TestCase
TestRandom.__doc__ = (
    "Each recipient of each channel: something of every incident, its true state last, in order, nothing twice."
)
