"""The Sun and the night as metrics: altitude, dark or not, the night's name and end, the quarter's dark time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from prometheus_client.metrics_core import Metric

from zads import night
from zads.config import Site
from zads.metrics import gauge
from zads.slo_quarter import quarter_dark_seconds, quarter_of

_DAWN_EVERY = 600.0  # dawn moves by a minute a day


class Sky:
    """The site's night at a moment; what takes long to compute is kept."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._dawn: float | None = None
        self._dawn_at = float("-inf")

    def families(self, now: float) -> list[Metric]:
        """Return the metrics at a time (seconds since 1970).

        In polar summer and winter there is no dawn within a day: the metric of the night's end has no series then.
        """
        site, when = self._site, datetime.fromtimestamp(now, UTC)
        altitude, observing = gauge("zads_sun_altitude_degrees"), gauge("zads_observing_night")
        degrees = night.sun_altitude_degrees(when, site.latitude, site.longitude, site.elevation)
        altitude.add_metric([], degrees)
        observing.add_metric([], float(degrees < site.sun_limit))
        info, end, dark = (
            gauge(f"zads_{name}") for name in ("night_info", "night_end_timestamp_seconds", "quarter_dark_seconds")
        )
        info.add_metric([night.night_name(when, site.longitude)], 1)
        if (dawn := self._next_dawn(now)) is not None:
            end.add_metric([], dawn)
        offset = gauge("zads_site_utc_offset_seconds")
        local = when.astimezone(ZoneInfo(site.timezone)).utcoffset() or timedelta()
        offset.add_metric([], local.total_seconds())
        quarter = quarter_of(when, site.longitude)
        dark.add_metric([str(quarter)], quarter_dark_seconds(quarter, site))
        return [altitude, observing, info, end, offset, dark]

    def _next_dawn(self, now: float) -> float | None:
        """Return when the Sun next rises above the limit; never a dawn that is over."""
        if not 0 <= now - self._dawn_at <= _DAWN_EVERY or (self._dawn is not None and self._dawn <= now):
            site, when = self._site, datetime.fromtimestamp(now, UTC)
            dawn = night.next_dawn(when, site.latitude, site.longitude, site.sun_limit)
            self._dawn, self._dawn_at = dawn.timestamp() if dawn else None, now
        return self._dawn
