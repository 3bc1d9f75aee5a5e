"""Read a quarter's nights from Prometheus' record: few questions, one value per night, whatever the scrape interval.

Counts of a night stand for days (a topic is kept), so a look each three hours finds them all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise

from zads import slo_read
from zads.ask_prometheus import Prometheus
from zads.config import Config
from zads.night import night_bounds
from zads.report.asked import dark
from zads.report.errors import ReportError
from zads.report.minutes import Samples, Span, total, within
from zads.report.model import CommunityRow, Counted, NightRow, Program, QuarterReport
from zads.slo_quarter import Quarter

_COARSE, _BIN, _MOST = 10800.0, 600.0, 8000  # Prometheus answers at most 11,000 points a series
_AFTER = 1800.0
Values = dict[tuple[str, ...], dict[str, float]]  # by labels, then by night


class _Nights:
    """Ask for one value per night."""

    def __init__(self, config: Config, prometheus: Prometheus, quarter: Quarter, until: float) -> None:
        self._prometheus, self._longitude, self.until = prometheus, config.site.longitude, until
        bounds = {night: night_bounds(night, self._longitude) for night in quarter.nights()}
        self.bounds = {
            night: (start.timestamp(), min(end.timestamp(), until))
            for night, (start, end) in bounds.items()
            if start.timestamp() < until - 60
        }
        self.names = f'night=~"{quarter.year}({"|".join(sorted({night[4:6] for night in quarter.nights()}))})[0-9]{{2}}"'

    def each(self, expression: str, *labels: str) -> Values:
        """Return the values of an expression with %s for "the night's time", such as `increase(x[%s])`."""
        whole = {end: night for night, (start, end) in self.bounds.items() if end - start > 86399}
        found: Values = {}
        if whole:
            for row in self._prometheus.over(expression.replace("%s", "86400s"), min(whole), max(whole), 86400):
                for when, value in row.samples:
                    self._put(found, row.labels, labels, whole[when], value)
        for night, (start, end) in self.bounds.items():
            if end - start <= 86399:
                for row in self._prometheus.at(expression.replace("%s", f"{end - start:.0f}s"), end):
                    self._put(found, row.labels, labels, night, row.value)
        return found

    @staticmethod
    def _put(found: Values, has: Mapping[str, str], labels: tuple[str, ...], night: str, value: float) -> None:
        if math.isfinite(value):
            found.setdefault(tuple(has.get(label, "") for label in labels), {})[night] = value

    def over(self, expression: str, step: float) -> list[tuple[Mapping[str, str], list[tuple[float, float]]]]:
        """Return an expression's values each `step` up to now, in pieces that Prometheus takes."""
        start = min(start for start, _ in self.bounds.values())
        found: dict[tuple[tuple[str, str], ...], tuple[Mapping[str, str], list[tuple[float, float]]]] = {}
        last, pieces = self.until, []
        while last > start:
            count = min(_MOST, int((last - start) // step))
            pieces.append((last - count * step, last))
            last -= (count + 1) * step
        for low, high in reversed(pieces):
            for row in self._prometheus.over(expression, low, high, step):
                key = tuple(sorted(row.labels.items()))
                found.setdefault(key, (row.labels, []))[1].extend(row.samples)
        return list(found.values())

    def standing(self, expression: str, *labels: str) -> dict[tuple[str, ...], dict[float, float]]:
        """Return what stands for days, by labels and time."""
        return {tuple(has.get(label, "") for label in labels): dict(rows) for has, rows in self.over(expression, _COARSE)}


def read(config: Config, prometheus: Prometheus, quarter: Quarter, now: datetime) -> QuarterReport:
    """Return a quarter's report as it stands at a time.

    Raises PrometheusError when Prometheus cannot be asked or holds nothing of it, ReportError for a quarter that has not
    begun.
    """
    start, end = quarter.bounds(config.site.longitude)
    until = min(now, end)
    if (until - start).total_seconds() < 120:
        raise ReportError(f"{quarter} has not begun: its first night begins at {start:%Y-%m-%d %H:%M} UTC")
    promise = slo_read.read(config, prometheus, quarter, until)
    nights = _Nights(config, prometheus, quarter, until.timestamp())
    counts = nights.standing(
        f"max by (night, cluster, program) (zads_night_alerts{{{nights.names}}})", "night", "cluster", "program"
    )
    programs = {night: _public(config, nights, counts, night) for night in nights.bounds} if counts else {}
    mirror = {
        name: nights.standing(f"max by (night, program) ({name}{{{nights.names}}})", "night", "program")
        for name in ("zads_night_missing_alerts", "zads_mirror_surplus_alerts")
    }
    looked = "upstream" if "upstream" in config.kafka else "public"
    came = nights.over(f'sum(zads_alerts_arrived_total{{cluster="{looked}"}})', _BIN)
    delays = nights.each(
        'histogram_quantile(0.95, sum by (le) (increase(zads_alert_latency_seconds_bucket{stage="total"}[%s])))'
    ).get((), {})
    minutes = {one.name: one for one in promise.nights}
    rows = []
    for night in nights.bounds:
        spans = dark(night, config.site)
        upstream, here = programs.get(night, (None, None))
        missing, surplus = (_last(mirror[name], night, config) for name in mirror)
        up, down = (None if one is None else Counted(one, 0.0, final=True) for one in (upstream, here))
        program = Program("", True, up, down, missing, surplus, None)
        rows.append(
            NightRow(
                night=night,
                dark=sum(max(0.0, min(one.end, nights.until) - one.start) for one in spans),
                observed=_observed(came[0][1] if came else (), spans, nights.until),
                upstream=upstream,
                zads=here,
                complete=program.complete,
                p95=delays.get(night),
                minutes=minutes[night],
            )
        )
    return QuarterReport(
        site=config.site.name,
        quarter=str(quarter),
        until=until,
        over=until == end,
        nights=tuple(rows),
        communities=_communities(config, nights, {key: value for key, value in counts.items() if key[1] == "public"}),
        promise=promise,
        delay_goal=config.stream.latency_objective,
        messages=_messages(nights),
    )


def _numbers(config: Config) -> set[str]:
    return {str(number) for number in config.stream.public_programs}


def _public(
    config: Config, nights: _Nights, counts: Mapping[tuple[str, ...], Mapping[float, float]], night: str
) -> tuple[float | None, float | None]:
    """Return a night's public alerts at IPAC and at ZADS."""
    found = []
    for cluster in ("upstream", "public"):
        ours = [counts[night, cluster, number] for number in _numbers(config) if counts.get((night, cluster, number))]
        found.append(sum(max(rows.values()) for rows in ours) if ours else None)
    return found[0], found[1]


def _last(standing: Mapping[tuple[str, ...], Mapping[float, float]], night: str, config: Config) -> float | None:
    rows = [standing[night, number] for number in _numbers(config) if standing.get((night, number))]
    return sum(row[max(row)] for row in rows) if rows else None


def _observed(samples: Samples, spans: list[Span], until: float) -> float | None:
    """Return for how many dark seconds alerts came, None where nobody saw."""
    if not spans:
        return 0.0
    low, high = spans[0].start, spans[-1].end + _AFTER
    near = [(when, value) for when, value in samples if low - _BIN <= when <= high + _BIN]
    pairs = [(one, two) for one, two in pairwise(near) if two[0] - one[0] <= _BIN + 1]
    if not total(within([Span(one[0], two[0]) for one, two in pairs], spans)):
        return None
    longer = [Span(one.start, one.end + _AFTER) for one in spans]
    came = total(within([Span(one[0], two[0]) for one, two in pairs if two[1] > one[1]], longer))
    return min(came, sum(max(0.0, min(one.end, until) - one.start) for one in spans))


def _communities(
    config: Config, nights: _Nights, counts: Mapping[tuple[str, ...], Mapping[float, float]]
) -> tuple[CommunityRow, ...]:
    programs = "|".join(sorted(_numbers(config)))
    waiting = nights.standing(
        f'sum by (community, night) (zads_community_lag_alerts{{program=~"{programs}",{nights.names}}})',
        "community",
        "night",
    )
    lag = nights.each(
        "max_over_time((zads:community_lag_seconds:max and on (community)"
        " (zads:community_lag_alerts:sum > on (community) zads:community_commit_batch))[%s:5m])",
        "community",
    )
    seen = nights.each("count_over_time(zads:community_lag_seconds:max[%s:1h])", "community")
    late = nights.each("sum_over_time(zads:community_late:bool[%s:1m])", "community")
    bytes_ = nights.each(
        "sum by (community, source) (increase(zads_community_egress_bytes_total[%s]))", "community", "source"
    )
    found = []
    for one in config.communities:
        took, there, known = 0.0, 0.0, 0
        for night in nights.bounds:
            left = waiting.get((one.name, night), {})
            ours = [counts[night, "public", number] for number in _numbers(config) if (night, "public", number) in counts]
            both = [when for when in left if ours and all(when in rows for rows in ours)]
            if both:
                public = sum(rows[max(both)] for rows in ours)
                took, there, known = took + max(0.0, public - left[max(both)]), there + public, known + 1
        lags = lag.get((one.name,), {})
        worst = max(lags, key=lambda night: lags[night], default="")
        measured = bool(seen.get((one.name,)))
        found.append(
            CommunityRow(
                name=one.name,
                commits=one.commits,
                delivered=took if known and one.commits else None,
                share=took / there if there and one.commits else None,
                nights=known,
                worst_lag=(lags[worst] if worst else 0.0) if measured and one.commits else None,
                worst_night=worst,
                late_minutes=sum(late[one.name,].values()) if (one.name,) in late and one.commits else None,
                wire=_total(bytes_, one.name, "wire"),
                offsets=_total(bytes_, one.name, "offsets") if one.commits else None,
            )
        )
    return tuple(found)


def _total(values: Values, *key: str) -> float | None:
    return sum(values[key].values()) if key in values else None


def _messages(nights: _Nights) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    rows = nights.each("sum by (channel, outcome) (increase(zads_notifications_total[%s]))", "channel", "outcome")
    for (channel, outcome), values in rows.items():
        found.setdefault(channel, {})[outcome] = float(round(sum(values.values())))
    return found
