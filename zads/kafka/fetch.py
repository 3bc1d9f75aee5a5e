"""Read logs at full speed as a consumer does, without being one: no group, no commit, nothing that a broker remembers.

kafka-python's own consumer hides what came over the wire (sizes are of the unpacked records), waits without
an end where a topic may not be read, and its errors name no partition. Here each leader has a thread that
asks for the next bytes as soon as it has the last ones, before they are unpacked (Fetch, KIP-74), as librdkafka
and Java's consumer do.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka.errors import for_code
from kafka.protocol.consumer import FetchRequest
from kafka.protocol.metadata import MetadataRequest
from kafka.record import MemoryRecords

from zads.config import KafkaCluster
from zads.kafka.client import Client
from zads.kafka.errors import reason
from zads.kafka.model import TopicPartition

_LOG = logging.getLogger(__name__)
# Small enough that a slow line (70 kB/s) brings an answer within the timeout.
_ANSWER_BYTES, _PARTITION_BYTES = 2_000_000, 1_000_000
_WAIT_MS = 500
_TIMEOUT_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_ANSWERS_WAITING = 8
_NAMES_LAST = 12  # the last version that names topics; later ones want ids, which Kafka before 2.8 has not


@dataclass(frozen=True)
class Record:
    """One record; the timestamp is in ms."""

    offset: int
    timestamp: int
    value: bytes | None


class Batch:
    """Records that were sent together: offsets from `base` to before `next`, `size` bytes as they were sent, compressed.

    They are unpacked when asked for.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.size = int(inner.size_in_bytes)
        self.base, self.next = int(inner.base_offset), int(inner.next_offset)
        self.control = bool(getattr(inner, "is_control_batch", False))  # the end of a transaction: no alert

    def records(self) -> Iterator[Record]:
        """Yield the records.

        Raises KafkaFailure for a compression that this Python cannot unpack, and much else for damaged bytes.
        """
        for record in self._inner:
            yield Record(record.offset, record.timestamp, record.value)


@dataclass(frozen=True)
class Fetched:
    """What one answer brought of one partition, asked for from `begin`; or why it brought nothing (`error`).

    `end` is the partition's log end as of then, -1 when it was not told. `part` is None where a whole broker failed:
    `broker` says which.
    """

    part: TopicPartition | None
    received: float
    begin: int = 0
    end: int = -1
    batches: tuple[Batch, ...] = ()
    error: str = ""
    broker: int = -1


class Fetcher:
    """Threads that read from the leaders of partitions; `take` returns what they brought."""

    def __init__(self, cluster: KafkaCluster, *, client_id: str) -> None:
        self._client = Client(cluster, client_id=client_id, timeout=_TIMEOUT_SECONDS)
        self._closed = threading.Event()
        self._lock = threading.Condition()
        self._positions: dict[TopicPartition, int] = {}
        self._leaders: dict[TopicPartition, int] = {}
        self._paused: dict[TopicPartition, float] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._answers: queue.Queue[list[Fetched]] = queue.Queue(_ANSWERS_WAITING)
        self._ready: list[Fetched] = []

    def follow(self, leaders: Mapping[TopicPartition, int], begin: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from their leaders; one that is new begins at `begin`, any other goes on."""
        with self._lock:
            self._leaders = dict(leaders)
            self._positions = {part: self._positions.get(part, begin.get(part, 0)) for part in leaders}
            for leader in {leader for leader in leaders.values() if leader >= 0} - self._threads.keys():
                thread = threading.Thread(target=self._run, args=(leader,), name=f"fetch-{leader}", daemon=True)
                self._threads[leader] = thread
                thread.start()
            self._lock.notify_all()

    def seek(self, part: TopicPartition, offset: int) -> None:
        """Go on from another offset."""
        with self._lock:
            if part in self._positions:
                self._positions[part] = offset
                self._paused.pop(part, None)
            self._lock.notify_all()

    def take(self, timeout: float) -> Fetched | None:
        """Return the next that came, None when nothing does in time."""
        if not self._ready:
            try:
                self._ready = self._answers.get(timeout=timeout)[::-1]
            except queue.Empty:
                return None
        return self._ready.pop() if self._ready else None

    def brokers(self) -> dict[int, tuple[str, int]]:
        """Return the brokers' addresses as the cluster gives them."""
        return self._client.brokers()

    def topic_error(self, topic: str) -> str:
        """Return why the broker does not tell of a topic, "" when it does.

        Raises KafkaFailure or OSError when no broker answers.
        """
        request = MetadataRequest(
            topics=[MetadataRequest.MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False, max_version=8
        )
        answer = self._client.ask(request, next(iter(self._client.brokers())))
        return next((reason(row.error_code) for row in answer.topics if row.error_code), "")

    def close(self) -> None:
        """End the threads and the connections."""
        self._closed.set()
        with self._lock:
            self._lock.notify_all()
        self._client.close()

    def _run(self, leader: int) -> None:
        turn = 0
        while not self._closed.is_set():
            wanted = self._wanted(leader)
            if not wanted:
                continue
            turn += 1
            order = [*wanted.items()]
            first = turn % len(order)
            try:
                # An answer is filled in the order of the request: each partition is the first in turn.
                answer = self._client.ask(_request(order[first:] + order[:first]), leader)
                found = [row for row in self._rows(answer, wanted, leader) if row.error or row.batches or row.end >= 0]
            except Exception as error:  # the library raises anything; the reader of the answers decides
                if not self._closed.is_set():
                    self._give([Fetched(None, time.time(), error=reason(error), broker=leader)])
                    self._closed.wait(_RETRY_SECONDS)
                    self._relearn()
                continue
            if found:
                self._give(found)

    def _wanted(self, leader: int) -> dict[TopicPartition, int]:
        """Return where to read on at this leader; waits a little when there is nothing."""
        with self._lock:
            now = time.monotonic()
            wanted = {
                part: self._positions[part]
                for part, its in self._leaders.items()
                if its == leader and self._paused.get(part, 0.0) <= now
            }
            if not wanted:
                self._lock.wait(0.2)
            return wanted

    def _rows(self, answer: Any, wanted: Mapping[TopicPartition, int], leader: int) -> Iterator[Fetched]:
        received = time.time()
        if getattr(answer, "error_code", 0):
            yield Fetched(None, received, error=reason(answer.error_code), broker=leader)
            return
        for topic in answer.responses:
            for row in topic.partitions:
                part = (topic.topic, row.partition_index)
                if part not in wanted:
                    continue
                begin = wanted[part]
                if row.error_code:
                    self._pause(part)
                    yield Fetched(part, received, begin, error=reason(for_code(row.error_code)()))
                    continue
                data = row.records or b""
                try:
                    batches = tuple(_batches(data))
                except Exception as error:  # bytes that are no records
                    self._pause(part)
                    yield Fetched(part, received, begin, row.high_watermark, error=reason(error))
                    continue
                with self._lock:
                    # Somebody may have sought elsewhere meanwhile.
                    if batches and self._positions.get(part) == begin:
                        self._positions[part] = batches[-1].next
                yield Fetched(part, received, begin, row.high_watermark, batches)

    def _pause(self, part: TopicPartition) -> None:
        with self._lock:
            self._paused[part] = time.monotonic() + _RETRY_SECONDS

    def _give(self, rows: list[Fetched]) -> None:
        """Hand over an answer; waits while the reader is behind: its slowness is part of what is measured."""
        while not self._closed.is_set():
            try:
                self._answers.put(rows, timeout=0.2)
            except queue.Full:
                continue
            return

    def _relearn(self) -> None:
        """Learn the brokers' addresses anew, from any that tells."""
        for broker in self._client.brokers():
            try:
                self._client.learn(self._client.ask(MetadataRequest(topics=[], allow_auto_topic_creation=False), broker))
            except Exception as error:  # see _run
                _LOG.debug("broker %d does not tell its cluster: %s", broker, error)
            else:
                return


def _request(wanted: Sequence[tuple[TopicPartition, int]]) -> Any:
    new_topic = FetchRequest.FetchTopic
    topics = [
        new_topic(
            topic=name,
            partitions=[
                new_topic.FetchPartition(
                    partition=number,
                    current_leader_epoch=-1,
                    fetch_offset=offset,
                    last_fetched_epoch=-1,
                    log_start_offset=-1,
                    partition_max_bytes=_PARTITION_BYTES,
                )
            ],
        )
        for (name, number), offset in wanted
    ]
    return FetchRequest(
        replica_id=-1,
        max_wait_ms=_WAIT_MS,
        min_bytes=1,
        max_bytes=_ANSWER_BYTES,
        isolation_level=0,
        session_id=0,
        session_epoch=-1,  # no session: nothing for the broker to keep
        topics=topics,
        forgotten_topics_data=[],
        rack_id="",
        min_version=4,
        max_version=_NAMES_LAST,
    )


def _batches(data: bytes) -> Iterator[Batch]:
    """Yield the whole batches; the last one in an answer may be cut off, and comes again."""
    records = MemoryRecords(data)
    while records.has_next():
        yield Batch(records.next_batch())
