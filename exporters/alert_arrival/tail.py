"""Read the newest packets at ZADS, decode a budgeted share of them, and keep the books of their delays."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from typing import Any

from exporters.alert_arrival.latency import Latency
from exporters.alert_arrival.packets import AlertPacket, BadPacketError, Decoder
from zads import kafka
from zads.config import Config
from zads.offset_history import OffsetHistory

_LOG = logging.getLogger(__name__)
_TOPICS_EVERY = 5.0
_EXPOSURES_KEPT = 200
_RECENT_SECONDS = 60.0


class Tail:
    """A thread that follows all alert topics of the public cluster from their ends."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._decoder = Decoder()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._tokens = 0.0
        self._filled_at = time.monotonic()
        self._known: set[Any] = set()
        self._positions: dict[Any, int] = {}  # the next offset of each partition, kept over lost connections
        self._topics_at = 0.0
        self._first = True
        self.latency = Latency()
        self.errors: Counter[str] = Counter()
        self.restricted: Counter[int] = Counter()
        self.schemas: dict[str, float] = {}
        self.exposures: Counter[int] = Counter()
        self.last_alert: dict[int, float] = {}
        self.decoded = self.read = 0
        self.histories: dict[tuple[str, int], OffsetHistory] = {}  # of the public cluster's log ends; the collector fills it
        self._per_exposure: OrderedDict[tuple[int, float], int] = OrderedDict()
        self._recent: list[tuple[float, int, int]] = []

    def start(self) -> None:
        """Begin to follow."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tail", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)

    def locked(self) -> threading.Lock:
        """Return the lock that guards the books."""
        return self._lock

    def sampled_ratio(self) -> float | None:
        """Return the decoded share of what was read in the last minute, None when nothing came."""
        read = sum(row[1] for row in self._recent)
        return sum(row[2] for row in self._recent) / read if read else None

    def alerts_per_exposure(self) -> dict[int, int]:
        """Return the alerts of the last exposure before the newest one, by program."""
        found: dict[int, int] = {}
        newest: set[int] = set()
        for (program, _), count in reversed(self._per_exposure.items()):
            if program not in newest:
                newest.add(program)
            else:
                found.setdefault(program, count)
        return found

    def _run(self) -> None:
        consumer: Any = None
        while not self._stop.is_set():
            try:
                if consumer is None:
                    consumer = self._connect()
                self._follow(consumer)
                for records in consumer.poll(timeout_ms=1000, max_records=500).values():
                    self._take(records)
            except Exception as error:  # the loop's edge: whatever the library raises, the tail begins anew
                _LOG.warning("following the public topics failed: %s: %s", type(error).__name__, error)
                self._shut(consumer)
                consumer = None
                self._stop.wait(2.0)
        self._shut(consumer)

    @staticmethod
    def _shut(consumer: Any) -> None:
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=1000)
            except Exception as error:  # its broker may be gone
                _LOG.debug("closing: %s", error)

    def _connect(self) -> Any:
        self._known, self._topics_at = set(), 0.0
        return kafka.consumer(
            self._config.kafka["public"],
            client_id="zads-alert-arrival",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            metadata_max_age_ms=5000,
            bootstrap_timeout_ms=5000,
            max_partition_fetch_bytes=2_000_000,
            fetch_max_bytes=16_000_000,
            fetch_max_wait_ms=1000,
        )

    def _follow(self, consumer: Any) -> None:
        """Follow new topics from their beginning, and those that exist at the start from their ends."""
        if time.monotonic() - self._topics_at < _TOPICS_EVERY:
            return
        self._topics_at = time.monotonic()
        regex = self._config.stream.topic_regex
        names = sorted((n for n in consumer.topics() if regex.fullmatch(n)), reverse=True)[:12]
        parts = {kafka.partition(n, p) for n in names for p in consumer.partitions_for_topic(n) or ()}
        if parts != self._known:
            new = parts - self._known
            consumer.assign(sorted(parts))
            for part in sorted(parts):
                if part in self._positions:
                    consumer.seek(part, self._positions[part])
                elif self._first:
                    consumer.seek_to_end(part)
                    self._positions[part] = consumer.position(part)
                else:
                    consumer.seek_to_beginning(part)
            if new:
                _LOG.info("following %d new partitions", len(new))
            self._known = parts
        self._first = False

    def _take(self, records: list[Any]) -> None:
        now = time.time()
        with self._lock:
            decoded = 0
            for record in records:
                self.read += 1
                self._positions[kafka.partition(record.topic, record.partition)] = record.offset + 1
                if self._afford(len(record.value or b"")):
                    decoded += 1
                    self._decode(record, now)
            self._recent.append((now, len(records), decoded))
            self._recent = [row for row in self._recent if now - row[0] < _RECENT_SECONDS]

    def _afford(self, size: int) -> bool:
        """Take bytes from the budget; what does not fit is counted but not decoded."""
        rate, now = self._config.exporters.decode_bytes_per_second, time.monotonic()
        self._tokens = min(rate * 2.0, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        if self._tokens < size:
            return False
        self._tokens -= size
        return True

    def _decode(self, record: Any, now: float) -> None:
        try:
            packet = self._decoder.decode(record.value)
        except BadPacketError as error:
            self.errors[error.reason] += 1
            return
        self.decoded += 1
        # When it was appended: from the history of log ends; what is newer than that arrived just now.
        history = self.histories.get((record.topic, record.partition))
        appended = history.appended_at(record.offset) if history else None
        self._book(packet, record.timestamp / 1000.0, now if appended is None else min(appended, now))

    def _book(self, packet: AlertPacket, produced: float, appended: float) -> None:
        program = packet.program
        if program in self._config.stream.restricted_programs:
            self.restricted[program] += 1
        self.latency.observe("exposure", program, produced - packet.exposure_end)
        self.latency.observe("mirror", program, appended - produced)
        self.latency.observe("total", program, appended - packet.exposure_end)
        self.schemas[packet.schema_version] = appended
        self.last_alert[program] = max(self.last_alert.get(program, 0.0), produced)
        key = (program, packet.jd)
        if key not in self._per_exposure:
            self.exposures[program] += 1
            while len(self._per_exposure) > _EXPOSURES_KEPT:
                self._per_exposure.popitem(last=False)
        self._per_exposure[key] = self._per_exposure.get(key, 0) + 1
