"""The quick way for rows with nothing special: whole columns at once instead of partition by partition."""

from __future__ import annotations

from collections.abc import Callable
from operator import lt, sub, truediv
from typing import Protocol

from exporters.kafka_lag.lag import Edges, TopicPartition
from zads.kafka import Topic
from zads.snapshot import escape

GROUP = "\0"  # stands for the group in a text that serves all groups; no name holds it
_STEPS = 16
_UNKNOWN = float("nan")
Since = Callable[[TopicPartition, int], float | None]


def mark(group: str) -> str:
    """Return the group's name as it stands in such a text, which is a %-format."""
    return escape(group).replace("%", "%%")


class TopicAges:
    """When the messages of one topic came; many groups stand at the same message."""

    def __init__(self, since: Since, topic: str) -> None:
        self._since, self._topic = since, topic
        self._known: dict[int, dict[int, float | None]] = {}

    def since(self, number: int, offset: int) -> float | None:
        """Return when the message at the offset came, None when that is not known."""
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = {}
        if offset not in known:
            known[offset] = self._since((self._topic, number), offset)
        return known[offset]


class Measured(Protocol):
    """What is measured of a row: see table.Row."""

    lag: int
    biggest: int
    committed: int
    lost: int
    beyond: int
    missing: int
    unknown: int
    measured: int
    used: float
    oldest: float | None
    behind: list[tuple[int, float]]


class Aligned:
    """A topic's edges in the order of the partitions on which some groups have committed, all of them known.

    `lag_text` and `offset_text` are the lines of such a group as a %-format, with GROUP for its name.
    """

    def __init__(self, topic: Topic, edges: Edges, numbers: tuple[int, ...], lag_text: str, offset_text: str) -> None:
        self._numbers, self.lag_text, self.offset_text = numbers, lag_text, offset_text
        self._ends = [edges.end[number] for number in numbers]
        self._starts = [edges.start.get(number, 0) for number in numbers]
        self._sizes = [max(1, end - start) for start, end in zip(self._starts, self._ends, strict=True)]
        self._before: list[list[float | None]] = [[None] * (_STEPS + 1) for _ in numbers]
        commits = sum(number in topic.leaders for number in numbers)
        self._missing, self._unknown = len(topic.leaders) - commits, commits - len(numbers)

    def plain(self, row: Measured, commits: tuple[int, ...], ages: TopicAges, *, each: bool) -> tuple[int, ...] | None:
        """Measure the row and return its lags; None, and nothing done, when a commit is not between start and end.

        `each` says whether the row shall know the age on each partition.
        """
        lags = tuple(map(sub, self._ends, commits))
        if min(lags) < 0 or any(map(lt, commits, self._starts)):
            return None
        row.used, row.oldest, row.behind = 0.0, None, []
        if biggest := max(lags):
            shares = tuple(map(truediv, lags, self._sizes))
            row.used = max(shares)
            if each:
                ages_of = [
                    (n, ages.since(n, commit)) for n, lag, commit in zip(self._numbers, lags, commits, strict=True) if lag
                ]
                row.behind = [(number, at) for number, at in ages_of if at is not None]
                row.oldest = _UNKNOWN if len(row.behind) < len(ages_of) else min(at for _, at in row.behind)
            else:
                row.oldest = self._oldest(shares, row.used, commits, ages)
        row.lag, row.biggest, row.committed = sum(lags), biggest, sum(commits)
        row.lost = row.beyond = 0
        row.missing, row.unknown, row.measured = self._missing, self._unknown, len(lags)
        return lags

    def _oldest(self, shares: tuple[float, ...], most: float, commits: tuple[int, ...], ages: TopicAges) -> float:
        """Return when the oldest unread message came, NaN when it is not known on some partition.

        Asked first is the partition that is furthest behind; others only where their message may be older. It is
        not when one that stands before it in the log, at the next sixteenth, is not.
        """
        first = shares.index(most)
        oldest = ages.since(self._numbers[first], commits[first])
        if oldest is None:
            return _UNKNOWN
        for index, share in enumerate(shares):
            if not share:
                continue
            step = int(share * _STEPS)
            before = self._before[index][step]
            if before is None:
                offset = self._ends[index] - (step + 1) * self._sizes[index] // _STEPS - 1
                before = ages.since(self._numbers[index], max(self._starts[index], offset))
                if before is None:
                    return _UNKNOWN
                self._before[index][step] = before
            if before < oldest:
                at = ages.since(self._numbers[index], commits[index])
                if at is None:
                    return _UNKNOWN
                oldest = min(at, oldest)
        return oldest
