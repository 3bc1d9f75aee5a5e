"""kafka-lag-exporter's method for lag in seconds, written anew from its description: the method, not the program.

Per partition a table of (log end offset, time of the poll), 60 points at a poll each 30 s by default. An offset inside
the table is interpolated between two polls, one outside lies on the line through the table's first and last point.
Source: seglo/kafka-lag-exporter, LookupTable.scala and ConsumerGroupCollector.scala (without Redis, its default).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

POINTS = 60
TopicPartition = tuple[str, int]


class LookupTable:
    """The table of one partition."""

    def __init__(self, size: int = POINTS) -> None:
        self._points: deque[tuple[int, float]] = deque(maxlen=size)

    def add(self, offset: int, time: float) -> None:
        """Note a poll; one that goes back in time or offset is dropped, a third equal offset moves the second's time."""
        points = self._points
        if points and (time <= points[-1][1] or offset < points[-1][0]):
            return
        if len(points) > 1 and points[-1][0] == points[-2][0] == offset:
            points.pop()
        points.append((offset, time))

    def time_of(self, offset: int) -> float | None:
        """Return the time that belongs to a committed offset, None when lag is zero; NaN with fewer than two points."""
        points = self._points
        if points and offset == points[-1][0]:
            return None
        if len(points) < 2:
            return math.nan
        found = (points[0], points[-1])
        for index in range(len(points) - 1, 0, -1):
            if points[index - 1][0] <= offset <= points[index][0]:
                found = (points[index - 1], points[index])
                break
        (low, begin), (high, end) = found
        ahead = high - offset
        if high == low:
            return math.nan if ahead == 0 else -math.inf if ahead > 0 else math.inf
        return end - ahead * (end - begin) / (high - low)


class Interpolation:
    """The tables of a cluster."""

    def __init__(self) -> None:
        self._tables: dict[TopicPartition, LookupTable] = {}

    def poll(self, ends: Mapping[TopicPartition, int], committed: Mapping[str, Mapping[TopicPartition, int]], now: float):
        """Take one poll; return lag in seconds by group: the largest of its partitions, NaN when one is not known."""
        for part, end in ends.items():
            self._tables.setdefault(part, LookupTable()).add(end, now)
        found: dict[str, float] = {}
        for group, offsets in committed.items():
            seconds = []
            for part, offset in offsets.items():
                time = self._tables[part].time_of(offset) if part in self._tables else math.nan
                seconds.append(0.0 if time is None else now - time)
            found[group] = math.nan if any(map(math.isnan, seconds)) else max(seconds, default=math.nan)
        return found
