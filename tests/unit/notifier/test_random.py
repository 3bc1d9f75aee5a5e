"""Random sequences of reports, provider answers, crashes, deeds and pauses: nothing lost, nothing twice, order kept, all true at last.

In CI some 40 s; for a longer look ZADS_TEST_EXAMPLES=2000.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifier.dispatch import Dispatcher
from notifier.holds import window_for
from notifier.message import Message
from notifier.model import Alert, Delivery, DeliveryError, Receipt
from notifier.plan import MAINTENANCE, QUIET, Audience, Plan, Step
from notifier.render import Renderer
from notifier.store import Store
from tests.unit.notifier.record import Clock, firing, make_store, resolved

EXAMPLES = int(os.environ.get("ZADS_TEST_EXAMPLES", "40"))
PAGES, TICKETS = ("0", "1", "2", "3"), ("4", "5")
MARKS = st.sampled_from(PAGES + TICKETS)
CHANNELS = ("pagerduty", "slack", "email")
STANDS_IN = "webhook"
PEOPLE = ("a@x", "b@x")
BOSS = "boss@x"  # told by the second step
REMINDER, ACKNOWLEDGED_FOR = 1800.0, 40_000.0
OUTCOMES = (
    *("ok", "ok", "ok", "away", "no answer", "wait an hour", "never", "one refuses", "one refuses for good"),
    *("killed before", "killed after", "killed at the mark"),
)


class _Killed(BaseException):
    """kill -9: nothing after it runs."""


class Provider:
    """What one provider has taken, by the delivery's name; it drops what it has taken before, as far as it can tell."""

    def __init__(self, name: str, machine: Machine) -> None:
        self.name, self.machine = name, machine
        self.outcome = "ok"
        self.taken: list[tuple[str, str, list[tuple[int, str]]]] = []  # who, key, what of which incident
        self.digest: list[tuple[int, str]] = []  # what the digest of this moment says
        self.asked_until = 0.0

    def send(self, delivery: Delivery, _message: Message) -> Receipt:
        assert self.machine.clock.now >= self.asked_until, "it asked not to be told before"
        if self.outcome == "killed before":
            raise _Killed
        if self.outcome == "away":
            raise DeliveryError("away")
        if self.outcome == "wait an hour":
            self.asked_until = self.machine.clock.now + 3600
            raise DeliveryError("too many", retry_after=3600)
        if self.outcome == "never":
            raise DeliveryError("revoked", permanent=True)
        everybody = (delivery.target,) if delivery.target else PEOPLE if self.name == "email" else ("",)
        missed = {who: error for who in everybody if (error := self._refuses(who))}
        for who in everybody:
            before = next((says for one, key, says in self.taken if (one, key) == (who, delivery.key)), None)
            if who not in missed and before is None:
                self.taken.append((who, delivery.key, self._says(delivery)))
            elif who not in missed and before is not None and delivery.kind == "digest":
                # The recipient's server drops it as a repetition: it must not tell of anything else.
                told = {number for number, _ in before}
                assert told == {number for number, _ in self.digest}, "a digest of one name told two sets"
        if self.outcome == "no answer":
            raise DeliveryError("cut", doubtful=True)
        if self.outcome == "killed after":
            raise _Killed
        if missed and len(missed) == len(everybody):
            raise next(iter(missed.values()))
        return Receipt({"ts": "1"} if self.name == "slack" and delivery.kind != "digest" else {}, missed)

    def _refuses(self, who: str) -> DeliveryError | None:
        if who != "b@x" or not self.outcome.startswith("one refuses"):
            return None
        return DeliveryError("b@x refuses", narrow=True, permanent=self.outcome.endswith("for good"))

    def _says(self, delivery: Delivery) -> list[tuple[int, str]]:
        if delivery.kind == "digest":
            return list(self.digest)
        kind: str = delivery.kind
        if kind == "resolved":
            # One that tells beginning and end is news of both; of one without an answer nobody knows.
            unsure = self.outcome in {"no answer", "killed after", "killed at the mark"}
            kind = "over" if unsure else "resolved" if delivery.told else "both"
        return [(delivery.incident.id, kind)]

    def told(self, who: str) -> dict[int, list[str]]:
        """Return what one recipient has read of each incident, in order."""
        found: dict[int, list[str]] = defaultdict(list)
        for person, _, says in self.taken:
            if person == who:
                for number, what in says:
                    found[number].append(what)
        return found


class Machine(RuleBasedStateMachine):
    """One notifier's record and workers, driven step by step."""

    @initialize()
    def begin(self) -> None:
        # In memory where there is such a place: a disk would be waited for at each commit.
        self.folder, self.clock = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)), Clock()  # noqa: PTH112
        self.providers = {name: Provider(name, self) for name in (*CHANNELS, STANDS_IN)}
        self.starts: dict[str, float] = {}
        self.past: list[tuple[str, float, float]] = []
        self.quiet_until = 0.0
        self.replayed = False
        self.open()

    def open(self) -> None:
        self.store: Store = make_store(self.folder, self.clock, plan=self._plan)
        self.dispatcher = Dispatcher(
            self.store,
            self.providers.values(),
            Renderer("http://n", clock=self.clock),
            fallback=self._fallback,
            clock=self.clock,
        )

    def _plan(self, labels: Mapping[str, str], severity: str, now: float) -> Plan:
        if severity == "ticket":
            held = (self.quiet_until, QUIET) if self.quiet_until > now else (0.0, "")
            return Plan("ticket", (Step(0.0, (Audience("email"), Audience("slack"))),), (), *held)
        steps = (
            Step(0.0, tuple(Audience(channel) for channel in CHANNELS)),
            Step(900.0, (Audience("email", BOSS), Audience("slack"))),
        )
        window = window_for(self.store.windows(), labels, now) if hasattr(self, "store") else None
        return Plan("page", steps, (), *((window.ends, f"{MAINTENANCE} {window.id}: disks") if window else (0.0, "")))

    @staticmethod
    def _fallback(refused: str, _labels: Mapping[str, str], _severity: str, _broken: Collection[str]) -> str | None:
        return STANDS_IN if refused != STANDS_IN else None

    # -- what comes in ---------------------------------------------------------------------------

    def _fire(self, marks: list[str], times: int) -> None:
        self.clock.now += 1
        for mark in marks:
            self.starts.setdefault(mark, self.clock.now)
        alerts = [self._alert(self.starts[mark], mark) for mark in marks]
        for _ in range(times):
            self.store.take(alerts)

    @staticmethod
    def _alert(at: float, mark: str) -> Alert:
        return firing(at, mark, severity="ticket" if mark in TICKETS else "page", labels={"mark": mark})

    @rule(marks=st.lists(MARKS, min_size=1, max_size=4), times=st.integers(1, 2))
    def fires(self, marks: list[str], times: int) -> None:
        self._fire(marks, times)

    @rule(mark=MARKS, late_copy=st.booleans())
    def ends(self, mark: str, late_copy: bool) -> None:
        began = self.starts.pop(mark, None)
        if began is None:
            return
        self.clock.now += 1
        self.store.take([resolved(began, self.clock.now, mark)])
        self.past.append((mark, began, self.clock.now))
        if late_copy:
            assert self.store.take([self._alert(began, mark)]) == set()

    @rule(mark=MARKS)
    def fires_anew_before_its_end_is_told(self, mark: str) -> None:
        """A new startsAt comes first, the end of the former episode after it: the incident goes on."""
        began = self.starts.get(mark)
        if began is None:
            return
        self.clock.now += 2
        self.starts[mark] = self.clock.now
        assert self.store.take([self._alert(self.clock.now, mark)]) == set()
        assert self.store.take([resolved(began, self.clock.now - 1, mark)]) == set()

    @precondition(lambda self: bool(getattr(self, "past", None)))
    @rule(which=st.integers(0, 100))
    def an_old_end_comes_again(self, which: int) -> None:
        mark, began, ended = self.past[which % len(self.past)]
        assert self.store.take([resolved(began, ended, mark)]) == set()

    @rule(number=st.integers(0, 50))
    def storm(self, number: int) -> None:
        self._fire([f"s{number}-{i}" for i in range(22)], 1)

    # -- what time and people bring --------------------------------------------------------------

    def _look(self) -> None:
        """Do what the watch does every ten seconds."""
        self.store.return_leases()
        self.store.escalate()
        self.store.forget_acknowledgements(ACKNOWLEDGED_FOR)
        self.store.remind(REMINDER)

    @rule(seconds=st.sampled_from([1, 10, 130, 1000, 4000, 20_000]))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        self._look()

    @rule(number=st.integers(1, 8), at_pagerduty=st.booleans())
    def acknowledged(self, number: int, at_pagerduty: bool) -> None:
        self.store.acknowledge(number, "ada", self.clock.now if at_pagerduty else None)

    @rule(number=st.integers(1, 8))
    def taken_back(self, number: int) -> None:
        self.store.unacknowledge(number, "taken back by ada")

    @rule(seconds=st.sampled_from([600, 5000]))
    def quiet_hours(self, seconds: int) -> None:
        self.quiet_until = self.clock.now + seconds

    @rule(mark=MARKS, seconds=st.sampled_from([600, 5000]))
    def planned_work(self, mark: str, seconds: int) -> None:
        self.store.add_window(self.clock.now, self.clock.now + seconds, [f'mark="{mark}"'], "disks", "ada")

    @rule(number=st.integers(1, 3))
    def planned_work_ends_early(self, number: int) -> None:
        self.store.end_window(number)

    # -- what goes out ---------------------------------------------------------------------------

    @rule(name=st.sampled_from((*CHANNELS, STANDS_IN)), outcome=st.sampled_from(OUTCOMES), steps=st.integers(1, 6))
    def sends(self, name: str, outcome: str, steps: int) -> None:
        self.providers[name].outcome = outcome
        try:
            for _ in range(steps):
                if not self._step(name):
                    return
        except _Killed:
            self.killed()

    @rule()
    def killed(self) -> None:
        self.store.close()
        self.open()

    @rule(name=st.sampled_from(CHANNELS), hours=st.integers(1, 4))
    def away_for_hours(self, name: str, hours: int) -> None:
        self.providers[name].outcome = "away"
        for _ in range(hours * 2):
            self.clock.now += 1800
            self._look()
            self._step(name)

    def _step(self, name: str) -> bool:
        """Do what the channel's worker does once; a provider's pause is kept by it."""
        if self.dispatcher.books[name].held_until > self.clock.now or self.providers[name].asked_until > self.clock.now:
            return False
        store, provider = self.store, self.providers[name]
        many, claim, sent, sent_many = store.storm, store.claim, store.sent, store.sent_many

        def noted(channel: str, least: int) -> list[Delivery]:
            found = many(channel, least)
            if found:
                # Each incident once, with its state of now.
                last = {d.incident.id: "over" if d.incident.state == "resolved" else "firing" for d in found}
                provider.digest = list(last.items())
                self._in_turn(found)
            return found

        def claimed(channel: str) -> Delivery | None:
            found = claim(channel)
            if found:
                self._in_turn([found])
            return found

        def killed_at_the_mark(real: Callable[..., None]) -> Callable[..., None]:
            def call(*words: object) -> None:
                if provider.outcome == "killed at the mark":
                    raise _Killed
                real(*words)

            return call

        store.storm, store.claim = noted, claimed  # type: ignore[method-assign]
        store.sent, store.sent_many = killed_at_the_mark(sent), killed_at_the_mark(sent_many)  # type: ignore[method-assign]
        try:
            return self.dispatcher._storm(name) or self.dispatcher._one(name)
        finally:
            store.storm, store.claim = many, claim  # type: ignore[method-assign]
            store.sent, store.sent_many = sent, sent_many  # type: ignore[method-assign]

    def _in_turn(self, deliveries: list[Delivery]) -> None:
        """Nothing goes before its time, nor after what was written later for the same recipient."""
        for one in deliveries:
            row = self.store._read("SELECT not_before FROM deliveries WHERE id=?", one.id)[0]
            assert row["not_before"] <= self.clock.now, ("sent before its time", one.id)
            if not self.replayed and not one.target:
                later = "SELECT 1 FROM deliveries WHERE incident=? AND channel=? AND target='' AND state='sent' AND id>?"
                assert not self.store._read(later, one.incident.id, one.channel, one.id), ("out of its order", one.id)

    @invariant()
    def nothing_twice(self) -> None:
        for provider in getattr(self, "providers", {}).values():
            assert max(Counter(one[:2] for one in provider.taken).values(), default=1) == 1

    # -- at last ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self._heal()
            self._stood_in_for()
            self.replayed = True
            self.store.replay()
            self._heal()
            self._all_true()
            self._silent_only_where_acknowledged()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _heal(self) -> None:
        """All providers are well again, nothing is held back any more: everything that waits goes out."""
        for provider in self.providers.values():
            provider.outcome = "ok"
        for _ in range(200):
            self.clock.now += 901
            self.store.return_leases()
            for name in self.providers:
                while self._step(name):
                    pass
            waiting = self.store._read("SELECT id, channel, kind FROM deliveries WHERE state IN ('pending', 'claimed')")
            if not waiting:
                return
        raise AssertionError(f"it still waits: {[tuple(row) for row in waiting]}")

    def _stood_in_for(self) -> None:
        """What a provider refuses for good another one tells, as long as it is true."""
        told = self.providers[STANDS_IN].told("")
        query = "SELECT DISTINCT incident FROM deliveries WHERE state='parked' AND kind='firing' AND target=''"
        for (number,) in self.store._read(query):
            assert told.get(number), ("nobody stood in", number)

    def _all_true(self) -> None:
        for incident in self.store.recent_incidents(10_000):
            rows = self.store._read("SELECT * FROM deliveries WHERE incident=?", incident.id)
            # What was over within its planned work or quiet hours nobody has to hear of.
            spared = incident.state == "resolved" and any(row["held"] for row in rows)
            escalated = any(row["target"] == BOSS and row["state"] == "sent" for row in rows)
            for name in CHANNELS if incident.severity == "page" else ("slack", "email"):
                for who in PEOPLE if name == "email" else ("",):
                    told = self.providers[name].told(who).get(incident.id, [])
                    self._check(incident.id, incident.state, told, may_be_silent=spared)
            boss = self.providers["email"].told(BOSS).get(incident.id, [])
            self._check(incident.id, incident.state, boss, may_be_silent=not escalated)

    @staticmethod
    def _check(number: int, state: str, told: list[str], *, may_be_silent: bool) -> None:
        where = (number, state, told)
        news = [kind for kind in told if kind != "acknowledged"]
        assert news or may_be_silent, where  # nothing lost
        if not news:
            return
        if state == "resolved":
            assert news[-1] in {"resolved", "both", "over"}, where
        else:
            assert news[-1] in {"firing", "reminder"}, where
        for before, after in pairwise(news):
            # After a digest, or an end of which nobody knows whether it arrived, the end may come once more.
            assert not (before in {"resolved", "both"} and after in {"resolved", "reminder"}), where

    def _silent_only_where_acknowledged(self) -> None:
        """Half an hour later each page that nobody acknowledged is told again to all; the others are in peace."""
        self._later(6000)  # planned work is over by then
        open_pages = [one for one in self.store.open_incidents() if one.severity == "page"]
        before = {name: {number: len(says) for number, says in p.told("").items()} for name, p in self.providers.items()}
        mails = {number: len(says) for number, says in self.providers["email"].told("a@x").items()}
        self._later(REMINDER + 1)
        for incident in open_pages:
            more = [
                len(self.providers[name].told("")[incident.id]) - before[name].get(incident.id, 0)
                for name in ("pagerduty", "slack")
            ]
            more.append(len(self.providers["email"].told("a@x")[incident.id]) - mails.get(incident.id, 0))
            if incident.state == "acknowledged":
                assert more == [0, 0, 0], (incident.id, more)
            else:
                # The second step tells Slack and the boss; the next reminder tells all.
                stepped = incident.step == 1 and incident.step_at is not None
                assert more[1] >= 1 and (stepped or min(more) >= 1), (incident.id, more)

    def _later(self, seconds: float) -> None:
        self.clock.now += seconds
        self.store.escalate()
        self.store.remind(REMINDER)
        for name in self.providers:
            while self._step(name):
                pass


Machine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # To make a failure small takes minutes: ZADS_TEST_SHRINK=1 when there is one.
    phases=[phase for phase in Phase if phase != Phase.shrink or os.environ.get("ZADS_TEST_SHRINK")],
)
TestRandom = Machine.TestCase
TestRandom.__doc__ = (
    "Each recipient of each channel: something of every incident, its true state last, in order, nothing twice, silence"
    " only where somebody acknowledged."
)
