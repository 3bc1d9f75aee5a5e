"""What is remembered of communities, over restarts too: counters, and where each stood on each partition.

The file holds rows, checked one by one when they are read. Its size is bounded: the oldest nights are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from exporters.kafka_lag.progress import Progress

_VERSION = 1
_MOST_ROWS = 50_000  # partitions of communities in the file, some 3 MB
_MOST_GROUPS = 1_000  # names remembered of a community


@dataclass(frozen=True)
class AlertTopic:
    """An alert topic: its night and program from its name, its id, its partitions."""

    name: str
    topic_id: str
    night: str
    program: int
    partitions: tuple[int, ...]


@dataclass
class Books:
    """Counters of communities, and what they are counted from. Keys begin with the community's name."""

    cluster: str = ""  # the cluster's id: topics of another one are not gone
    delivered: dict[tuple[str, int, str], int] = field(default_factory=dict)  # program, night
    committed: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))  # program
    lost: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))  # program
    topics: dict[str, AlertTopic] = field(default_factory=dict)  # by id
    unread: dict[tuple[str, str], int] = field(default_factory=dict)  # topic id
    progress: dict[tuple[str, str, int], Progress] = field(default_factory=dict)  # topic id, partition
    foreign: dict[tuple[str, str, int], int] = field(default_factory=dict)
    at_first_look: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    newest_read: dict[str, str] = field(default_factory=dict)
    moved_at: dict[str, float] = field(default_factory=dict)
    groups: dict[str, set[str]] = field(default_factory=dict)  # those that the community had when all could be seen

    def on(self, cluster: str) -> Books:
        """Return the books to go on with on the cluster of this id: on another one than before, the counters alone."""
        if self.cluster and cluster and cluster != self.cluster:
            return Books(cluster, committed=self.committed, lost=self.lost)
        self.cluster = cluster or self.cluster
        return self

    def remember_groups(self, name: str, groups: Iterable[str]) -> None:
        """Note the groups of a community."""
        self.groups[name] = set(sorted(groups)[:_MOST_GROUPS])

    def forget(self, gone: set[str]) -> None:
        """Forget topics, by their ids."""
        self.unread = {key: count for key, count in self.unread.items() if key[1] not in gone}
        self.progress = {key: value for key, value in self.progress.items() if key[1] not in gone}
        self.foreign = {key: value for key, value in self.foreign.items() if key[1] not in gone}
        for name, offsets in self.at_first_look.items():
            self.at_first_look[name] = {key: value for key, value in offsets.items() if key[0] not in gone}
        nights = {(topic.program, topic.night) for topic in self.topics.values()}
        self.delivered = {key: count for key, count in self.delivered.items() if key[1:] in nights}

    def state(self, most: int = _MOST_ROWS) -> tuple[dict[str, Any], int]:
        """Return what has to survive a restart, for JSON, and how many topics are left out of it."""
        rows = Counter(identity for _, identity, _ in self.progress)
        kept: dict[str, AlertTopic] = {}
        for topic in sorted(self.topics.values(), key=lambda topic: topic.night, reverse=True):
            most -= rows[topic.topic_id] + 1
            if most < 0:
                break
            kept[topic.topic_id] = topic
        whole = len(kept) == len(self.topics)
        return {
            "version": _VERSION,
            "cluster": self.cluster,
            "delivered": [[*key, count] for key, count in self.delivered.items()],
            "committed": [[*key, count] for key, count in self.committed.items()],
            "lost": [[*key, count] for key, count in self.lost.items()],
            "topics": [[t.name, t.topic_id, t.night, t.program, list(t.partitions)] for t in kept.values()],
            "unread": [[*key, count] for key, count in self.unread.items() if key[1] in kept],
            "progress": [[*key, *value.state()] for key, value in self.progress.items() if key[1] in kept],
            "foreign": [[*key, commit] for key, commit in self.foreign.items() if key[1] in kept],
            # Of topics that are left out it is not known any more what was counted: the next start looks anew.
            "looked": sorted(self.at_first_look) if whole else [],
            "first_look": [
                [name, *key, offset]
                for name, offsets in self.at_first_look.items()
                for key, offset in offsets.items()
                if whole and key[0] in kept
            ],
            "newest_read": [[*pair] for pair in self.newest_read.items()],
            "moved_at": [[name, round(at, 3)] for name, at in self.moved_at.items()],
            "groups": [[name, sorted(groups)] for name, groups in self.groups.items()],
        }, len(self.topics) - len(kept)

    @classmethod
    def restored(cls, state: Any) -> Books:
        """Return the books of a state.

        Raises ValueError, KeyError or TypeError when anything in it is not what state() writes.
        """
        if _count(state["version"]) != _VERSION:
            raise ValueError(f"version {state['version']!r} instead of {_VERSION}")
        books = cls(cluster=_text(state["cluster"]))
        books.delivered.update({(c, p, n): v for c, p, n, v in _rows(state["delivered"], _text, _count, _text, _count)})
        books.committed.update({(c, p): v for c, p, v in _rows(state["committed"], _text, _count, _count)})
        books.lost.update({(c, p): v for c, p, v in _rows(state["lost"], _text, _count, _count)})
        for row in _rows(state["topics"], _text, _text, _text, _count, _counts):
            books.topics[row[1]] = AlertTopic(*row)
        books.unread.update({(c, t): v for c, t, v in _rows(state["unread"], _text, _text, _count)})
        for name, identity, number, *stand in _rows(state["progress"], _text, _text, _count, _offset, _count, _count):
            books.progress[name, identity, number] = Progress.restored(*stand)
        books.foreign.update({(c, t, n): v for c, t, n, v in _rows(state["foreign"], _text, _text, _count, _count)})
        books.at_first_look.update({_text(name): {} for name in state["looked"]})
        for name, identity, number, offset in _rows(state["first_look"], _text, _text, _count, _count):
            books.at_first_look[name][identity, number] = offset
        books.newest_read.update((name, night) for name, night in _rows(state["newest_read"], _text, _text))
        books.moved_at.update((name, at) for name, at in _rows(state["moved_at"], _text, _time))
        books.groups.update({name: set(names) for name, names in _rows(state["groups"], _text, _texts)})
        return books


def _rows(rows: Any, *kinds: Any) -> Iterator[list[Any]]:
    for row in rows:
        if not isinstance(row, list) or len(row) != len(kinds):
            raise ValueError(f"{str(row)[:80]} is no row of {len(kinds)}")
        yield [kind(value) for kind, value in zip(kinds, row, strict=True)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:80]} is no text")
    return value


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:80]} is no list")
    return [_text(item) for item in value]


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{str(value)[:80]} is no number that was counted")
    return value


def _counts(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{str(value)[:80]} is no list")
    return tuple(_count(item) for item in value)


def _offset(value: Any) -> int | None:
    return None if value is None else _count(value)


def _time(value: Any) -> float:
    if type(value) not in {int, float} or not isfinite(value):
        raise ValueError(f"{str(value)[:80]} is no time")
    return float(value)
