"""Read one night from Prometheus' record."""

from __future__ import annotations

from datetime import datetime

from zads import slo_read
from zads.ask_prometheus import Prometheus, PrometheusError
from zads.config import Config
from zads.night import night_bounds
from zads.report.asked import dark
from zads.report.counts import Counts
from zads.report.delays import Delays
from zads.report.errors import ReportError
from zads.report.minutes import Span
from zads.report.model import NightReport
from zads.report.record import Record, Sight
from zads.report.takers import Takers
from zads.report.told import fired, messages
from zads.slo import Report as Promise
from zads.slo_quarter import Quarter

_BESIDE = 1800.0  # seconds before dusk and after dawn that are looked at and shown


def read(config: Config, prometheus: Prometheus, night: str, now: datetime) -> NightReport:
    """Return a night's report as it stands at a time: from mean noon to mean noon.

    Raises PrometheusError when Prometheus cannot be asked, ReportError when it holds nothing of the night.
    """
    start, end = night_bounds(night, config.site.longitude)
    until = min(now, end)
    record = Record(config, prometheus, start, until)
    if not record.times:
        raise ReportError(f"night {night} began less than a minute ago")
    sight = Sight(record, config)
    counts = Counts(record, sight, config, night)
    if not sight.anything and not counts.counts:
        raise ReportError(
            f"Prometheus at {prometheus.address} holds nothing of night {night}: it did not run, or its record does not go "
            f"back so far (it keeps {config.prometheus.retention}, {config.prometheus.retention_size} at most)."
        )
    spans, quarter = dark(night, config.site), Quarter(int(night[:4]), (int(night[4:6]) + 2) // 3)
    takers, delays = Takers(record, sight, config, counts, night), Delays(record, sight, config)
    observed, seen = counts.observed(spans)
    promise, remarks = _promise(config, prometheus, quarter, until)
    shown = _shown(spans, counts.last_arrival(), record)
    return NightReport(
        site=config.site.name,
        night=night,
        dark=tuple(spans),
        until=until,
        over=not spans or spans[-1].end <= until.timestamp(),
        observed=observed,
        seen=seen,
        programs=counts.programs(),
        exposures=counts.exposures(),
        per_exposure=counts.per_exposure(),
        sampled=counts.sampled(),
        delays=delays.stages(),
        delay_goal=config.stream.latency_objective,
        communities=takers.communities(spans),
        promise=promise,
        told=fired(record),
        messages=messages(record, sight),
        gaps=tuple(sight.gaps([shown])),
        remarks=tuple(remarks),
        shown=shown,
        rates={cluster: counts.rates(cluster) for cluster in ("upstream", "public")},
        percentiles=delays.over_time(),
        lags=takers.lags(),
        batches={one.name: one.commit_batch for one in config.communities if one.commits},
    )


def _shown(spans: list[Span], last_arrival: float | None, record: Record) -> Span:
    """Return what is looked at closely: the dark time, and until the last alert came."""
    begin = spans[0].start - _BESIDE if spans else record.start
    end = spans[-1].end + _BESIDE if spans else record.until
    end = min(max(end, (last_arrival or 0.0) + _BESIDE / 3), record.until)
    return Span(max(min(begin, end - 2 * _BESIDE), record.start), end)


def _promise(config: Config, prometheus: Prometheus, quarter: Quarter, until: datetime) -> tuple[Promise | None, list[str]]:
    """Return the quarter's promise as it stood at a time, or why it cannot be told."""
    try:
        return slo_read.read(config, prometheus, quarter, until), []
    except PrometheusError as error:
        if "holds no night minute" not in str(error):
            raise
        return None, [f"Bad minutes are unknown. {error}"]
