"""Lag arithmetic, without I/O: what a committed offset means against a log's start and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TopicPartition = tuple[str, int]


@dataclass(frozen=True)
class PartitionLag:
    """One group on one partition: never a negative lag, losses and impossible offsets apart."""

    committed: int
    lag: int
    lost: int
    beyond_end: bool


def partition_lag(committed: int, start: int, end: int) -> PartitionLag:
    """Return the lag: end - max(committed, start), not below 0.

    `lost` is what retention deleted before it was read; a committed offset beyond the end (topic made
    anew, log truncated) is flagged instead of shown as a negative number.
    """
    return PartitionLag(
        committed=committed,
        lag=max(0, end - max(committed, start)),
        lost=max(0, min(start, end) - committed),
        beyond_end=committed > end,
    )


@dataclass(frozen=True)
class Edges:
    """Log start and end offsets of a topic's partitions, of those that are known.

    The ends of `held` partitions could not be read just now, those of `stale` ones for a while: sums count with
    them, so that nobody's lag becomes smaller because a broker is away, but stale ones are not shown as such.
    """

    start: Mapping[int, int] = field(default_factory=dict)
    end: Mapping[int, int] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    held: frozenset[int] = frozenset()


NO_EDGES = Edges()
