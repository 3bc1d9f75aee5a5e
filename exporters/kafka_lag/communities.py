"""Fold groups into communities: how far each is behind, what it took, what it lost.

A community is recognised by its group patterns. Of several groups on one partition the furthest
counts: a forgotten test group does not make a community late.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from exporters.kafka_lag.books import AlertTopic, Books
from exporters.kafka_lag.lag import NO_EDGES, Edges, TopicPartition
from exporters.kafka_lag.memory import ByTopic, GroupsSeen
from exporters.kafka_lag.progress import Progress
from zads.config import Config

Age = Callable[[TopicPartition, int, float], float | None]
Offsets = Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Behind:
    """How far a community is behind on one topic; the age is None while it cannot be known."""

    community: str
    program: int
    night: str
    alerts: int
    seconds: float | None


class Communities:
    """Count deliveries and losses from collection to collection; `books` is what is remembered, also over restarts."""

    def __init__(self, config: Config, books: Books | None = None) -> None:
        self.take(config)
        self.books = books or Books()
        self._missing: set[str] = set()
        self.waiting: set[TopicPartition] = set()

    @property
    def delivered(self) -> Mapping[tuple[str, int, str], int]:
        """Alerts that were committed, by community, program and night."""
        return self.books.delivered

    @property
    def committed(self) -> Mapping[tuple[str, int], int]:
        """Alerts that were committed, by community and program."""
        return self.books.committed

    @property
    def lost(self) -> Mapping[tuple[str, int], int]:
        """Alerts that were deleted unread, by community and program."""
        return self.books.lost

    def take(self, config: Config) -> None:
        """Go on with other communities; what is known of those that stay is kept."""
        self._communities = [c.name for c in config.communities if c.commits]
        self._patterns = {c.name: [re.compile(p) for p in c.groups] for c in config.communities if c.commits}
        self._public = set(config.stream.public_programs)
        self._owners: dict[str, tuple[str, ...]] = {}

    def on(self, cluster: str) -> None:
        """Note which cluster is looked at, by its id."""
        self.books = self.books.on(cluster)

    def groups_of(self, name: str, groups: Iterable[str]) -> list[str]:
        """Return the groups that belong to the community."""
        return [group for group in groups if name in self._owned_by(group)]

    def owns(self, group: str) -> bool:
        """Tell whether the group belongs to a community that commits offsets."""
        return bool(self._owned_by(group))

    def _owned_by(self, group: str) -> tuple[str, ...]:
        known = self._owners.get(group)
        if known is None:
            matching = (c for c, patterns in self._patterns.items() if any(p.fullmatch(group) for p in patterns))
            known = self._owners[group] = tuple(matching)
        return known

    def update(
        self, seen: GroupsSeen, topics: Mapping[str, AlertTopic], edges: Mapping[str, Edges], age: Age, now: float
    ) -> list[Behind]:
        """Take one collection's findings and return how far each community is behind on each topic.

        A community of which nothing is known any more has no figure. `waiting` holds the partitions on which
        somebody has something to read.
        """
        public = [topic for topic in topics.values() if topic.program in self._public]
        self._forget_gone(public)
        if len(self._owners) > 2 * len(seen.kept) + 1000:  # names of short-lived groups must not fill the memory
            self._owners = {name: owners for name, owners in self._owners.items() if name in seen.kept}
        self.waiting = set()
        result: list[Behind] = []
        for name in self._communities:
            mine = self.groups_of(name, seen.kept)
            for topic in public:
                self.books.delivered.setdefault((name, topic.program, topic.night), 0)
            if self._is_hidden(name, mine, seen):
                continue  # nothing is known of it: not even that it committed nothing
            offsets = _furthest([seen.kept[group] for group in mine], topics)
            self._first_look(name, public, offsets, now)
            business = self._business(name, public, offsets, edges)
            for topic in public:
                if topic in business:
                    result.append(self._look(name, topic, offsets, edges.get(topic.name, NO_EDGES), age, now))
                elif (name, topic.topic_id) in self.books.unread:
                    # Skipped for good, by a reader that went on to a later night: still counted when it is deleted.
                    self._look(name, topic, offsets, edges.get(topic.name, NO_EDGES), age, now)
        return result

    def idle_seconds(self, now: float) -> dict[str, float]:
        """Return how long ago each community last committed something new."""
        return {name: now - at for name, at in self.books.moved_at.items()}

    def most_series(self, topics: Mapping[str, AlertTopic]) -> int:
        """Return how many series there may be of the communities that commit offsets, once these topics were looked at."""
        nights = {(t.program, t.night) for t in (*topics.values(), *self.books.topics.values()) if t.program in self._public}
        # Lag, seconds and deliveries per night; commits and losses per program; idle time, members.
        return len(self._communities) * (3 * len(nights) + 2 * len(self._public) + 2)

    def _is_hidden(self, name: str, mine: list[str], seen: GroupsSeen) -> bool:
        """Tell whether a group of the community may be out of sight: the furthest one would be missing."""
        had = self.books.groups.get(name, set())
        if seen.complete and not self.groups_of(name, seen.unknown):
            self.books.remember_groups(name, mine)
            return False
        if not mine or had.difference(mine):
            return True
        self.books.remember_groups(name, mine)
        return False

    def _first_look(self, name: str, public: list[AlertTopic], offsets: Offsets, now: float) -> None:
        """Note what had been committed before this exporter began to count."""
        if name in self.books.at_first_look:
            return
        ids = {topic.name: topic.topic_id for topic in public}
        self.books.at_first_look[name] = {(ids[t], n): offset for (t, n), offset in offsets.items() if t in ids}
        self.books.moved_at.setdefault(name, now)

    def _business(
        self, name: str, public: list[AlertTopic], offsets: Offsets, edges: Mapping[str, Edges]
    ) -> list[AlertTopic]:
        """Return the topics that count: what it committed on, and all since the newest night that it ever read.

        Who never committed anything counts from the newest night that holds data: topics are new each night, so
        a community that died has no commit on tonight's and must not look caught up, and an empty topic of
        tomorrow says nothing.
        """
        read = {topic.name for topic in public if any((topic.name, n) in offsets for n in topic.partitions)}
        newest = max((topic.night for topic in public if topic.name in read), default="")
        since = self.books.newest_read[name] = max(newest, self.books.newest_read.get(name, ""))
        if not since:
            full = {t.night for t in public if any(end > 0 for end in edges.get(t.name, NO_EDGES).end.values())}
            since = max(full or {t.night for t in public}, default="")
        return [topic for topic in public if topic.name in read or topic.night >= since]

    def _look(self, name: str, topic: AlertTopic, offsets: Offsets, edges: Edges, age: Age, now: float) -> Behind:
        alerts, seconds, known = 0, 0.0, True
        for number in topic.partitions:
            part = (topic.name, number)
            start, end = edges.start.get(number), edges.end.get(number)
            position = self._own(name, topic, number, offsets.get(part), end if number not in edges.held else None)
            self._advance(name, topic, number, position, start, now)
            unread = max((at for at in (position, start) if at is not None), default=None)
            if end is None or unread is None or end <= unread:
                continue
            self.waiting.add(part)
            alerts += end - unread
            oldest = age(part, unread, now)
            known = known and oldest is not None
            seconds = max(seconds, oldest or 0.0)
        self.books.unread[name, topic.topic_id] = alerts
        return Behind(name, topic.program, topic.night, alerts, seconds if known else None)

    def _own(self, name: str, topic: AlertTopic, number: int, commit: int | None, end: int | None) -> int | None:
        """Return the commit, None for one that was made on another topic of this name.

        Where commits outlive their topic (Kafka with ZooKeeper), one beyond the end of a topic that was just made
        anew says nothing about it: its reader will begin anew, and must not look caught up.
        """
        key = (name, topic.topic_id, number)
        if key not in self.books.progress and commit is not None and end is not None and commit > end:
            self.books.foreign[key] = commit
        if self.books.foreign.get(key, -1) == commit:
            return None
        if commit is not None:
            self.books.foreign.pop(key, None)
        return commit

    def _advance(
        self, name: str, topic: AlertTopic, number: int, position: int | None, start: int | None, now: float
    ) -> None:
        """Count what was committed since the last collection, and what was deleted unread."""
        key = (name, topic.topic_id, number)
        progress = self.books.progress.get(key)
        if progress is None:
            if start is None:
                return  # counted from the next collection on, when it is known where the log starts
            before = self.books.at_first_look[name].pop((topic.topic_id, number), None)
            before = None if key in self.books.foreign else before
            progress = self.books.progress[key] = Progress(before, start)
        delivered, lost, moved = progress.advance(position, start)
        self.books.delivered[name, topic.program, topic.night] += delivered
        self.books.committed[name, topic.program] += delivered
        self.books.lost[name, topic.program] += lost
        if moved:
            self.books.moved_at[name] = now

    def _forget_gone(self, public: list[AlertTopic]) -> None:
        """Count what was unread in topics that are gone for two collections or were made anew, and forget them."""
        living, topics = {topic.topic_id: topic for topic in public}, self.books.topics
        names = {topic.name for topic in public}
        absent = {identity for identity in topics if identity not in living}
        gone = {i for i in absent if i in self._missing or topics[i].name in names}
        self._missing = absent - gone
        for identity in gone:
            topic = topics.pop(identity)
            for name in self._communities:
                self.books.lost[name, topic.program] += self.books.unread.pop((name, identity), 0)
        topics.update(living)
        if gone:
            self.books.forget(gone)


def _furthest(committed: list[ByTopic], topics: Mapping[str, AlertTopic]) -> dict[TopicPartition, int]:
    """Return the furthest committed offset per partition of the topics, over groups."""
    result: dict[TopicPartition, int] = {}
    for by_topic in committed:
        for topic in by_topic.keys() & topics.keys():
            for number, offset in by_topic[topic].items():
                result[topic, number] = max(offset, result.get((topic, number), -1))
    return result
