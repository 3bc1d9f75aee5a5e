"""The last stage: from the append at ZADS to a community's commit.

Every collection reads the commits of the communities' groups. What was committed since the one before gets
the delay from its append to now, so a delay is right to one interval. Communities that commit nothing are
not seen here. What was committed when a community, or a topic, was first seen is its past: a community that
begins to read last week's topics does not make last week's alerts late.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from exporters.alert_arrival.counts import AlertTopic, TopicPartition
from zads.config import Config

_POINTS = 16  # delays per advance; each stands for its share of the alerts
Committed = Mapping[str, Mapping[TopicPartition, int]]


@dataclass(frozen=True)
class Advance:
    """A community committed the alerts of one partition from `first` to before `end`."""

    topic: AlertTopic
    part: TopicPartition
    first: int
    end: int


class Commits:
    """The furthest commit of each community on each partition; pure arithmetic."""

    def __init__(self, config: Config) -> None:
        self._patterns = {c.name: [re.compile(p) for p in c.groups] for c in config.communities if c.commits and c.groups}
        self._seen: dict[tuple[str, str, TopicPartition], int] = {}
        self._known: set[str] = set()  # communities that have committed something
        self._old: set[str] | None = None  # ids of the topics that were there at first

    @property
    def wanted(self) -> bool:
        """Whether any community commits."""
        return bool(self._patterns)

    def owner(self, group: str) -> str | None:
        """Return the community that the group belongs to."""
        for name, patterns in self._patterns.items():
            if any(pattern.fullmatch(group) for pattern in patterns):
                return name
        return None

    def update(
        self, committed: Committed, topics: Mapping[str, AlertTopic], starts: Mapping[TopicPartition, int]
    ) -> Iterator[Advance]:
        """Take one reading and yield what moved forward.

        A group that goes back reads again: only what lies beyond its furthest commit is a first delivery.
        """
        furthest: dict[tuple[str, TopicPartition], int] = {}
        for group, offsets in committed.items():
            community = self.owner(group)
            for part, offset in offsets.items():
                if community is not None and part[0] in topics:
                    furthest[community, part] = max(offset, furthest.get((community, part), -1))
        living = {topic.topic_id for topic in topics.values()}
        self._old = living if self._old is None else self._old & living
        for (community, part), offset in furthest.items():
            topic, start = topics[part[0]], starts.get(part, 0)
            key = (community, topic.topic_id, part)
            past = community not in self._known or topic.topic_id in self._old
            before = self._seen.get(key, offset if past else start)
            self._seen[key] = max(before, offset)
            if offset > max(before, start):
                yield Advance(topic, part, max(before, start), offset)
        self._known |= {community for community, _ in furthest}
        self._seen = {key: offset for key, offset in self._seen.items() if key[1] in living}


def delays(
    advance: Advance, appended_at: Callable[[TopicPartition, int], float | None], now: float
) -> Iterable[tuple[float, int]]:
    """Return (seconds from append to now, number of alerts) for the alerts of an advance whose append is known."""
    count = advance.end - advance.first
    points = min(count, _POINTS)
    edges = [advance.first + count * step // points for step in range(points + 1)]
    for low, high in pairwise(edges):
        appended = appended_at(advance.part, (low + high) // 2)
        if appended is not None:
            yield max(0.0, now - appended), high - low
