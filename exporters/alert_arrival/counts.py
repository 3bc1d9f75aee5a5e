"""What the offsets say, without I/O: alerts per night, and counters of arrivals that survive everything."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

TopicPartition = tuple[str, int]
_FORGOTTEN_AFTER = 60  # looks


@dataclass(frozen=True)
class AlertTopic:
    """An alert topic on one cluster, with its partitions."""

    name: str
    topic_id: str
    night: str
    program: int
    partitions: tuple[int, ...] = ()


class Arrivals:
    """Counters of arrived alerts per cluster and program: kept over restarts, never going down.

    What a cluster holds when it is first seen is not new. A partition that could not be read then is
    remembered, so that its history does not count as new when it can.
    """

    def __init__(self, state: Mapping[str, Any] | None = None) -> None:
        self.total: dict[tuple[str, int], int] = defaultdict(int)
        self._seen: dict[str, int] = {}
        self._looked: set[str] = set()
        self._unread: set[str] = set()
        self._absent: Counter[str] = Counter()
        if state:
            self._seen = {str(k): int(v) for k, v in state["seen"].items()}
            for key, value in state["total"].items():
                cluster, program = key.split("/")
                self.total[cluster, int(program)] = int(value)
            self._looked = set(state.get("looked") or (key.split("/")[0] for key in self._seen))
            self._unread = set(state.get("unread", ()))

    def update(self, cluster: str, topics: Mapping[str, AlertTopic], ends: Mapping[TopicPartition, int]) -> None:
        """Add what came since the last look; a topic made anew (another id) counts from its beginning."""
        living = set()
        for topic in topics.values():
            for number in topic.partitions:
                key = self._key(cluster, topic, number)
                living.add(key)
                end = ends.get((topic.name, number))
                if end is None:
                    if cluster not in self._looked:
                        self._unread.add(key)
                    continue
                old = cluster not in self._looked or key in self._unread
                before = self._seen.get(key, end if old else 0)
                self.total[cluster, topic.program] += max(0, end - before)
                self._seen[key] = max(end, before)
                self._unread.discard(key)
        self._forget({key for key in {*self._seen, *self._unread} if key.startswith(f"{cluster}/")}, living)
        self._looked.add(cluster)

    def _forget(self, known: set[str], living: set[str]) -> None:
        """Forget partitions that have been gone for a while: a broker that starts may list fewer topics for a moment."""
        for key in known & living:
            self._absent.pop(key, None)
        for key in known - living:
            self._absent[key] += 1
            if self._absent[key] > _FORGOTTEN_AFTER:
                del self._absent[key]
                self._seen.pop(key, None)
                self._unread.discard(key)

    def last_end(self, cluster: str, topic: AlertTopic, number: int) -> int | None:
        """Return the last end that was seen of a partition of this very topic."""
        return self._seen.get(self._key(cluster, topic, number))

    def state(self) -> dict[str, Any]:
        """Return what has to survive a restart."""
        return {
            "seen": self._seen,
            "total": {f"{c}/{p}": n for (c, p), n in self.total.items()},
            "looked": sorted(self._looked),
            "unread": sorted(self._unread),
        }

    @staticmethod
    def _key(cluster: str, topic: AlertTopic, number: int) -> str:
        return f"{cluster}/{topic.topic_id}/{topic.name}/{number}"


class Sizes:
    """Bytes that arrived: messages times the mean size of a message in the topic's log."""

    def __init__(self) -> None:
        self.total: dict[int, float] = defaultdict(float)
        self.known = False
        self._mean: dict[str, float] = {}
        self._counted: dict[str, dict[TopicPartition, int]] = defaultdict(dict)  # by topic id
        self._absent: Counter[str] = Counter()
        self._first = True

    def measure(
        self,
        sizes: Mapping[TopicPartition, int],
        starts: Mapping[TopicPartition, int],
        ends: Mapping[TopicPartition, int],
    ) -> None:
        """Take the logs' sizes with the ends of the same moment; a topic without messages keeps what it had."""
        count: dict[str, int] = defaultdict(int)
        size: dict[str, int] = defaultdict(int)
        for part, end in ends.items():
            if part in sizes and part in starts:
                count[part[0]] += end - starts[part]
                size[part[0]] += sizes[part]
        self._mean |= {name: size[name] / count[name] for name in count if count[name] > 0 and size[name] > 0}
        self.known = self.known or bool(sizes)

    def update(self, topics: Mapping[str, AlertTopic], ends: Mapping[TopicPartition, int]) -> None:
        """Add what came since the last look; a new topic's first messages wait until their size is known."""
        for part, end in ends.items():
            topic = topics[part[0]]
            before = self._counted[topic.topic_id].setdefault(part, end if self._first else 0)
            mean = self._mean.get(topic.name)
            if mean is not None and end > before:
                self.total[topic.program] += (end - before) * mean
                self._counted[topic.topic_id][part] = end
        self._first = False
        living = {topic.topic_id for topic in topics.values()}
        for topic_id in list(self._counted):
            self._absent[topic_id] = 0 if topic_id in living else self._absent[topic_id] + 1
            if self._absent[topic_id] > _FORGOTTEN_AFTER:
                del self._counted[topic_id], self._absent[topic_id]
        self._mean = {name: mean for name, mean in self._mean.items() if name in topics}


def night_sums(topics: Iterable[AlertTopic], ends: Mapping[TopicPartition, int]) -> dict[tuple[str, int], int]:
    """Return alerts per (night, program): the sum of end offsets.

    A topic with a partition whose end is unknown is left out: a sum that is too small would be a lie.
    """
    sums: dict[tuple[str, int], int] = defaultdict(int)
    unknown = set()
    for topic in topics:
        for number in topic.partitions:
            end = ends.get((topic.name, number))
            if end is None:
                unknown.add((topic.night, topic.program))
            else:
                sums[topic.night, topic.program] += end
    return {key: total for key, total in sums.items() if key not in unknown}
