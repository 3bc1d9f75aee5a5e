"""A reader that nobody knows: a real consumer of the public cluster from an address of no community."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from zads import kafka
from zads.config import Config

_LOG = logging.getLogger(__name__)
ADDRESS = "127.0.9.9"


class Stranger:
    """Reads while `wanted` says so; in a thread of its own, for as long as the process lives."""

    def __init__(self, config: Config, wanted: Callable[[], bool]) -> None:
        self._config, self._wanted = config, wanted
        self._stop = threading.Event()
        self._consumer: Any = None
        self._thread = threading.Thread(target=self._run, name="stranger", daemon=True)

    def start(self) -> None:
        """Begin to look whether it is wanted."""
        self._thread.start()

    def stop(self) -> None:
        """End it and its connections."""
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            try:
                if self._wanted():
                    self._read()
                else:
                    self._leave()
            except (kafka.KafkaFailure, OSError, AssertionError) as error:
                _LOG.warning("the stranger: %s", error)
                self._leave()
        self._leave()

    def _read(self) -> None:
        if self._consumer is None:
            self._consumer = kafka.consumer(
                self._config.kafka["public"],
                client_id="stranger",
                source_address=ADDRESS,
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                bootstrap_timeout_ms=10000,
            )
            regex = self._config.stream.topic_regex
            names = sorted(name for name in self._consumer.topics() if regex.fullmatch(name))[-1:]
            self._consumer.assign([kafka.partition(n, p) for n in names for p in self._consumer.partitions_for_topic(n)])
        self._consumer.poll(timeout_ms=1000, max_records=100)

    def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close(timeout_ms=2000)
            except Exception as error:  # the library may raise anything while its broker is gone
                _LOG.info("the stranger leaves: %s", error)
