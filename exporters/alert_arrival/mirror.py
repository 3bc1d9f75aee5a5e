"""MirrorMaker's own source offsets, from its offsets topic on the target cluster.

Kafka Connect keeps source offsets in `mm2-offsets.<source>.internal`: key
["MirrorSourceConnector", {"cluster", "partition", "topic"}], value {"offset": last copied}.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from zads import kafka
from zads.config import Config

_LOG = logging.getLogger(__name__)
_RETRY = 15.0


class MirrorOffsets:
    """Follow the offsets topic; knows the next source offset of each partition."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._consumer: Any = None
        self._next_try = 0.0
        self.next_offsets: dict[tuple[str, int], int] = {}
        self.readable = False

    def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=1000)
            except Exception as error:  # its broker may be gone
                _LOG.debug("closing: %s", error)

    def update(self) -> None:
        """Read what is new; a topic that is not there yet is looked for again later."""
        if self._consumer is None:
            if time.monotonic() < self._next_try:
                return
            self._next_try = time.monotonic() + _RETRY
            topic = f"mm2-offsets.{self._config.mirror.source_alias}.internal"
            consumer = kafka.read_all(self._config.kafka["public"], topic, client_id="zads-mirror-offsets")
            if not consumer.assignment():
                consumer.close(autocommit=False, timeout_ms=1000)
                self._next_try = time.monotonic() + 3.0
                return
            self._consumer = consumer
        try:
            while True:
                batches = self._consumer.poll(timeout_ms=50 if self.readable else 1500, max_records=5000)
                if not batches:
                    break
                for records in batches.values():
                    for record in records:
                        self._take(record)
            self.readable = True
        except (kafka.KafkaFailure, OSError):
            self.readable = False
            self.close()
            raise

    def _take(self, record: Any) -> None:
        try:
            connector, place = json.loads(record.key)
            value = json.loads(record.value) if record.value else None
            part = (str(place["topic"]), int(place["partition"]))
        except (ValueError, TypeError, KeyError):
            return  # another connector's entry
        if connector != "MirrorSourceConnector":
            return
        if value is None:
            self.next_offsets.pop(part, None)
        else:
            self.next_offsets[part] = int(value["offset"]) + 1
