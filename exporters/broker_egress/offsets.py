"""Egress from committed offsets: messages committed times the mean size of a message in the log.

Works from any machine and checks the wire's figures. A group that goes back reads again: the
messages between are delivered, and counted, a second time. The wire carries some percent more: Kafka cuts
an answer at the size that was asked for, in the middle of a batch, and the client asks for that batch again.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from zads import kafka
from zads.config import Config
from zads.kafka import ClusterReader, Topic, TopicPartition

_FORGOTTEN_AFTER = 60  # looks


class OffsetEgress:
    """Keep commits between collections and count bytes per community.

    What a group had committed before it was first seen is not counted; with a `state`, what it committed
    while nobody looked is.
    """

    def __init__(self, config: Config, reader: ClusterReader) -> None:
        self._reader = reader
        self._regex, self._packet_bytes = config.stream.topic_regex, config.stream.packet_bytes
        self._patterns = {c.name: [re.compile(p) for p in c.groups] for c in config.communities if c.commits}
        self._seen: dict[tuple[str, str, int], int] = {}  # (group, topic id, partition)
        self._mean: dict[str, float] = {}
        self._absent: Counter[str] = Counter()
        self._first = True
        self._unread: set[str] = set()  # groups that could not be read when all the others were first seen
        self.bytes: dict[str, float] = defaultdict(float)
        self.replayed: dict[str, int] = defaultdict(int)
        self.ports: frozenset[int] = frozenset()  # that the brokers advertise to us

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()

    def collect(self) -> dict[str, int]:
        """Look once and return errors by reason; a group or partition that fails keeps what it had.

        Raises KafkaFailure or OSError when the cluster does not answer.
        """
        metadata = self._reader.metadata()
        self.ports = frozenset(port for _, port in metadata.brokers.values())
        groups = self._reader.groups()
        mine = {n: g for n, g in groups.values.items() if self._owner(n)}
        committed = self._reader.committed(mine.values())
        topics = {t.name: t for t in metadata.topics.values() if self._regex.fullmatch(t.name)}
        parts = [(t.name, p) for t in topics.values() for p in t.leaders]
        ends = self._reader.list_offsets(dict.fromkeys(parts, kafka.LATEST))
        starts = self._reader.list_offsets(dict.fromkeys(parts, kafka.EARLIEST))
        sizes = self._reader.log_dirs()
        self._mean = {name: mean for name, mean in self._mean.items() if name in topics}
        self._mean |= _mean_sizes(sizes.values, ends.values, starts.values)
        for group, offsets in committed.values.items():
            for part, offset in offsets.items():
                topic = topics.get(part[0])
                if topic is not None:
                    self._count(group, topic, part, offset, starts.values)
        if self._first and not groups.errors:
            self._first, self._unread = False, set(mine) - committed.values.keys()
        self._unread -= committed.values.keys()
        self._forget({topic.topic_id for topic in topics.values()})
        errors: Counter[str] = Counter()
        for answer in (groups, committed, ends, starts, sizes):
            errors.update(answer.errors)
        return dict(errors)

    def _forget(self, living: set[str]) -> None:
        """Forget topics that have been gone for a while: a broker that starts may list fewer topics for a moment."""
        for topic_id in {key[1] for key in self._seen}:
            self._absent[topic_id] = 0 if topic_id in living else self._absent[topic_id] + 1
        gone = {topic_id for topic_id, looks in self._absent.items() if looks > _FORGOTTEN_AFTER}
        self._seen = {key: value for key, value in self._seen.items() if key[1] not in gone}
        for topic_id in gone:
            del self._absent[topic_id]

    def _count(
        self,
        group: str,
        topic: Topic,
        part: TopicPartition,
        offset: int,
        starts: Mapping[TopicPartition, tuple[int, int]],
    ) -> None:
        owner = self._owner(group)
        if owner is None:
            return
        key = (group, topic.topic_id, part[1])
        before = self._seen.get(key)
        if before is None and (self._first or group in self._unread):
            before = offset
        elif before is None:
            if part not in starts:
                return  # counted when it is known where the log begins
            before = min(starts[part][0], offset)
        # Going back means reading again: what lies between will be committed once more.
        self.replayed[owner] += max(0, before - offset)
        self.bytes[owner] += max(0, offset - before) * self._mean.get(topic.name, self._packet_bytes)
        self._seen[key] = offset

    def state(self) -> dict[str, Any]:
        """Return what has to survive a restart."""
        seen: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        for (group, topic_id, number), offset in self._seen.items():
            seen[group][topic_id][number] = offset
        return {"seen": seen, "bytes": dict(self.bytes), "replayed": dict(self.replayed), "first": self._first}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state() of before; what is no such state changes nothing and raises ValueError, KeyError or the like."""
        seen = {
            (str(group), str(topic_id), int(number)): int(offset)
            for group, topics in state["seen"].items()
            for topic_id, offsets in topics.items()
            for number, offset in offsets.items()
        }
        sent = {str(k): float(v) for k, v in state["bytes"].items()}
        replayed = {str(k): int(v) for k, v in state["replayed"].items()}
        self._seen, self._first = seen, bool(state["first"])
        self.bytes.update(sent)
        self.replayed.update(replayed)

    def _owner(self, group: str) -> str | None:
        for name, patterns in self._patterns.items():
            if any(pattern.fullmatch(group) for pattern in patterns):
                return name
        return None


def _mean_sizes(
    sizes: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, tuple[int, int]],
    starts: Mapping[TopicPartition, tuple[int, int]],
) -> dict[str, float]:
    """Return the mean bytes of a message per topic: over its readable partitions, since one alone may be empty."""
    total: dict[str, int] = defaultdict(int)
    count: dict[str, int] = defaultdict(int)
    for part, (end, _) in ends.items():
        if part in sizes and part in starts:
            total[part[0]] += sizes[part]
            count[part[0]] += end - starts[part][0]
    return {topic: total[topic] / count[topic] for topic in total if count[topic] > 0 and total[topic] > 0}
