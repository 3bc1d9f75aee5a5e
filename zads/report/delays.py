"""How late a night's alerts were, by stage, from the histogram of delays."""

from __future__ import annotations

import math
from collections.abc import Mapping

from zads.config import Config
from zads.report.minutes import Samples, growth, quantile, share_within
from zads.report.model import Delay
from zads.report.record import Record, Sight

PERCENTILES = (50, 95, 99)
_BIN = 600.0
_STAGES = ("exposure", "mirror", "delivery", "total")
Buckets = dict[float, float]


def _edge(text: str) -> float:
    return math.inf if text == "+Inf" else float(text)


class Delays:
    """The delays of a night's time, all programs together.

    Raises PrometheusError.
    """

    def __init__(self, record: Record, sight: Sight, config: Config) -> None:
        self._goals = {"total": config.stream.latency_objective, "mirror": config.thresholds.latency_mirror}
        times = record.grid(_BIN)
        self._by_time: dict[str, dict[float, Buckets]] = {}
        for row in record.each("zads_alert_latency_seconds_bucket", step=_BIN):
            stage, edge = row.labels.get("stage", ""), _edge(row.labels.get("le", "+Inf"))
            for when, more, _known in growth(row.samples, times, sight.by("alert-arrival"), _BIN):
                if more > 0:
                    bins = self._by_time.setdefault(stage, {}).setdefault(when, {})
                    bins[edge] = bins.get(edge, 0.0) + more

    def _whole(self, stage: str) -> Buckets:
        whole: Buckets = {}
        for bins in self._by_time.get(stage, {}).values():
            for edge, count in bins.items():
                whole[edge] = whole.get(edge, 0.0) + count
        return _cumulative(whole)

    def stages(self) -> tuple[Delay, ...]:
        """Return each stage that had alerts."""
        found = []
        for stage in _STAGES:
            whole = self._whole(stage)
            values = {percent: quantile(percent / 100, whole) for percent in PERCENTILES}
            there = {percent: value for percent, value in values.items() if value is not None}
            if there:
                goal = self._goals.get(stage)
                within = None if goal is None else share_within(goal, whole)
                found.append(Delay(stage, max(whole.values()), there, goal, within))
        return tuple(found)

    def over_time(self) -> Mapping[int, Samples]:
        """Return the percentiles of the total delay in each ten minutes in which alerts were delivered."""
        found: dict[int, list[tuple[float, float]]] = {}
        for when, bins in sorted(self._by_time.get("total", {}).items()):
            for percent in (50, 95):
                value = quantile(percent / 100, _cumulative(bins))
                if value is not None and math.isfinite(value):
                    found.setdefault(percent, []).append((when, value))
        return found


def _cumulative(buckets: Buckets) -> Buckets:
    """Return the buckets with every count at least that of the edge below it: a bucket that did not grow is absent."""
    most, found = 0.0, {}
    for edge in sorted(buckets):
        most = max(most, buckets[edge])
        found[edge] = most
    return found
