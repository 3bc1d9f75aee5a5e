"""Ask Prometheus for what it recorded on a grid of minutes, and tell which minutes it and the exporters saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from zads.ask_prometheus import Prometheus, Series
from zads.config import Config
from zads.report.minutes import Span, grid, spans, total, within


@dataclass(frozen=True)
class Gap:
    """Who did not see what, and when."""

    who: str
    what: str
    stretches: tuple[Span, ...]

    @property
    def minutes(self) -> int:
        """How long it was, all in all."""
        return round(total(self.stretches) / 60)


class Record:
    """Prometheus' record from `start` to `until`, in steps of a minute (more where scrapes are further apart)."""

    def __init__(self, config: Config, prometheus: Prometheus, start: datetime, until: datetime) -> None:
        self._prometheus = prometheus
        self.step = 60.0 * max(1, math.ceil(config.prometheus.scrape_interval / 60))
        self.start, self.until = start.timestamp(), until.timestamp()
        self.times = self.grid(self.step)

    def grid(self, step: float) -> list[float]:
        """Return the times of a grid with another step."""
        return grid(self.start, self.until, step)

    def each(self, selector: str, *, by: str = "last_over_time", step: float = 0) -> list[Series]:
        """Return series as they were sampled in each step: its last sample, or what `by` makes of those in it.

        Raises PrometheusError.
        """
        step = step or self.step
        return self.over(f"{by}({selector}[{step:.0f}s])", step)

    def over(self, expression: str, step: float = 0) -> list[Series]:
        """Return an expression's values on the grid.

        Raises PrometheusError.
        """
        step = step or self.step
        times = self.grid(step)
        return self._prometheus.over(expression, times[0], times[-1], step) if times else []


_COLLECTORS = {
    "alert-arrival": "alerts at IPAC and at ZADS, exposures, delays",
    "kafka-lag": "what communities took, their lag",
    "broker-egress": "connections and egress of communities",
}
_READABLE = {
    "upstream": ("IPAC's Kafka", "alerts at IPAC"),
    "public": ("ZADS's Kafka", "alerts at ZADS, lag of communities"),
}


class Sight:
    """Which minutes were seen, by whom.

    Raises PrometheusError when Prometheus cannot be asked.
    """

    def __init__(self, record: Record, config: Config) -> None:
        self._record, self._has_upstream = record, "upstream" in config.kafka
        width = f"[{record.step:.0f}s]"
        self._prometheus = self._moments(record.over(f"count(last_over_time(up{width}))"))
        here = record.over(f"max by (collector) (last_over_time(zads_collector_success{width}))")
        self._collectors = {row.labels.get("collector", ""): self._moments([row]) for row in here}
        readable = record.over(f"max by (cluster) (last_over_time(zads_cluster_readable{width}))")
        self._readable = {row.labels.get("cluster", ""): self._moments([row], above=0) for row in readable}
        self._wire = self._moments(record.over(f"max(last_over_time(zads_egress_wire_readable{width}))"), above=0)
        self._sky = self._moments(record.over(f"count(last_over_time(zads_observing_night{width}))"))
        self._notifier = self._moments(record.over(f"count(last_over_time(zads_incidents{width}))"))

    @staticmethod
    def _moments(rows: Iterable[Series], above: float = -math.inf) -> frozenset[float]:
        return frozenset(when for row in rows for when, value in row.samples if value > above)

    @property
    def anything(self) -> bool:
        """Whether Prometheus holds anything of the time."""
        return bool(self._prometheus)

    def by(self, collector: str) -> Callable[[float], bool]:
        """Return the test whether a collector was there at a time."""
        return self._collectors.get(collector, frozenset()).__contains__

    def cluster(self, name: str) -> Callable[[float], bool]:
        """Return the test whether a cluster's offsets could be read at a time."""
        return self._readable.get(name, frozenset()).__contains__

    @property
    def notifier(self) -> Callable[[float], bool]:
        """The test whether the notifier was there at a time."""
        return self._notifier.__contains__

    def gaps(self, during: Iterable[Span]) -> list[Gap]:
        """Return who was away within a time, each minute laid to the one whose absence explains it."""
        where, step = list(during), self._record.step
        times = [when for when in self._record.times if any(one.start < when <= one.end + step / 2 for one in where)]
        if not times:
            return []

        def gap(who: str, what: str, seen: Iterable[frozenset[float]], here: frozenset[float]) -> Gap:
            found = spans(times, lambda when: all(when in one for one in seen) and when not in here, step)
            return Gap(who, what, tuple(within(found, where)))

        prometheus, arrival = self._prometheus, self._collectors.get("alert-arrival", frozenset())
        found = [gap("Prometheus", "everything", (), prometheus)]
        found += [
            gap(name, what, (prometheus,), self._collectors.get(name, frozenset())) for name, what in _COLLECTORS.items()
        ]
        for name, (who, what) in _READABLE.items():
            if name == "public" or self._has_upstream:
                found.append(gap(who, what, (prometheus, arrival), self._readable.get(name, frozenset())))
        egress = self._collectors.get("broker-egress", frozenset())
        found.append(gap("the kernel's socket diagnostics", "egress on the wire", (prometheus, egress), self._wire))
        found.append(gap("services", "whether Kafka answers, and darkness", (prometheus,), self._sky))
        found.append(gap("the notifier", "messages and acknowledgements", (prometheus,), self._notifier))
        return [one for one in found if one.minutes]
