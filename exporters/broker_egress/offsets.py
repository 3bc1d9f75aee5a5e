"""Egress from committed offsets: messages committed times the mean size of a message in the log.

Works from any machine and checks the wire's figures. A group that goes back reads again: the
messages between are delivered, and counted, a second time.
"""

from __future__ import annotations

import re
from collections import defaultdict

from zads import kafka
from zads.config import Config
from zads.kafka import ClusterReader, TopicPartition


class OffsetEgress:
    """Keep commits between collections and count bytes per community."""

    def __init__(self, config: Config, reader: ClusterReader) -> None:
        self._reader = reader
        self._regex = config.stream.topic_regex
        self._patterns = {c.name: [re.compile(p) for p in c.groups] for c in config.communities if c.commits}
        self._seen: dict[tuple[str, str, TopicPartition], int] = {}
        self._first = True
        self.bytes: dict[str, float] = defaultdict(float)

    def close(self) -> None:
        """Close the connections."""
        self._reader.close()

    def collect(self) -> dict[str, int]:
        """Look once and return errors by reason.

        Raises KafkaFailure or OSError when the cluster does not answer.
        """
        metadata = self._reader.metadata()
        groups = self._reader.groups()
        mine = {n: g for n, g in groups.values.items() if self._owner(n)}
        committed = self._reader.committed(mine.values())
        topics = {t.name: t for t in metadata.topics.values() if self._regex.fullmatch(t.name)}
        parts = [(t.name, p) for t in topics.values() for p in t.leaders]
        ends = self._reader.list_offsets(dict.fromkeys(parts, kafka.LATEST)).values
        starts = self._reader.list_offsets(dict.fromkeys(parts, kafka.EARLIEST)).values
        mean = self._mean_sizes(self._reader.log_dirs().values, ends, starts)
        for group, offsets in committed.values.items():
            owner = self._owner(group)
            for part, offset in offsets.items():
                topic = topics.get(part[0])
                if owner is None or topic is None:
                    continue
                key = (group, topic.topic_id, part)
                start = starts.get(part, (0, 0))[0]
                before = self._seen.get(key, offset if self._first else min(start, offset))
                # Going back means reading again: what lies between will be committed once more.
                self.bytes[owner] += max(0, offset - before) * mean.get(part[0], 0.0)
                self._seen[key] = offset
        self._first = False
        living = {topic.topic_id for topic in topics.values()}
        self._seen = {key: value for key, value in self._seen.items() if key[1] in living and key[0] in committed.values}
        return {**groups.errors, **committed.errors}

    def _owner(self, group: str) -> str | None:
        for name, patterns in self._patterns.items():
            if any(pattern.fullmatch(group) for pattern in patterns):
                return name
        return None

    @staticmethod
    def _mean_sizes(
        sizes: dict[TopicPartition, int],
        ends: dict[TopicPartition, tuple[int, int]],
        starts: dict[TopicPartition, tuple[int, int]],
    ) -> dict[str, float]:
        """Return the mean bytes of a message per topic: over all its partitions, since one alone may be empty."""
        total: dict[str, int] = defaultdict(int)
        count: dict[str, int] = defaultdict(int)
        for part, (end, _) in ends.items():
            total[part[0]] += sizes.get(part, 0)
            count[part[0]] += end - starts.get(part, (0, 0))[0]
        return {topic: total[topic] / count[topic] for topic in total if count[topic] > 0}
