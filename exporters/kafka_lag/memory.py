"""What was last known where a read failed: absence in an answer with errors means nothing.

A coordinator that is away for a moment must not look like a community that never committed, and a
partition without a leader must not look like one that was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exporters.kafka_lag.lag import NO_EDGES, Edges, TopicPartition
from zads.kafka import Answer, Group, TopicOffsets

HELD_FOR = 3  # collections
ByTopic = Mapping[str, TopicOffsets]


@dataclass(frozen=True)
class GroupsSeen:
    """Committed offsets by group and topic after one collection.

    `shown` are those just read, and those of groups whose read failed, for three collections. `kept` has in
    addition groups that a listing without errors lacks, for as long: just after a coordinator moved, nobody
    lists its groups. Of the groups in `unknown` nothing is known any more; unless the listings have been `complete`
    for a while, there may be groups that nobody has named.
    """

    shown: Mapping[str, ByTopic] = field(default_factory=dict)
    kept: Mapping[str, ByTopic] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    complete: bool = True


class GroupMemory:
    """Hold what groups had committed when a read fails."""

    def __init__(self) -> None:
        self._offsets: dict[str, ByTopic] = {}
        self._missed: dict[str, int] = {}
        self._settling = 0

    def update(self, listed: Answer[Group], committed: Answer[dict[str, TopicOffsets]]) -> GroupsSeen:
        """Take one collection's answers."""
        shown: dict[str, ByTopic] = dict(committed.values)
        for entry in committed.failed:
            if isinstance(entry, tuple):
                self._fill(shown, *entry)
        complete = not listed.failed
        kept = dict(shown)
        missed: dict[str, int] = {}
        for name in self._offsets.keys() - shown.keys():
            missed[name] = self._missed.get(name, 0) + 1
            failed = name in committed.failed or not complete
            if missed[name] <= HELD_FOR:
                kept[name] = self._offsets[name]
                if failed:
                    shown[name] = self._offsets[name]
        self._offsets, self._missed = kept, {name: count for name, count in missed.items() if name in kept}
        unknown = frozenset(n for n in committed.failed if isinstance(n, str) and n not in kept)
        # A coordinator that has just become one lists nothing until it has begun to load its groups.
        self._settling = HELD_FOR if not complete else max(0, self._settling - 1)
        return GroupsSeen(shown, kept, unknown, not self._settling)

    def _fill(self, shown: dict[str, ByTopic], group: str, topic: str, number: int) -> None:
        """Put in one partition's last offset."""
        before = self._offsets.get(group, {}).get(topic)
        known = dict(before.items()).get(number) if before is not None else None
        if known is not None and group in shown:
            now = shown[group].get(topic)
            offsets = {**(dict(now.items()) if now is not None else {}), number: known}
            shown[group] = {**shown[group], topic: TopicOffsets.of(offsets)}


class _Topic:
    """One topic's edges: those that are known, and how often each end could not be read since it was."""

    __slots__ = ("end", "known", "missed", "start")

    def __init__(self) -> None:
        self.start: dict[int, int] = {}
        self.end: dict[int, int] = {}
        self.missed: dict[int, int] = {}
        self.known = NO_EDGES


class EdgeMemory:
    """Hold log starts and ends where they cannot be read."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}

    def forget(self, topics: Iterable[str]) -> None:
        """Forget topics that are gone or were made anew."""
        for name in topics:
            self._topics.pop(name, None)

    def take_ends(self, ends: Mapping[TopicPartition, int], leaders: Mapping[TopicPartition, int]) -> None:
        """Take the ends that could be read; without a leader an end stays what it was, since nothing can be written."""
        for (name, number), leader in leaders.items():
            topic = self._topics.get(name) or self._topics.setdefault(name, _Topic())
            end = ends.get((name, number))
            if end is not None:
                topic.end[number] = end
                topic.missed.pop(number, None)
            elif number in topic.end:
                topic.missed[number] = 0 if leader < 0 else topic.missed.get(number, 0) + 1

    def take_starts(self, starts: Mapping[TopicPartition, int]) -> None:
        """Take the starts that could be read."""
        for (name, number), start in starts.items():
            if name in self._topics:
                self._topics[name].start[number] = start

    def without_start(self) -> list[TopicPartition]:
        """Return the partitions whose start is not known yet."""
        return [(name, n) for name, topic in self._topics.items() for n in topic.end if n not in topic.start]

    def edges(self) -> dict[str, Edges]:
        """Return all that is known, by topic; what did not change is the same object again."""
        for topic in self._topics.values():
            stale = frozenset(number for number, count in topic.missed.items() if count > HELD_FOR)
            now = Edges(topic.start, topic.end, stale, frozenset(topic.missed))
            if topic.known != now:
                topic.known = Edges(dict(topic.start), dict(topic.end), stale, now.held)
        return {name: topic.known for name, topic in self._topics.items()}
