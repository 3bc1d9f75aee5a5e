"""How alerts flow: IPAC's log, MirrorMaker, the public log, the communities' readers. Positions by time, no names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tests.replay.scenario import Reader, Scenario
from tests.replay.sky import Exposures, Night, exposures
from zads.config import Config

MIRROR_RATE = 2000.0  # alerts per second
TASK = 0.25  # share of the partitions that one task copies
_USUAL = {"lasair": Reader(batch=250)}
_PROGRAMS = (1, 2, 3)
_HOST_PARTS = ("public", "mirror")


@dataclass
class Community:
    """What a community took and committed, in alerts since the first one, by time."""

    taken: np.ndarray
    committed: np.ndarray
    connected: np.ndarray


class Flow:
    """Play a scenario; `times` are its steps in seconds after its begin, from its lead on."""

    def __init__(self, scenario: Scenario, config: Config) -> None:
        self.scenario, self.config = scenario, config
        step = scenario.step
        self.times = np.arange(-scenario.lead, scenario.hours * 3600 + step / 2, step)
        self.dice = np.random.default_rng(scenario.seed)
        self.exposures: Exposures = exposures(scenario, self.dice)
        self.arrived = {program: np.cumsum(self._per_step(self.exposures.program == program)) for program in _PROGRAMS}
        self.upstream = self.arrived[1]
        # Of what one failed task of four held up, `unhindered` knows nothing: it says when the others' alerts came.
        self.public, self.unhindered, self.stuck_since = self._mirror()
        self.communities = {c.name: self._read(c.name) for c in config.communities}

    def during(self, kind: str, what: str | None = None) -> np.ndarray:
        """Tell at which steps a trouble is there."""
        found = np.zeros(len(self.times), dtype=bool)
        for fault in self.scenario.of(kind, what):
            found |= (self.times >= fault.begin) & (self.times < fault.end)
        return found

    def gone(self, part: str) -> np.ndarray:
        """Tell at which steps a part of the stream does not work: dead, hanging, unreachable, its host gone."""
        gone = self.during("dead", part) | self.during("hangs", part)
        return gone | self.during("host gone") if part in _HOST_PARTS else gone

    @cached_property
    def nightly(self) -> dict[int, list[tuple[Night, float, float]]]:
        """For each program its nights with alerts: where they begin and end in the program's log."""
        books, found = self.exposures, {}
        seen = books.record >= self.times[0]
        for program in _PROGRAMS:
            chosen = seen & (books.program == program)
            alerts = np.bincount(books.night[chosen], books.alerts[chosen], minlength=len(books.nights))
            ends = np.cumsum(alerts)
            rows = zip(books.nights, ends - alerts, ends, strict=True)
            found[program] = [(one, float(begin), float(end)) for one, begin, end in rows if end > begin]
        return found

    def _per_step(self, wanted: np.ndarray) -> np.ndarray:
        """Return alerts that come on record in each step; an exposure's alerts come within it."""
        step, first = self.scenario.step, self.times[0]
        index = np.ceil((self.exposures.record[wanted] - first) / step).astype(int)
        inside = (index >= 0) & (index < len(self.times))
        return np.bincount(index[inside], self.exposures.alerts[wanted][inside], minlength=len(self.times))

    def _capped(self, source: np.ndarray, rate: np.ndarray) -> np.ndarray:
        """Return how far a reader of `source` comes that takes at most `rate` alerts per second."""
        allowed, position, result = (rate * self.scenario.step).tolist(), 0.0, []
        for end, most in zip(source.tolist(), allowed, strict=True):
            position = min(end, position + most)
            result.append(position)
        return np.array(result)

    def _mirror(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return how far the public log reaches, did so without a failed task, and since when its alerts wait (nan: none)."""
        rate = np.full(len(self.times), MIRROR_RATE)
        for fault in self.scenario.of("mirror slow"):
            rate[(self.times >= fault.begin) & (self.times < fault.end)] = fault.by
        for part in ("upstream", "mirror", "public"):
            rate[self.gone(part)] = 0.0
        rate[self.during("stalled")] = 0.0
        unhindered, since = self._capped(self.upstream, rate), np.full(len(self.times), np.nan)
        public = unhindered.copy()
        for fault in self.scenario.of("task failed"):
            failed = (self.times >= fault.begin) & (self.times < fault.end)
            first = int(np.argmax(failed))
            public[failed] -= np.floor(TASK * (public[failed] - public[first]))
            waits = failed & (self.upstream > self.upstream[first])
            since[waits] = self.times[int(np.argmax(waits))]
        return public, unhindered, since

    def _read(self, name: str) -> Community:
        reader = self.scenario.readers.get(name, _USUAL.get(name, Reader()))
        away = self.during("away", name) | self.gone("public")
        rate = np.full(len(self.times), reader.rate)
        for fault in self.scenario.of("slow", name):
            rate[(self.times >= fault.begin) & (self.times < fault.end)] = fault.by
        rate[away] = 0.0
        taken = self._capped(self.public, rate)
        committed = np.floor(taken / reader.batch) * reader.batch
        mute = self.during("never commits", name)
        if mute.any():
            first = int(np.argmax(mute))
            committed[mute] = committed[max(0, first - 1)]
        return Community(taken, committed, ~away)

    def age(self, log: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Return the age of the oldest alert in the log beyond the position, 0 where there is none."""
        first = np.searchsorted(log, position, side="right")
        age = (np.arange(len(log)) - first) * float(self.scenario.step)
        return np.where(position < log, np.maximum(age, 2.0), 0.0)
