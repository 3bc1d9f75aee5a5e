"""Lag arithmetic, without I/O: what a committed offset means against a log's start and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
    """Log start and end offsets of every partition that could be read."""

    start: Mapping[TopicPartition, int]
    end: Mapping[TopicPartition, int]


def group_lags(committed: Mapping[TopicPartition, int], edges: Edges) -> dict[TopicPartition, PartitionLag]:
    """Return the lag of one group on each partition that it committed and that can be read."""
    return {
        part: partition_lag(offset, edges.start.get(part, 0), edges.end[part])
        for part, offset in committed.items()
        if part in edges.end
    }
