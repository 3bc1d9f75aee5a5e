"""When was what appended? The histories of one cluster's log ends, and what Kafka says of the time before us."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from exporters.alert_arrival.counts import AlertTopic, TopicPartition
from zads.kafka import Answer
from zads.offset_history import AGES_SECONDS, OffsetHistory, points


class Offsets(Protocol):
    """What reads offsets from Kafka."""

    def list_offsets(self, wanted: Mapping[TopicPartition, int]) -> Answer[tuple[int, int]]:
        """Return (offset, timestamp in ms) per partition."""


class Appends:
    """Histories by partition.

    A topic that appears between two looks was empty at the first of them. With `created`, it is asked for by
    timestamps instead, which is right where those are the times of append (IPAC's own log): at ZADS they are
    older than the append by what the mirror took.
    """

    def __init__(self, *, created: bool) -> None:
        self._created = created
        self.histories: dict[TopicPartition, OffsetHistory] = {}
        self._ids: dict[str, str] = {}
        self._todo: set[TopicPartition] = set()
        self._looked_at: float | None = None
        self._lock = threading.Lock()  # the tail asks while the collector adds

    def age(self, part: TopicPartition, offset: int, now: float) -> float | None:
        """Return how old the message at `offset` is, None when it cannot be known yet."""
        with self._lock:
            history = self.histories.get(part)
            return history.age(offset, now) if history and part not in self._todo else None

    def appended_at(self, part: TopicPartition, offset: int) -> float | None:
        """Return when the message at `offset` was appended, None when that is not known."""
        with self._lock:
            history = self.histories.get(part)
            return history.appended_at(offset) if history else None

    def remember(
        self, reader: Offsets, topics: Mapping[str, AlertTopic], ends: Mapping[TopicPartition, int], now: float
    ) -> dict[str, int]:
        """Add the log ends that were read at `now`; return errors by reason."""
        ids = {topic.name: topic.topic_id for topic in topics.values()}
        with self._lock:
            self._begin(ids, ends)
        found, errors = self._ask(reader, ends, now)
        with self._lock:
            for part, rows in found.items():
                self.histories[part].rebuild(rows)
            self._todo -= found.keys()
            for part, end in ends.items():
                self.histories[part].add(now, end)
        self._ids, self._looked_at = ids, now
        return errors

    def _begin(self, ids: Mapping[str, str], ends: Mapping[TopicPartition, int]) -> None:
        """Forget topics that are gone or made anew; begin histories of new partitions."""
        for part in [p for p in self.histories if ids.get(p[0]) != self._ids.get(p[0])]:
            del self.histories[part]
            self._todo.discard(part)
        for part, end in ends.items():
            if part in self.histories:
                continue
            history = self.histories[part] = OffsetHistory()
            if self._looked_at is not None and not self._created and self._ids.get(part[0]) != ids[part[0]]:
                history.add(self._looked_at, 0)
            elif end > 0:
                self._todo.add(part)

    def _ask(
        self, reader: Offsets, ends: Mapping[TopicPartition, int], now: float
    ) -> tuple[dict[TopicPartition, list[tuple[float, int]]], dict[str, int]]:
        """Ask Kafka where the logs ended at geometric ages; a partition of which one answer fails waits for the next look."""
        wanted = [part for part in self._todo if part in ends]
        found: dict[TopicPartition, list[tuple[float, int]]] = {part: [] for part in wanted}
        errors: dict[str, int] = {}
        for age in AGES_SECONDS:
            if not found:
                break
            answer = reader.list_offsets(dict.fromkeys(found, int((now - age) * 1000)))
            for reason, count in answer.errors.items():
                errors[reason] = errors.get(reason, 0) + count
            found = {part: rows for part, rows in found.items() if part in answer.values}
            for part, rows in found.items():
                rows.extend(points(now - age, *answer.values[part], ends[part], now))
        return found, errors
