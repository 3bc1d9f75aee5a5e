"""Results as metrics for node_exporter's textfile collector: one file, replaced as a whole."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from exporters.alert_arrival.packets import REASONS
from exporters.probe.report import Report
from zads.metrics import counter, gauge


class TextFile:
    """Totals over all probes of this process, and what the last one found."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._totals: Counter[str] = Counter()
        self._undecodable: Counter[str] = Counter()
        self._last_good: float | None = None

    def write(self, report: Report, now: float | None = None) -> None:
        """Take a report and write the file: readers see the former one or this one, never half of it.

        Raises OSError.
        """
        now = time.time() if now is None else now
        registry = CollectorRegistry()
        registry.register(_Families(self._families(report, now)))
        partial = self._file.with_name(f".{self._file.name}.{os.getpid()}")  # the collector reads *.prom only
        try:
            partial.write_bytes(generate_latest(registry))
            partial.chmod(0o644)
            partial.replace(self._file)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    def _families(self, report: Report, now: float) -> list[Metric]:
        values = report.values
        for key in ("alerts", "bytes", "duplicates", "missing_offsets"):
            self._totals[key] += int(values.get(key, 0))
        self._undecodable.update(values.get("undecodable", {}))
        if report.good:
            self._last_good = now
        families: list[Metric] = [
            _single("zads_probe_success", float(report.good)),
            _single("zads_probe_last_run_timestamp_seconds", now),
        ]
        if self._last_good is not None:
            families.append(_single("zads_probe_last_success_timestamp_seconds", self._last_good))
        state = gauge("zads_probe_state_info")
        state.add_metric([report.state], 1)
        families.append(state)
        for name, key in (
            ("zads_probe_alerts_total", "alerts"),
            ("zads_probe_received_bytes_total", "bytes"),
            ("zads_probe_duplicate_alerts_total", "duplicates"),
            ("zads_probe_missing_offsets_total", "missing_offsets"),
        ):
            total = counter(name)
            total.add_metric([], self._totals[key])
            families.append(total)
        bad = counter("zads_probe_undecodable_total")
        for reason in dict.fromkeys((*REASONS, *self._undecodable)):
            bad.add_metric([reason], self._undecodable[reason])
        families.append(bad)
        steps = gauge("zads_probe_connect_seconds")
        for step, seconds in values.get("connect_seconds", {}).items():
            steps.add_metric([step], seconds)
        families.append(steps)
        if "alerts" in values:
            families += _measured(values)
        return families


def _measured(values: dict[str, object]) -> list[Metric]:
    """Return what only a probe that read has."""
    delay = gauge("zads_probe_delay_seconds")
    stages: dict[str, dict[str, float]] = values["delay_seconds"]  # type: ignore[assignment]
    for stage, found in stages.items():
        for name, seconds in found.items():
            if name != "alerts":
                delay.add_metric([stage, name], seconds)
    return [
        delay,
        _single("zads_probe_lag_alerts", float(str(values["lag_alerts"]))),
        _single("zads_probe_bytes_per_second", float(str(values["bytes_per_second"]))),
        _single("zads_probe_peak_bytes_per_second", float(str(values["peak_bytes_per_second"]))),
    ]


def _single(name: str, value: float) -> Metric:
    family = gauge(name)
    family.add_metric([], value)
    return family


class _Families:
    """What a registry takes: families that are there already."""

    def __init__(self, families: list[Metric]) -> None:
        self._found = families

    def collect(self) -> list[Metric]:
        return self._found
