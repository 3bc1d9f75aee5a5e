"""What happens on the topics while lag in seconds is watched: how many messages came, how fast they are read."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass

PARTITIONS = 2
EXPOSURE_EVERY = 38.7
BACKLOG_SECONDS = 86_400.0
BACKLOG = 3_000
Steps = Callable[[float], float]


@dataclass(frozen=True)
class Scenario:
    """One topic and one group on it; `made` is how many messages came until t, `reads` how many a second are read.

    `t` is in seconds since the beginning. `backlog` are the ages in seconds of messages that came before it, oldest
    first, of which the group has read `read`.
    """

    name: str
    what: str
    made: Steps
    reads: Steps
    backlog: tuple[float, ...] = ()
    read: int = 0

    @property
    def topic(self) -> str:
        """The topic; the group has the same name."""
        return f"seconds-{self.name}"


class Player:
    """One scenario as it goes on: how many messages are to be sent, and where the group stands."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.sent, self._read, self._at = len(scenario.backlog), float(scenario.read), 0.0

    def due(self, t: float) -> int:
        """Return how many messages have to be sent now."""
        number = len(self.scenario.backlog) + int(self.scenario.made(t)) - self.sent
        self.sent += number
        return number

    def position(self, t: float) -> dict[int, int]:
        """Return what the group has read by now, by partition: message number k lies on partition k modulo two."""
        rate, seconds, self._at = self.scenario.reads(t), t - self._at, t
        self._read = min(float(self.sent), self.sent if math.isinf(rate) else self._read + rate * seconds)
        return offsets(int(self._read))


def offsets(number: int) -> dict[int, int]:
    """Return the offsets per partition after so many messages."""
    return {part: (number + PARTITIONS - 1 - part) // PARTITIONS for part in range(PARTITIONS)}


def scenarios(length: float, rate: float, quiet: float) -> list[Scenario]:
    """Return all scenarios of so many seconds; `rate` is the messages per second of busy topics, `quiet` the mean gap."""
    dice = random.Random(20260401)
    times, at = [], 0.0
    while at < length:
        at += dice.uniform(0.3, 1.7) * quiet
        times.append(at)
    half = [dice.uniform(0, BACKLOG_SECONDS) for _ in range(BACKLOG // 2)]
    bursts = [hour * 3600 + dice.uniform(0, 60) for hour in range(1, 24) for _ in range(BACKLOG // 2 // 23)]
    backlog = tuple(sorted(half + bursts, reverse=True))

    def burst(t: float) -> float:
        whole, rest = divmod(t, EXPOSURE_EVERY)
        return 10 * rate * (whole + min(1.0, rest / 2.0))

    def stopped(t: float) -> float:
        return math.inf if t < 0.12 * length else 0.0 if t < 0.62 * length else 4 * rate

    return [
        Scenario("steady", "steady traffic, read at once", lambda t: rate * t, lambda t: math.inf),
        Scenario(
            "quiet",
            f"a message each {quiet:.0f} s or so, read once in {2 * quiet:.0f} s",
            lambda t: bisect_right(times, t),
            lambda t: math.inf if t % (2 * quiet) < 2 else 0.0,
        ),
        Scenario("bursts", "an exposure each 38.7 s, read in 25 s", burst, lambda t: 0.4 * rate),
        Scenario("stopped", "the reader stops, comes back and catches up", lambda t: rate * t, stopped),
        Scenario(
            "ramp", "traffic rises, the reader stays as slow as it is", lambda t: rate * t * t / length, lambda t: 0.35 * rate
        ),
        Scenario("left", "a burst at first, then nothing; a part is never read", lambda t: 2 * rate * min(t, 5), lambda t: 0.01),
        Scenario(
            "backlog",
            "a day's old messages, read from 18 hours ago on",
            lambda t: 0.1 * rate * t,
            lambda t: 0.8 * BACKLOG / length,
            backlog,
            BACKLOG // 4,
        ),
    ]
