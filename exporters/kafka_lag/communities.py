"""Fold groups into communities: how far each is behind, what it took, what it lost.

A community is recognised by its group patterns. Of several groups on one partition the furthest
counts: a forgotten test group does not make a community late.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from exporters.kafka_lag.lag import Edges, TopicPartition
from zads.config import Config
from zads.offset_history import OffsetHistory


@dataclass(frozen=True)
class AlertTopic:
    """An alert topic: its night and program from its name, its id, its partitions."""

    name: str
    topic_id: str
    night: str
    program: int
    partitions: tuple[int, ...]


@dataclass(frozen=True)
class Behind:
    """How far a community is behind on one topic."""

    community: str
    program: int
    night: str
    alerts: int
    seconds: float


class Communities:
    """Keep what has to be remembered between collections: commits seen, deliveries and losses counted."""

    def __init__(self, config: Config) -> None:
        self._communities = [c for c in config.communities if c.commits]
        self._patterns = {c.name: [_full(p) for p in c.groups] for c in self._communities}
        self._public = set(config.stream.public_programs)
        self._seen: dict[tuple[str, str, TopicPartition], int] = {}  # (community, topic id, partition)
        self._lost_seen: dict[tuple[str, str, TopicPartition], int] = {}
        self._topics: dict[str, AlertTopic] = {}
        self._behind_now: dict[tuple[str, str], int] = {}
        self._moved_at: dict[str, float] = {}
        self._first = True
        self.delivered: dict[tuple[str, int], int] = defaultdict(int)
        self.lost: dict[tuple[str, int], int] = defaultdict(int)

    def groups_of(self, name: str, groups: Mapping[str, object]) -> list[str]:
        """Return the groups that belong to the community."""
        return [group for group in groups if any(p.fullmatch(group) for p in self._patterns.get(name, ()))]

    def update(
        self,
        committed: Mapping[str, Mapping[TopicPartition, int]],
        topics: Mapping[str, AlertTopic],
        edges: Edges,
        histories: Mapping[TopicPartition, OffsetHistory],
        now: float,
    ) -> list[Behind]:
        """Take one collection's findings and return how far each community is behind on each topic."""
        public = {name: topic for name, topic in topics.items() if topic.program in self._public}
        tonight = {max((t.night for t in public.values()), default="")}
        result = []
        for community in self._communities:
            offsets = _furthest(committed, self.groups_of(community.name, committed))
            self._moved_at.setdefault(community.name, now)
            for topic in public.values():
                behind = self._topic(community.name, topic, offsets, edges, histories, now, topic.night in tonight)
                if behind is not None:
                    result.append(behind)
        self._count_deleted(public)
        self._topics = dict(public)
        self._behind_now = {(b.community, f"{b.night}/{b.program}"): b.alerts for b in result}
        self._first = False
        return result

    def idle_seconds(self, now: float) -> dict[str, float]:
        """Return how long ago each community last committed something new."""
        return {name: now - at for name, at in self._moved_at.items()}

    def _topic(
        self,
        name: str,
        topic: AlertTopic,
        offsets: Mapping[TopicPartition, int],
        edges: Edges,
        histories: Mapping[TopicPartition, OffsetHistory],
        now: float,
        tonight: bool,
    ) -> Behind | None:
        parts = [(topic.name, number) for number in topic.partitions]
        if not tonight and not any(part in offsets for part in parts):
            return None  # an old topic that the community never read is none of its business
        alerts, seconds = 0, 0.0
        for part in parts:
            if part not in edges.end:
                continue
            start, end = edges.start.get(part, 0), edges.end[part]
            position = offsets.get(part)
            self._count(name, topic, part, position, start)
            unread = max(start if position is None else position, start)
            if end > unread:
                alerts += end - unread
                history = histories.get(part)
                seconds = max(seconds, history.age(unread, now) if history else 0.0)
            if position is not None and self._moved(name, topic, part, position):
                self._moved_at[name] = now
        return Behind(name, topic.program, topic.night, alerts, seconds)

    def _moved(self, name: str, topic: AlertTopic, part: TopicPartition, position: int) -> bool:
        key = (name, topic.topic_id, part)
        before = self._seen.get(key)
        self._seen[key] = position
        return before != position

    def _count(self, name: str, topic: AlertTopic, part: TopicPartition, position: int | None, start: int) -> None:
        """Add what was committed since the last collection, and what retention took before it was read."""
        if position is None:
            return
        key, total = (name, topic.topic_id, part), (name, topic.program)
        before = self._seen.get(key)
        if before is None:
            # At the exporter's own start the past is not counted again; later, a first commit is all new.
            before = position if self._first else min(start, position)
        self.delivered[total] += max(0, position - before)
        lost = max(0, start - position)
        known = self._lost_seen.get(key, lost if self._first else 0)
        # While the community does not move, its loss grows with the log's start.
        self.lost[total] += max(0, lost - known)
        self._lost_seen[key] = lost

    def _count_deleted(self, public: Mapping[str, AlertTopic]) -> None:
        """Count what was unread in topics that are gone, and forget them."""
        for name, topic in self._topics.items():
            now = public.get(name)
            if now is not None and now.topic_id == topic.topic_id:
                continue
            for community in self._communities:
                unread = self._behind_now.get((community.name, f"{topic.night}/{topic.program}"), 0)
                self.lost[community.name, topic.program] += unread
            for memory in (self._seen, self._lost_seen):
                for key in [k for k in memory if k[1] == topic.topic_id]:
                    del memory[key]


def _full(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _furthest(committed: Mapping[str, Mapping[TopicPartition, int]], groups: list[str]) -> dict[TopicPartition, int]:
    """Return the furthest committed offset per partition over the groups."""
    result: dict[TopicPartition, int] = {}
    for group in groups:
        for part, offset in committed[group].items():
            if offset > result.get(part, -1):
                result[part] = offset
    return result
