"""MirrorMaker's own source offsets, from its offsets topic on the target cluster.

Kafka Connect keeps source offsets in `mm2-offsets.<source>.internal`: key
["MirrorSourceConnector", {"cluster", "partition", "topic"}], value {"offset": last copied}.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from zads import kafka
from zads.config import Config

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 5.0
_CALL_MS = 2000  # kafka-python's calls wait without an end by default
_FIRST_SECONDS = 3.0


class MirrorOffsets:
    """Follow the offsets topic; knows the next source offset of each partition once it has read all of it."""

    def __init__(self, config: Config, *, connect: Callable[..., Any] = kafka.consumer) -> None:
        self._config, self._connect = config, connect
        self._topic = f"mm2-offsets.{config.mirror.source_alias}.internal"
        self._consumer: Any = None
        self._ends: dict[Any, int] = {}
        self._next_try = float("-inf")
        self.next_offsets: dict[tuple[str, int], int] = {}
        self.readable = False

    def close(self) -> None:
        """Close the connection; what was read is no longer to be trusted."""
        self.readable = False
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=1000)
            except Exception as error:  # its broker may be gone
                _LOG.debug("closing: %s", error)

    def update(self, topics: Mapping[str, tuple[int, ...]]) -> None:
        """Read what is new; `topics` holds the cluster's topics, a topic that is not there is waited for.

        Raises KafkaFailure, OSError or AssertionError when it cannot be read; it is tried again some seconds later.
        """
        if self._topic not in topics:
            self.close()
            return
        if self._consumer is None and time.monotonic() < self._next_try:
            return
        try:
            if self._consumer is None:
                self._begin(topics[self._topic])
            self._read()
        except Exception:
            self._next_try = time.monotonic() + _RETRY_SECONDS
            self.close()
            raise

    def _begin(self, partitions: tuple[int, ...]) -> None:
        self._consumer = self._connect(
            self._config.kafka["public"],
            client_id="zads-mirror-offsets",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=5000,
        )
        parts = [kafka.partition(self._topic, number) for number in partitions]
        self._ends = self._consumer.end_offsets(parts, timeout_ms=_CALL_MS)
        self._consumer.assign(parts)
        self._consumer.seek_to_beginning(*parts)
        self.next_offsets.clear()

    def _read(self) -> None:
        """Take what has come. The whole of the topic has to be read before it says anything."""
        deadline = time.monotonic() + _FIRST_SECONDS
        while True:
            batches = self._consumer.poll(timeout_ms=50 if self.readable else 300, max_records=5000)
            for records in batches.values():
                for record in records:
                    self._take(record)
            if not self.readable:
                self.readable = all(self._position(part) >= end for part, end in self._ends.items())
            if not batches and self.readable:
                return
            if time.monotonic() > deadline:
                return  # a long topic is read over several collections

    def _position(self, part: Any) -> int:
        return int(self._consumer.position(part, timeout_ms=_CALL_MS) or 0)

    def _take(self, record: Any) -> None:
        try:
            connector, place = json.loads(record.key)
            part = (str(place["topic"]), int(place["partition"]))
            offset = int(json.loads(record.value)["offset"]) if record.value else None
        except (ValueError, TypeError, KeyError):
            return  # another connector's entry
        if connector != "MirrorSourceConnector":
            return
        if offset is None:
            self.next_offsets.pop(part, None)
        else:
            self.next_offsets[part] = offset + 1
