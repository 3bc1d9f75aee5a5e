"""Where MirrorMaker began: what lay at IPAC before it was started with `latest` does not wait to be passed on.

MirrorMaker notes an offset of a partition when it has passed something on, so a partition without one says
nothing: with `earliest`, its default, all of it waits; with `latest` only what came since the mirror was started,
and nothing ever comes of the rest. Both stand in its own settings, in `mm2-configs.<source>.internal` on the target
cluster: the policy in the connector's entry, the start in the time of the oldest entry. The topic is small, and
read only when a partition asks for it, at most once a minute; whatever else is in it (settings may hold
passwords) is not kept.
"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from exporters.alert_arrival.appends import Offsets
from exporters.alert_arrival.counts import AlertTopic, TopicPartition
from zads import kafka
from zads.config import Config

_LOG = logging.getLogger(__name__)
_EVERY_SECONDS = 60.0
_READ_SECONDS = 3.0
_CALL_MS = 2000
_CONNECTOR = b"connector-MirrorSourceConnector"
# As MirrorMaker takes them: the first of them that is there.
_POLICIES = ("source.consumer.auto.offset.reset", "consumer.auto.offset.reset")


class MirrorStart:
    """Knows when a mirror that reads from `latest` was started, and where that is on each partition."""

    def __init__(
        self,
        config: Config,
        *,
        connect: Callable[..., Any] = kafka.consumer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._connect, self._monotonic = config, connect, monotonic
        self._topic = f"mm2-configs.{config.mirror.source_alias}.internal"
        self._next = float("-inf")
        self._offsets: dict[tuple[str, TopicPartition], int] = {}
        self.started_ms: int | None = None  # None: it reads from the beginning, or does not tell

    def update(self, topics: Mapping[str, tuple[int, ...]]) -> bool:
        """Read MirrorMaker's settings, when the last time is a minute ago; `topics` holds the cluster's topics.

        Returns whether what is known is of now: settings that are not there will not say more later.
        Raises KafkaFailure, OSError or AssertionError when they cannot be read: what was known stays.
        """
        now = self._monotonic()
        if self._topic not in topics:
            return True
        if now < self._next:
            return False
        self._next = now + _EVERY_SECONDS
        consumer = self._connect(
            self._config.kafka["public"],
            client_id="zads-mirror-start",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=5000,
        )
        try:
            started = self._read(consumer, topics[self._topic])
        finally:
            try:
                consumer.close(autocommit=False, timeout_ms=1000)
            except Exception as error:  # its broker may be gone
                _LOG.debug("closing: %s", error)
        if started != self.started_ms:
            self.started_ms = started
            self._offsets.clear()
        return True

    def _read(self, consumer: Any, numbers: tuple[int, ...]) -> int | None:
        """Return when the mirror was started, None when it reads from the beginning."""
        parts = [kafka.partition(self._topic, number) for number in numbers]
        ends = consumer.end_offsets(parts, timeout_ms=_CALL_MS)
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        deadline = self._monotonic() + _READ_SECONDS
        policy, oldest = "", None
        while any(int(consumer.position(part, timeout_ms=_CALL_MS) or 0) < end for part, end in ends.items()):
            if self._monotonic() > deadline:
                raise TimeoutError(f"{self._topic} was not read to its end in {_READ_SECONDS:g} s")
            for records in consumer.poll(timeout_ms=300, max_records=1000).values():
                for record in records:
                    oldest = min(record.timestamp, record.timestamp if oldest is None else oldest)
                    if record.key == _CONNECTOR:
                        policy = _policy(record.value)
        return oldest if policy == "latest" else None

    def offsets(
        self, reader: Offsets, topics: Mapping[str, AlertTopic], ends: Mapping[TopicPartition, int]
    ) -> tuple[dict[TopicPartition, int], Counter[str]]:
        """Return IPAC's first offset of the mirror's time by partition, and errors by reason.

        `ends` holds the partitions that are asked for, with their ends at IPAC. What cannot be told is left out.
        Without a start at `latest` it is 0 everywhere.
        """
        if self.started_ms is None:
            return dict.fromkeys(ends, 0), Counter()
        keys = {part: (topics[part[0]].topic_id, part) for part in ends}
        asked = {part: self.started_ms for part, key in keys.items() if key not in self._offsets}
        answer = reader.list_offsets(asked) if asked else kafka.Answer[tuple[int, int]]()
        found = {part: self._offsets[key] for part, key in keys.items() if key in self._offsets}
        for part, (offset, _) in answer.values.items():
            # Nothing is that young: the mirror's time begins at the end, wherever that is by then.
            found[part] = offset if offset >= 0 else ends[part]
            if offset >= 0:
                self._offsets[keys[part]] = offset
        living = {topic.topic_id for topic in topics.values()}
        self._offsets = {key: offset for key, offset in self._offsets.items() if key[0] in living}
        return found, Counter(answer.errors)


def _policy(value: bytes | None) -> str:
    """Return where a connector of these settings begins to read; "" when they do not say."""
    try:
        settings = json.loads(value or b"{}").get("properties", {})
        return str(next((settings[name] for name in _POLICIES if name in settings), ""))
    except (ValueError, AttributeError, TypeError):
        return ""
