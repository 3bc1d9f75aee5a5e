"""The collection loop: look in the background, publish one immutable snapshot, never fail silently.

A scrape only copies bytes. When collection fails, the last measured families are served for three
intervals and then vanish: absence is honest, a frozen value is not. What the exporter says about
itself is always there.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric

from zads import metrics
from zads.fault_log import FaultLog
from zads.snapshot import Page, Part

_LOG = logging.getLogger(__name__)
_STALE_AFTER = 3.0  # intervals
_GZIP_FROM = 2_000
_LONGEST_REST = 60.0  # seconds
_HANGS_AFTER = 300.0  # seconds
_PROCESS = ProcessCollector(registry=None)  # what this process takes, under the names that all programs use


@dataclass
class Reading:
    """What one collection found.

    `families` vanish when collections go on failing; `always` is published even by a failed one
    (`ok=False`), for facts such as "this cluster does not answer". `wide` is text rendered already.
    `seen` says in a few words what there is to see, or why it failed, for the page at / and the log.
    """

    families: list[Metric] = field(default_factory=list)
    always: list[Metric] = field(default_factory=list)
    wide: Sequence[Part] = ()
    errors: dict[str, int] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    ok: bool = True
    seen: str = ""


class Collector(Protocol):
    """Something that can be read again and again; `collect` may raise."""

    name: str

    def collect(self) -> Reading:
        """Look once."""

    def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True)
class Snapshot:
    """What a scrape gets: the page, the same compressed, when it was made, whether the collection succeeded."""

    page: Page
    compressed: bytes
    at: float
    ok: bool
    words: str

    @property
    def body(self) -> bytes:
        """The page's text."""
        return self.page.text()


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
    """Run one collector every `interval` seconds in a thread of its own.

    A collection that takes longer than half the interval slows the pace: what is watched gets as much rest as
    it was kept busy, a minute at most. The pace is a metric, zads_collector_interval_seconds.
    """

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
        self._finished_at = float("-inf")
        self._begun_at: float | None = None
        self._faults = FaultLog(collector.name, monotonic=monotonic)
        self._duration = self._good_duration = 0.0
        self._ok = False
        self._measured: Sequence[Part] = ()
        self._always: Sequence[Part] = ()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._snapshot = self._publish("no collection has finished yet")

    @property
    def name(self) -> str:
        """The collector's name."""
        return self._collector.name

    def ailment(self) -> str | None:
        """Return what a restart would cure: a loop that ended or hangs; None when all is well.

        A cluster that does not answer is no ailment: the exporter says so and waits.
        """
        if self._thread is not None and not self._thread.is_alive():
            return f"{self.name}: its loop has ended"
        hanging = self._monotonic() - self._begun_at if self._begun_at is not None else 0.0
        return f"{self.name}: a collection has been hanging for {hanging:.0f} s" if hanging > _HANGS_AFTER else None

    def start(self) -> None:
        """Begin to collect in the background."""
        # A scrape needs the interpreter a few times, and would wait 5 ms for it each time while a collection runs.
        sys.setswitchinterval(0.001)
        self._thread = threading.Thread(target=self._loop, name=f"collect-{self.name}", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Let the loop end after the collection that is under way; `stop` waits for it."""
        self._stop.set()

    def stop(self, timeout: float = 5.0) -> None:
        """End the loop and let the collector close its connections; one that hangs is left behind."""
        if not self._pause(timeout):
            _LOG.warning("%s: the last collection hangs and is abandoned", self.name)
            return
        try:
            self._collector.close()
        except Exception as error:  # what is thrown away may fail as it likes
            _LOG.warning("%s: closing failed: %s: %s", self.name, type(error).__name__, error)

    def change(self, change: Callable[[Collector], Collector], interval: float, timeout: float = 15.0) -> None:
        """Go on with what `change` makes of the collector, between two collections.

        Counters and the last values stay. Raises what `change` raises, and goes on as before then; TimeoutError
        when the collection that is under way does not end.
        """
        if not self._pause(timeout):
            self._stop.clear()
            if self._thread is not None and not self._thread.is_alive():
                self.start()  # it has ended just now
            raise TimeoutError(f"{self.name}: a collection has been under way for more than {timeout:.0f} s")
        try:
            self._collector, self._interval = change(self._collector), interval
        finally:
            self._stop.clear()
            self.start()

    def _pause(self, timeout: float) -> bool:
        """Ask the loop to end and tell whether it has."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=timeout)
        return self._thread is None or not self._thread.is_alive()

    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; one that has become too old is published anew without its values."""
        current = self._snapshot
        # A collection that hangs publishes nothing: the scrape itself notices that what it holds is too old.
        if (self._measured or self._always) and self._hangs():
            with self._lock:
                if self._hangs():
                    self._measured, self._always, self._ok = (), (), False
                    current = self._snapshot = self._publish("the last collection hangs")
        return current

    def _stale_after(self) -> float:
        """Return for how long values are news: three intervals, or collections when good ones take longer."""
        return _STALE_AFTER * max(self._interval, 2 * self._good_duration)

    def _hangs(self) -> bool:
        return self._monotonic() - self._finished_at > self._stale_after() + 1

    def once(self) -> Snapshot:
        """Collect once, now; never raises."""
        begin = self._begun_at = self._monotonic()
        words = ""
        try:
            reading = self._collector.collect()
        except Exception as error:  # the loop's edge: whatever fails is logged, counted and seen
            reading = Reading(ok=False, errors={type(error).__name__: 1})
            words = f"{type(error).__name__}: {error}"
            _LOG.debug("traceback", exc_info=True)
        with self._lock:
            self._finished_at, self._begun_at = self._monotonic(), None
            self._duration = self._finished_at - begin
            self._errors.update(reading.errors)
            self._dropped.update(reading.dropped)
            self._ok = reading.ok
            self._always = self._parts(reading.always)
            if reading.ok:
                self._success_at, self._measured_at = self._clock(), self._finished_at
                self._good_duration = self._duration
                self._measured = (*self._parts(reading.families), *reading.wide)
            elif self._finished_at - self._measured_at > self._stale_after():
                self._measured = ()
            if not words:
                failed = "failed: " + (", ".join(sorted(reading.errors)) or "unknown reason")
                words = reading.seen or ("ok" if reading.ok else failed)
            self._faults.note(reading.errors.keys(), words, ok=reading.ok, interval=self._interval)
            self._snapshot = self._publish(words)
        return self._snapshot

    def _parts(self, families: Sequence[Metric]) -> Sequence[Part]:
        """Render; a family that cannot be rendered (a label that is no text) is left out and counted, alone."""
        try:
            return (Part(render(families)),)
        except Exception:
            parts = []
            for family in families:
                try:
                    parts.append(Part(render([family])))
                except Exception as error:
                    self._errors["Unrenderable"] += 1
                    self._ok = False
                    _LOG.warning("%s: %s cannot be rendered: %s", self.name, family.name, error)
            return parts

    def _loop(self) -> None:
        due = self._monotonic()
        while not self._stop.is_set():
            self.once()
            intervals = self._intervals(self._monotonic() - due)
            self._overruns += intervals - 1
            due += intervals * self._interval
            self._stop.wait(max(0.0, due - self._monotonic()))

    def _intervals(self, busy: float) -> int:
        """Return how many intervals to let pass from the begin of a collection that kept us `busy` to the next one's.

        What is missed is skipped instead of stacked up, and there is as much rest as the collection took.
        """
        late = busy + min(self._duration, _LONGEST_REST) - self._interval
        return 1 + (int(late // self._interval) + 1 if late > 0 else 0)

    def _publish(self, words: str) -> Snapshot:
        page = Page((*self._always, Part(render(self._own())), *self._measured))
        compressed = page.gzip() if page.size >= _GZIP_FROM else b""
        return Snapshot(page, compressed, self._clock(), self._ok, words)

    def _own(self) -> list[Metric]:
        success = metrics.gauge("zads_collector_success")
        success.add_metric([self.name], float(self._ok))
        duration = metrics.gauge("zads_collector_duration_seconds")
        duration.add_metric([self.name], self._duration)
        pace = metrics.gauge("zads_collector_interval_seconds")
        pace.add_metric([self.name], self._intervals(self._duration) * self._interval)
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
        return [success, duration, pace, last, overruns, errors, dropped, build, *_PROCESS.collect()]
