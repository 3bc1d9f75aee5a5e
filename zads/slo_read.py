"""Read a quarter's promise from Prometheus: the minutes that were recorded, and the alerts that fired in bad ones."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from zads.ask_prometheus import Prometheus, PrometheusError
from zads.config import Config
from zads.night import dark_seconds, night_bounds
from zads.slo import Firing, Incident, Report, incidents_of, night_of
from zads.slo_quarter import Quarter, quarter_dark_seconds

_MINUTE = timedelta(minutes=1)
# Not the alerts about the budget itself, nor what fires always.
_FIRING = (
    "max by (alertname, headline, severity, service, host, community, part)"
    ' (ALERTS{alertstate="firing", severity=~"page|ticket|info", alertname!~"Watchdog|Budget.*|ServiceJustBack"})'
)


def read(config: Config, prometheus: Prometheus, quarter: Quarter, now: datetime) -> Report:
    """Return the quarter's report as it stands at a time.

    Raises PrometheusError when Prometheus cannot be asked or has nothing on record, ValueError for a quarter that has
    not begun.
    """
    site = config.site
    start, end = quarter.bounds(site.longitude)
    if start > now:
        raise ValueError(f"{quarter} has not begun: its first night begins at {start:%Y-%m-%d %H:%M} UTC")
    until = min(now, end)
    which, window = f'{{quarter="{quarter}"}}', f"[{math.ceil((until - start).total_seconds()) + 60}s]"

    def by_night(operation: str, series: str, combine: str = "sum") -> dict[str, float]:
        found = prometheus.at(f"{combine} by (night) ({operation}({series}{which}{window}))", until.timestamp())
        return {row.labels["night"]: row.value for row in found if "night" in row.labels}

    bad = by_night("sum_over_time", "zads:night_minute:bad")
    seen = by_night("count_over_time", "zads:night_minute:bad")
    data = by_night("max_over_time", "zads:night_data:bool", "max")
    nights = []
    for name in quarter.nights():
        begin, over = night_bounds(name, site.longitude)
        if begin < until:
            dark = dark_seconds(begin, min(over, until), site.latitude, site.longitude, site.sun_limit) / 60
            came = None if name not in data else data[name] > 0
            nights.append(night_of(name, dark, seen.get(name, 0), bad.get(name, 0), data=came))
    if not seen and any(night.dark for night in nights):
        raise PrometheusError(
            f"Prometheus at {prometheus.address} holds no night minute of {quarter}. It keeps samples for "
            f"{config.prometheus.retention}, and has to run the rules of {config.rendered.rules}/recording.rules.yml."
        )
    incidents: list[Incident] = []
    for night in nights:
        if night.bad:
            incidents += _incidents(prometheus, f'{{quarter="{quarter}", night="{night.name}"}}', night.name, until)
    dark_minutes = quarter_dark_seconds(quarter, site) / 60
    budget = (1 - config.slo.objective) * dark_minutes
    return Report(str(quarter), config.slo.objective, round(dark_minutes), budget, tuple(nights), tuple(incidents))


def _incidents(prometheus: Prometheus, which: str, night: str, until: datetime) -> list[Incident]:
    """Return one night's incidents; alerts are asked for at the very moments of the bad minutes."""
    window = f"[{math.ceil((until - datetime.strptime(night, '%Y%m%d').replace(tzinfo=until.tzinfo)) / _MINUTE) + 2160}m]"
    rows = prometheus.at(f"zads:night_minute:bad{which}{window}", until.timestamp())
    bad = [when for row in rows for when, value in row.samples if value > 0]
    if not bad:
        return []
    alerts = prometheus.over(_FIRING, min(bad), max(bad) + 120, 60)
    firing = [Firing(row.labels, frozenset(when for when, _ in row.samples)) for row in alerts]
    return incidents_of(night, bad, firing)
