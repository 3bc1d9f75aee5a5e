"""Read one cluster's alert topics: what exists, where the logs end, how large they are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from exporters.alert_arrival.appends import Appends
from exporters.alert_arrival.counts import AlertTopic, Arrivals, Sizes, TopicPartition
from zads import kafka
from zads.kafka import Answer, ClusterReader

_SIZES_EVERY = 6  # collections
_PROBE_SECONDS = 1.0


class Cluster:
    """What was last read of one cluster; `readable` says whether that is of the last collection."""

    def __init__(
        self,
        name: str,
        reader: ClusterReader,
        addresses: tuple[str, ...],
        *,
        probe: Callable[[str, float], float] = kafka.api_versions,
    ) -> None:
        self.name, self.reader = name, reader
        self._addresses, self._probe = addresses, probe
        self.topics: dict[str, AlertTopic] = {}
        self.others: dict[str, tuple[int, ...]] = {}  # partitions of all other topics, for the mirror's own
        self.ends: dict[TopicPartition, int] = {}
        self.starts: dict[TopicPartition, int] = {}
        self.fresh: frozenset[TopicPartition] = frozenset()  # whose end was told in the last collection
        self.newest: dict[int, float] = {}  # by program: when its newest alert was put on record
        self._newest: dict[TopicPartition, tuple[int, float]] = {}  # by partition, with the end that it was read at
        self.appends = Appends(created=name == "upstream")
        self.sizes = Sizes()
        self.readable = False
        self.refuses = False  # nothing listens on any of its addresses: it is dead, and not only out of sight
        self._round = 0

    def answers(self) -> bool:
        """Tell whether one of the addresses answers."""
        self.refuses = True
        return any(self._answers(address) for address in self._addresses)

    def _answers(self, address: str) -> bool:
        try:
            self._probe(address, _PROBE_SECONDS)
        except OSError as error:
            self.refuses = self.refuses and isinstance(error, ConnectionRefusedError)
            return False
        self.refuses = False
        return True

    def read_topics(self, pattern: re.Pattern[str]) -> None:
        """Read what exists.

        Raises KafkaFailure or OSError when no broker answers.
        """
        self.readable = False
        topics, self.others = {}, {}
        for topic in self.reader.metadata().topics.values():
            match, parts = pattern.fullmatch(topic.name), tuple(sorted(topic.leaders))
            if match:
                topics[topic.name] = AlertTopic(topic.name, topic.topic_id, match["night"], int(match["program"]), parts)
            else:
                self.others[topic.name] = parts
        gone = {name for name, topic in self.topics.items() if name not in topics or topics[name].topic_id != topic.topic_id}
        self.topics = topics
        for known in (self.ends, self.starts, self._newest):
            for part in [p for p in known if p[0] in gone]:
                known.pop(part, None)

    def read_offsets(self, arrivals: Arrivals, now: float) -> Counter[str]:
        """Read log ends, starts and sizes, and add them to the books; return errors by reason.

        A partition that does not answer keeps its last end. Raises OSError when none answers.
        """
        errors: Counter[str] = Counter()
        parts = [(topic.name, number) for topic in self.topics.values() for number in topic.partitions]
        ends = self.reader.list_offsets(dict.fromkeys(parts, kafka.LATEST))
        errors.update(ends.errors)
        self.fresh = frozenset()
        if parts and not ends.values:
            raise ConnectionError(f"{self.name}: no partition of an alert topic tells its end")
        fresh = {part: offset for part, (offset, _) in ends.values.items()}
        self.fresh = frozenset(fresh)
        for part in parts:
            known = fresh.get(part, self.ends.get(part, arrivals.last_end(self.name, self.topics[part[0]], part[1])))
            if known is not None:
                self.ends[part] = known
        self._read_newest(fresh, errors)
        if self._round % _SIZES_EVERY == 0 or any(part not in self.starts for part in fresh):
            starts = self.reader.list_offsets(dict.fromkeys(parts, kafka.EARLIEST))
            errors.update(starts.errors)
            self.starts |= {part: offset for part, (offset, _) in starts.values.items()}
            sizes = self.reader.log_dirs()
            errors.update(sizes.errors)
            self.sizes.measure(sizes.values, self.starts, fresh)
        arrivals.update(self.name, self.topics, fresh)
        self.sizes.update(self.topics, fresh)
        errors.update(self.appends.remember(self.reader, self.topics, fresh, now))
        self._round += 1
        self.readable = True
        return errors

    def _read_newest(self, fresh: Mapping[TopicPartition, int], errors: Counter[str]) -> None:
        """Read the newest record's timestamp of the logs that have grown: finding it costs the broker a read."""
        grown = [part for part, end in fresh.items() if end > 0 and self._newest.get(part, (0, 0.0))[0] != end]
        found = self.reader.list_offsets(dict.fromkeys(grown, kafka.MAX_TIMESTAMP)) if grown else Answer()
        errors.update(found.errors)
        for part, (_, timestamp) in found.values.items():
            if timestamp > 0:
                self._newest[part] = (fresh[part], timestamp / 1000.0)
        self._newest = {part: row for part, row in self._newest.items() if part in self.ends}
        self.newest = {}
        for (name, _), (_, at) in self._newest.items():
            program = self.topics[name].program
            self.newest[program] = max(self.newest.get(program, 0.0), at)
