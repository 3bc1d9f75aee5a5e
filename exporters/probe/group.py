"""Read as a member of a group, for who wants to know whether that works too; nothing is committed.

kafka-python's own consumer does the reading: it knows records, not what came over the wire, so sizes are those of
the unpacked packets. While it is a member, the group's partitions are shared with its other members.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from zads import kafka
from zads.config import KafkaCluster
from zads.kafka import TopicPartition
from zads.kafka.errors import reason
from zads.kafka.fetch import Batch, Fetched, Record

_LOG = logging.getLogger(__name__)
_CALL_MS = 2000
_RETRY_SECONDS = 1.0


class _Run(Batch):
    """Records that one poll brought of a partition."""

    def __init__(self, records: list[Any]) -> None:
        self._found = records
        self.base, self.next, self.control = int(records[0].offset), int(records[-1].offset) + 1, False
        self.size = sum(len(record.value or b"") for record in records)

    def records(self) -> Iterator[Record]:
        """Yield the records."""
        for record in self._found:
            yield Record(record.offset, record.timestamp, record.value)


class GroupFetcher:
    """A member of a group that never commits; `take` returns what came, as the reader without a group does."""

    def __init__(
        self, cluster: KafkaCluster, name: str, *, earliest: bool, connect: Callable[..., Any] = kafka.consumer
    ) -> None:
        self.name = name
        self._consumer = connect(
            cluster,
            client_id="zads-probe",
            group_id=name,
            enable_auto_commit=False,
            auto_offset_reset="earliest" if earliest else "latest",
            check_crcs=False,
            bootstrap_timeout_ms=5000,
        )
        self._topics: set[str] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._ready: list[Fetched] = []

    def follow(self, leaders: Mapping[TopicPartition, int], begin: Mapping[TopicPartition, int]) -> None:
        """Subscribe to the topics; where to begin is the group's affair, and `begin` is not heeded."""
        topics = {name for name, _ in leaders}
        if topics and topics != self._topics:
            self._topics = topics
            self._consumer.subscribe(topics=sorted(topics))

    def seek(self, part: TopicPartition, offset: int) -> None:
        """Do nothing: the consumer itself goes on where the log is."""

    def take(self, timeout: float) -> Fetched | None:
        """Return the next that came, None when nothing does in time."""
        if not self._ready and self._topics:
            try:
                self._ready = self._poll(timeout)[::-1]
            except Exception as error:  # the library raises anything; the reader of the answers decides
                time.sleep(min(timeout, _RETRY_SECONDS))
                return Fetched(None, time.time(), error=reason(error))
        elif not self._ready:
            time.sleep(timeout)
        return self._ready.pop() if self._ready else None

    def _poll(self, timeout: float) -> list[Fetched]:
        found = self._consumer.poll(timeout_ms=int(timeout * 1000), max_records=500)
        received, rows = time.time(), []
        for part, records in found.items():
            run = _Run(records)
            key = (str(part.topic), int(part.partition))
            begin = self._positions.get(key, run.base)
            self._positions[key] = run.next
            rows.append(Fetched(key, received, begin, batches=(run,)))
        assigned = {(str(part.topic), int(part.partition)): part for part in self._consumer.assignment()}
        self._positions = {key: offset for key, offset in self._positions.items() if key in assigned}
        for key in assigned.keys() - self._positions.keys():
            position = self._consumer.position(assigned[key], timeout_ms=_CALL_MS)
            if position is not None:
                self._positions[key] = int(position)
                rows.append(Fetched(key, received, int(position)))
        return rows

    def close(self) -> None:
        """Leave the group."""
        try:
            self._consumer.close(autocommit=False, timeout_ms=_CALL_MS)
        except Exception as error:  # its broker may be gone
            _LOG.debug("closing: %s", error)
