"""The collection loop: look in the background, publish one immutable snapshot, never fail silently.

A scrape only copies bytes. When collection fails, the last measured families are served for three
intervals and then vanish: absence is honest, a frozen value is not. What the exporter says about
itself is always there.
"""

from __future__ import annotations

import gzip
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric

from zads import metrics

_LOG = logging.getLogger(__name__)
_STALE_AFTER = 3.0  # intervals
_GZIP_FROM = 2_000


@dataclass
class Reading:
    """What one collection found.

    `families` vanish when collections go on failing; `always` is published even by a failed one
    (`ok=False`), for facts such as "this cluster does not answer". `wide` is text rendered already.
    """

    families: list[Metric] = field(default_factory=list)
    always: list[Metric] = field(default_factory=list)
    wide: bytes = b""
    errors: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    ok: bool = True


class Collector(Protocol):
    """Something that can be read again and again; `collect` may raise."""

    name: str

    def collect(self) -> Reading:
        """Look once."""

    def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True)
class Snapshot:
    """What a scrape gets: the text, the same compressed, when it was made, whether the collection succeeded."""

    body: bytes
    compressed: bytes
    at: float
    ok: bool
    words: str


def product_version() -> str:
    """Return ZADS Monitor's version."""
    try:
        return version("zads-monitor")
    except PackageNotFoundError:
        return "unknown"


class _Fixed:
    """Give prometheus_client's renderer families that exist already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def render(families: Iterable[Metric]) -> bytes:
    """Return the families in Prometheus' text format (prometheus_client's renderer)."""
    registry = CollectorRegistry(auto_describe=False)
    registry._collector_to_names[_Fixed(families)] = []  # register() would collect twice
    return generate_latest(registry)


class CollectorLoop:
    """Run one collector every `interval` seconds in a thread of its own."""

    def __init__(
        self,
        collector: Collector,
        interval: float,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collector, self._interval = collector, interval
        self._clock, self._monotonic = clock, monotonic
        self._errors: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._overruns = 0
        self._success_at = 0.0
        self._measured_at = float("-inf")
        self._duration = 0.0
        self._ok = False
        self._families: Sequence[Metric] = ()
        self._always: Sequence[Metric] = ()
        self._wide = b""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._snapshot = self._publish("no collection has finished yet")

    @property
    def name(self) -> str:
        """The collector's name."""
        return self._collector.name

    def start(self) -> None:
        """Begin to collect in the background."""
        self._thread = threading.Thread(target=self._loop, name=f"collect-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop and let the collector close its connections."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)
        self._collector.close()

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; one that has become too old is published anew without its values."""
        current = self._snapshot
        # A collection that hangs publishes nothing: the scrape itself notices that the values are too old.
        if self._families and self._monotonic() - self._measured_at > _STALE_AFTER * self._interval + 1:
            with self._lock:
                self._families, self._wide, self._ok = (), b"", False
                self._always = ()
                current = self._snapshot = self._publish("the last collection hangs")
        return current

    def once(self) -> Snapshot:
        """Collect once, now."""
        begin = self._monotonic()
        words = "ok"
        try:
            reading = self._collector.collect()
        except Exception as error:  # the loop's edge: whatever fails is logged, counted and seen
            reading = Reading(ok=False, errors={type(error).__name__: 1})
            words = f"{type(error).__name__}: {error}"
            _LOG.warning("%s: collection failed: %s", self.name, words)
            _LOG.debug("traceback", exc_info=True)
        with self._lock:
            self._duration = self._monotonic() - begin
            self._errors.update(reading.errors)
            self._dropped.update(reading.dropped)
            self._ok = reading.ok
            self._always = reading.always
            if reading.ok:
                self._success_at, self._measured_at = self._clock(), self._monotonic()
                self._families, self._wide = reading.families, reading.wide
            elif self._monotonic() - self._measured_at > _STALE_AFTER * self._interval:
                self._families, self._wide = (), b""
            if not reading.ok and words == "ok":
                words = "failed: " + (", ".join(sorted(reading.errors)) or "unknown reason")
            self._snapshot = self._publish(words)
        return self._snapshot

    def _loop(self) -> None:
        due = self._monotonic()
        while not self._stop.is_set():
            self.once()
            due += self._interval
            late = self._monotonic() - due
            if late > 0:
                # Overrun: skip what was missed instead of stacking it up.
                missed = int(late // self._interval) + 1
                self._overruns += missed
                due += missed * self._interval
            self._stop.wait(max(0.0, due - self._monotonic()))

    def _publish(self, words: str) -> Snapshot:
        body = render([*self._always, *self._families, *self._own()]) + self._wide
        compressed = gzip.compress(body, 1) if len(body) >= _GZIP_FROM else b""
        return Snapshot(body, compressed, self._clock(), self._ok, words)

    def _own(self) -> list[Metric]:
        success = metrics.gauge("zads_collector_success")
        success.add_metric([self.name], float(self._ok))
        duration = metrics.gauge("zads_collector_duration_seconds")
        duration.add_metric([self.name], self._duration)
        last = metrics.gauge("zads_collector_last_success_timestamp_seconds")
        last.add_metric([self.name], self._success_at)
        overruns = metrics.counter("zads_collector_overruns_total")
        overruns.add_metric([self.name], self._overruns)
        errors = metrics.counter("zads_collector_errors_total")
        for reason, count in sorted(self._errors.items()):
            errors.add_metric([self.name, reason], count)
        dropped = metrics.counter("zads_collector_dropped_series_total")
        for reason, count in sorted(self._dropped.items()):
            dropped.add_metric([self.name, reason], count)
        build = metrics.gauge("zads_build_info")
        build.add_metric([product_version()], 1)
        return [success, duration, last, overruns, errors, dropped, build]
