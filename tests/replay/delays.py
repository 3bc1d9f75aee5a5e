"""The histogram of delays by stage, and what else the packets' content tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exporters.alert_arrival.latency import BUCKETS
from exporters.alert_arrival.packets import REASONS
from tests.replay.flow import TASK

if TYPE_CHECKING:
    from tests.replay.exposition import Exposition
    from tests.replay.flow import Flow

_EDGES = np.array(BUCKETS, dtype=float)


class Delays:
    """Count delays as alert-arrival does: when an alert is seen on the public log."""

    def __init__(self, flow: Flow, cut: slice) -> None:
        self._flow, self._cut = flow, cut
        step, books = flow.scenario.step, flow.exposures
        # Each exposure of the public program, in the order in which its alerts come on record.
        mine = (books.program == 1) & (books.record >= flow.times[0]) & (books.record <= flow.times[-1])
        order = np.argsort(books.record[mine])
        record, self._alerts = books.record[mine][order], books.alerts[mine][order]
        position = np.cumsum(self._alerts)
        self._seen = np.searchsorted(flow.unhindered, position, side="left")
        at = np.ceil((record - flow.times[0]) / step).astype(int)
        mirror = np.where(self._seen > at, (self._seen - at) * float(step), 1.5)
        exposure = record - books.end[mine][order]
        for fault in flow.scenario.of("task failed"):
            held = (record >= fault.begin) & (record < fault.end)
            waits = np.floor(self._alerts[held] * TASK).astype(int)
            self._alerts[held] -= waits
            over = int(np.searchsorted(flow.times, fault.end))
            self._alerts = np.append(self._alerts, waits)
            self._seen = np.append(self._seen, np.full(len(waits), over))
            mirror, exposure = np.append(mirror, fault.end - record[held]), np.append(exposure, exposure[held])
        self._delays = {
            "exposure": exposure,
            "mirror": mirror,
            "total": exposure + mirror + 3.0,
            "delivery": mirror * 0 + 1.5,
        }

    def export(self, to: Exposition) -> None:
        """Write the histogram and what stands beside it."""
        job, seen = "alert-arrival", ~to.gone("public")
        steps = len(self._flow.times)
        passed = self._seen < steps
        for stage, delays in self._delays.items():
            total = np.zeros(steps)
            edges = [*(f"{edge:.1f}" for edge in _EDGES), "+Inf"]
            bucket = np.searchsorted(_EDGES, delays, side="left")
            for number, edge in enumerate(edges):
                chosen = passed & (bucket == number)
                total = total + np.bincount(self._seen[chosen], self._alerts[chosen], minlength=steps)
                counts = np.cumsum(total)[self._cut]
                to.put(job, "zads_alert_latency_seconds_bucket", counts, count=True, stage=stage, program="1", le=edge)
            to.put(job, "zads_alert_latency_seconds_count", counts, count=True, stage=stage, program="1")
            weights = (delays * self._alerts)[passed]
            sums = np.cumsum(np.bincount(self._seen[passed], weights, minlength=steps))[self._cut]
            to.put(job, "zads_alert_latency_seconds_sum", sums, count=True, stage=stage, program="1")
        exposures = np.cumsum(np.bincount(self._seen[passed], minlength=steps))[self._cut]
        to.put(job, "zads_exposures_arrived_total", exposures, count=True, program="1")
        to.put(job, "zads_alerts_per_exposure", 1000, seen=exposures > 0, program="1")
        to.put(job, "zads_sampled_ratio", 1, seen=seen)
        to.put(job, "zads_alert_packets_decoded_total", self._flow.public[self._cut], count=True)
        garbage = np.cumsum(to.during("garbage"))
        for reason in REASONS:
            bad = garbage if reason == "not_avro" else 0
            to.put(job, "zads_alert_decode_errors_total", bad, count=True, reason=reason)
        to.put(job, "zads_alert_schema_info", 1, version="4.02")
        for program in (2, 3):
            leaks = self._flow.scenario.of("restricted", str(program))
            leaked = sum(((to.times >= leak.begin).astype(float) for leak in leaks), np.zeros(len(to.times)))
            to.put(job, "zads_restricted_alerts_total", leaked, count=True, program=str(program))
