"""Run a drill: wait for quiet, look, cause the fault, wait for what has to be told, look again, heal, wait for the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.drills import checks
from tests.drills.judge import RUN_WIDE, Outcome, Seen, besides, first_letter, outcomes, verdict
from tests.drills.letters import Letter
from tests.drills.model import OUTSIDE, Drill, Stage, Told
from tests.drills.stand import Stand
from zads.runbook import runbook_text

_QUIET_WITHIN = 660.0  # a restart is noted for 10 min
_PATIENCE = 1.25  # what comes late is waited for, to say how late
_POLL = 1.0  # messages carry the time of their arrival
_OUTAGE = "ServiceJustBack|ServiceRecovering"
_LABELS = "alertname, service, host, community, job, channel, stage, severity, mountpoint, source"
_OURS = 'zads:service_info{part="public"}'
_TROUBLE = f'max by ({_LABELS}) (ALERTS{{severity=~"page|ticket"}})'


@dataclass(frozen=True)
class Check:
    """One of the runbook's commands, and whether it told the difference."""

    alert: str
    command: str
    healthy: str
    faulty: str
    differs: bool


@dataclass(frozen=True)
class Result:
    """What came of a drill."""

    drill: Drill
    at: float
    outcomes: list[Outcome]
    besides: list[str]
    wrong: list[str]
    letters: list[Letter]
    checks: list[Check]


@dataclass
class Conductor:
    """Runs drills on one stack; those that run beside each other know each other by it."""

    stand: Stand
    say: Callable[[str], None]
    running: list[Drill] = field(default_factory=list)
    done: list[Drill] = field(default_factory=list)
    well: dict[str, list[str]] = field(default_factory=dict)  # what each check printed while all was well
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def _among(self, drill: Drill) -> Iterator[None]:
        with self._lock:
            self.running.append(drill)
        try:
            yield
        finally:
            with self._lock:
                self.running.remove(drill)
                self.done.append(drill)

    def others(self, drill: Drill) -> Callable[[str, Mapping[str, str]], bool]:
        """Return whether an alert belongs to a drill that runs beside this one, or lingers of one before."""
        with self._lock:
            them = [one for one in self.running if one is not drill]
            them += [one for one in self.done if one.stays and one is not drill]
        return lambda alert, labels: any(one.owns(alert, labels) for one in them)

    def run(self, drill: Drill) -> Result:
        """Run one drill from quiet to quiet."""
        begun = time.time()
        with self._among(drill):
            noise = self._quiet(drill)
            if noise:
                self.say(f"{drill.name}: not begun, {noise}")
                return Result(drill, begun, [], [], [f"not begun: {noise}"], [], [])
            return self._run(drill)

    def _run(self, drill: Drill) -> Result:
        self._look_healthy(drill)
        beside = self.others(drill)  # those that run now; one that ends meanwhile still explains what it caused
        before = len(self.stand.inbox())
        begun, caused, troubles = time.time(), list[float](), list[str]()
        found: list[Check] = []
        for number, stage in enumerate(drill.stages):
            caused.append(time.time())
            self.say(f"{drill.name}: zads sim {'; '.join(stage.causes)}")
            try:
                for words in stage.causes:
                    self.stand.sim(words)
            except RuntimeError as error:
                troubles.append(str(error))
                break
            self._await(drill, stage, caused[-1], before)
            if not stage.must:
                self._watch(stage)  # a note needs its time to be seen
            if number == 0:
                found = self._look_faulty(drill)
            if stage.must:
                self._watch(stage)
        healed = time.time()
        if drill.heals:
            try:
                self.stand.sim(f"heal {' '.join(drill.heals)}")
            except RuntimeError as error:
                troubles.append(str(error))
        if drill.resolve and not troubles:
            self._await_end(drill, healed, before)
        self._sight(drill)
        now = time.time()
        letters = self.stand.letters(before)
        fired, events = self.stand.fired(begun, now), self.stand.record.events(begun - 1)
        seen = Seen(drill, caused, healed, now, letters, fired, events, troubles)
        results = outcomes(seen)

        def not_mine(alert: str, labels: Mapping[str, str]) -> bool:
            return beside(alert, labels) or self.others(drill)(alert, labels)

        wrong = verdict(seen, results, not_mine)
        mine = [one for one in letters if not not_mine(one.alert, one.labels)]
        silent = [c for c in found if not c.differs]
        self.say(
            f"{drill.name}: {'; '.join(wrong) or 'as it should'}{f' ({len(silent)} checks tell nothing)' if silent else ''}"
        )
        return Result(drill, begun, results, besides(seen, not_mine), wrong, mine, found)

    def _quiet(self, drill: Drill) -> str:
        """Wait until nothing is wrong but what others do; return what still is after a while."""
        deadline, calm, why, told = time.monotonic() + _QUIET_WITHIN, 0, "", 0.0
        while time.monotonic() < deadline:
            why = self._noise(drill)
            calm = 0 if why else calm + 1
            if calm == 3:
                return ""
            if why and time.monotonic() - told > 60:
                told = time.monotonic()
                self.say(f"{drill.name}: waits, {why}")
            time.sleep(2)
        return why

    def _noise(self, drill: Drill) -> str:
        """Return what keeps it from being quiet, "" when nothing does."""
        stand, others = self.stand, self.others(drill)
        alone = not any(one is not drill and one.stages[0].causes != ("fill",) for one in self.running)
        if alone and (down := stand.not_running()):
            return ", ".join(down)
        if not stand.ask("up{job='prometheus'} == 1"):
            return "Prometheus does not answer"
        for one in stand.ask(_TROUBLE):
            labels = {key: value for key, value in one.labels.items() if value}
            if not others(labels["alertname"], labels) and labels["alertname"] not in RUN_WIDE:
                return f"{labels['alertname']} is pending or fires"
        for alert, labels in stand.record.open():
            if not others(alert, labels) and alert not in RUN_WIDE:
                return f"the notifier has {alert} open"
        if alone and stand.record.waiting():
            return "messages wait for a channel"
        if drill.silenced and (still := stand.ask(f'ALERTS{{alertname=~"{_OUTAGE}", alertstate="firing"}}')):
            return f"{still[0].labels.get('service', '?')} is just back, which silences what is expected"
        notes = [note for stage in drill.stages for note in stage.notes]
        if notes and stand.ask(f'ALERTS{{alertname=~"{"|".join(notes)}", alertstate="firing"}} and on (service) {_OURS}'):
            return f"{', '.join(notes)} of an earlier one still stands"
        if drill.needs and not stand.ask(drill.needs):
            return f"not yet: {drill.sees}"
        return ""

    def _look_healthy(self, drill: Drill) -> None:
        text = runbook_text() or ""
        for command in [c for alert in drill.sections for c in checks.commands(text, alert)]:
            with self._lock:
                known = self.well.setdefault(command, [])
            while len(known) < 2:
                known.append(checks.run(command, self.stand.root))

    def _look_faulty(self, drill: Drill) -> list[Check]:
        text, found = runbook_text() or "", []
        for alert in drill.sections:
            for command in checks.commands(text, alert):
                well = self.well.get(command, [])
                ill = checks.run(command, self.stand.root)
                found.append(Check(alert, command, well[-1] if well else "", ill, checks.differ(well, ill)))
        return found

    def _await(self, drill: Drill, stage: Stage, cause: float, before: int) -> None:
        """Wait until all that the stage has to bring is told, or too long."""
        wanted = [(told, channel) for told in stage.must for channel in told.by]
        while wanted:
            letters = self.stand.letters(before)
            left = [(t, c) for t, c in wanted if not first_letter(letters, t, c, cause)]
            for told in {t.alert: t for t, _ in wanted if t not in [x for x, _ in left]}.values():
                self.say(
                    f"{drill.name}: {told.alert} {told.state} by {', '.join(told.by)} after {time.time() - cause:.0f} s"
                )
            wanted = [(t, c) for t, c in left if time.time() - cause < t.within * _PATIENCE]
            time.sleep(_POLL)

    @staticmethod
    def _watch(stage: Stage) -> None:
        time.sleep(stage.watch)

    def _await_end(self, drill: Drill, healed: float, before: int) -> None:
        wanted = [(t, channel) for t in drill.must if t.state == "firing" for channel in t.by]
        while wanted and time.time() - healed < drill.resolve * _PATIENCE:
            letters = self.stand.letters(before)
            told = {(t, c): first_letter(letters, t, c, 0) for t, c in wanted}
            wanted = [
                (t, c) for (t, c), first in told.items() if first and not any(_is_end(one, t, c, first) for one in letters)
            ]
            time.sleep(_POLL)

    def _sight(self, drill: Drill) -> None:
        """Wait until Prometheus can be asked what it saw."""
        deadline = time.monotonic() + 90
        while not self.stand.ask("up") and time.monotonic() < deadline:
            time.sleep(1)


def _is_end(letter: Letter, told: Told, channel: str, first: Letter) -> bool:
    about = letter.alert == told.alert if letter.via != "notifier" else told.fits(letter.alert, letter.labels)
    return about and letter.channel == channel and letter.state == "resolved" and not letter.silent and letter.at > first.at


__all__ = ["OUTSIDE", "Check", "Conductor", "Result"]
