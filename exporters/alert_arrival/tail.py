"""Read the newest packets at ZADS, or as large a share of them as the budget of bytes allows, and decode them.

Reading costs far more than decoding, so the budget is on what is read: what lies too far behind is skipped by
offset, unread, and counted as not sampled. The collector says which partitions to follow, from where, and where
they end, so that the only calls of kafka-python here are those that come back: `position()` and `topics()` wait
without an end while a broker is away.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exporters.alert_arrival.content import Content, PartitionKey
from exporters.alert_arrival.packets import AlertPacket, BadPacketError, Decoder
from zads import kafka
from zads.config import Config
from zads.fault_log import Seldom

_LOG = logging.getLogger(__name__)
_POLL_MS = 1000
_POLL_RECORDS = 50
_RETRY_SECONDS = 2.0
_BURST_SECONDS = 2.0  # of the budget, that may be used at once
_BEHIND_SECONDS = 10.0  # of the budget, that may wait unread


@dataclass(frozen=True)
class Follow:
    """A partition to follow: its program by the topic's name, where to begin when it is new, where it ends now."""

    program: int
    begin: int
    end: int


class Tail:
    """A thread that follows partitions of the public cluster."""

    def __init__(
        self,
        config: Config,
        content: Content,
        appended_at: Callable[[tuple[str, int], int], float | None],
        *,
        connect: Callable[..., Any] = kafka.consumer,
    ) -> None:
        self._config, self._content, self._appended_at, self._connect_to = config, content, appended_at, connect
        self._decoder = Decoder()
        self._stop = threading.Event()
        self._faults = Seldom()
        self._thread: threading.Thread | None = None
        self._rate = float(config.exporters.decode_bytes_per_second)
        self._tokens, self._filled_at = self._rate * _BURST_SECONDS, time.monotonic()
        self._mean = float(config.stream.packet_bytes)
        self._wanted: Mapping[PartitionKey, Follow] = {}
        self._moved = False
        self._assigned: dict[tuple[str, int], PartitionKey] = {}
        self._positions: dict[PartitionKey, int] = {}  # the next offset of each, kept over lost connections

    def follow(self, wanted: Mapping[PartitionKey, Follow]) -> None:
        """Follow these partitions from now on."""
        self._wanted, self._moved = dict(wanted), True
        if self._thread is None and wanted:
            self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        consumer: Any = None
        while not self._stop.is_set():
            try:
                if consumer is None:
                    consumer = self._connect()
                self._assign(consumer)
                self._skip(consumer)
                if self._afford():
                    for records in consumer.poll(timeout_ms=_POLL_MS, max_records=_POLL_RECORDS).values():
                        self._take(records)
                        if self._faults.over():
                            _LOG.info("following the public topics again")
            except Exception as error:  # the loop's edge: whatever the library raises, the tail begins anew
                if self._faults.due(type(error).__name__):
                    _LOG.warning("following the public topics failed: %s: %s", type(error).__name__, error)
                with self._content.lock:
                    self._content.failures[f"Tail{type(error).__name__}"] += 1
                self._shut(consumer)
                consumer = None
                self._stop.wait(_RETRY_SECONDS)
        self._shut(consumer)

    @staticmethod
    def _shut(consumer: Any) -> None:
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=1000)
            except Exception as error:  # its broker may be gone
                _LOG.debug("closing: %s", error)

    def _connect(self) -> Any:
        self._assigned = {}
        return self._connect_to(
            self._config.kafka["public"],
            client_id="zads-alert-arrival",
            group_id=None,
            enable_auto_commit=False,
            # Reached only when an offset is no longer there: go on with what is.
            auto_offset_reset="earliest",
            # A damaged batch is counted packet by packet; checked here, it would stop the partition for ever.
            check_crcs=False,
            metadata_max_age_ms=5000,
            bootstrap_timeout_ms=5000,
            # Few and not large: an answer a second is soon enough, and its bytes are memory.
            fetch_min_bytes=500_000,
            fetch_max_wait_ms=1000,
            max_partition_fetch_bytes=500_000,
            fetch_max_bytes=2_000_000,
        )

    def _assign(self, consumer: Any) -> None:
        """Assign what is wanted; a partition that is known goes on where it was."""
        wanted = self._wanted
        if set(self._assigned.values()) == wanted.keys():
            return
        consumer.assign([kafka.partition(name, number) for _, name, number in sorted(wanted)])
        for key, follow in wanted.items():
            consumer.seek(kafka.partition(key[1], key[2]), self._positions.setdefault(key, follow.begin))
        self._positions = {key: offset for key, offset in self._positions.items() if key in wanted}
        self._assigned = {(key[1], key[2]): key for key in wanted}
        _LOG.info("following %d partitions", len(wanted))

    def _skip(self, consumer: Any) -> None:
        """Jump over what the budget cannot reach in time, everywhere by the same share."""
        if not self._moved:
            return
        self._moved = False
        behind = {key: follow.end - self._positions.get(key, follow.end) for key, follow in self._wanted.items()}
        total = sum(count for count in behind.values() if count > 0)
        most = self._rate * _BEHIND_SECONDS / self._mean
        if total <= most:
            return
        skipped = 0
        for key, count in behind.items():
            jump = count - math.ceil(count * most / total)
            if jump > 0:
                self._positions[key] += jump
                consumer.seek(kafka.partition(key[1], key[2]), self._positions[key])
                skipped += jump
        with self._content.lock:
            self._content.sampled(time.time(), skipped, 0)

    def _afford(self) -> bool:
        """Tell whether there is budget to read on; where there is none, wait for it a little."""
        now = time.monotonic()
        self._tokens = min(self._rate * _BURST_SECONDS, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 0:
            self._stop.wait(min(1.0, -self._tokens / self._rate))
        return self._tokens >= 0

    def _take(self, records: list[Any]) -> None:
        taken = 0
        for record in records:
            size = len(record.value or b"")
            self._tokens -= size
            self._mean += (size - self._mean) * 0.01
            key = self._assigned.get((record.topic, record.partition))
            follow = self._wanted.get(key) if key else None
            # What comes again from the beginning is a topic made anew: it is read when the collector has seen it.
            if key is None or follow is None or record.offset < self._positions[key]:
                continue
            self._positions[key] = record.offset + 1
            self._decode(record, key, follow.program)
            taken += 1
        with self._content.lock:
            self._content.sampled(time.time(), taken, taken)

    def _decode(self, record: Any, key: PartitionKey, program: int) -> None:
        now, reason, packet = time.time(), "", None
        try:
            packet = self._decoder.decode(record.value)
        except BadPacketError as error:
            reason = error.reason
        with self._content.lock:
            if packet is None:
                self._content.errors[reason] += 1
            else:
                self._book(packet, record, key, program, now)

    def _book(self, packet: AlertPacket, record: Any, key: PartitionKey, program: int, now: float) -> None:
        # When it was appended: from the history of log ends; what is newer than that arrived just now. Between two looks
        # alerts are taken to have come evenly, which may be before one was on record.
        produced = record.timestamp / 1000.0
        appended = self._appended_at((record.topic, record.partition), record.offset)
        times = (produced, now if appended is None else min(max(appended, produced), now))
        self._content.book(packet, key, record.offset, program, times)
