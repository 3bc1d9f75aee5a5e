"""The observing night: Sun's altitude, darkness, the night's name.

A night is named by the UTC date of the site's solar midnight, which at Palomar is ZTF's own
name (`ztf_YYYYMMDD_programid1`) and does not flip in the middle of a night at any site.
The Sun comes from ephem (VSOP87), geometric altitude without refraction.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import ephem

_HOUR = timedelta(hours=1)


def sun_altitude_degrees(when: datetime, latitude: float, longitude: float, elevation: float = 0.0) -> float:
    """Return the Sun's geometric altitude in degrees at a site (degrees north and east, metres)."""
    observer = ephem.Observer()
    observer.lat, observer.lon = math.radians(latitude), math.radians(longitude)
    observer.elevation = elevation
    observer.pressure = 0  # no refraction: twilight is defined by the geometric altitude
    observer.date = ephem.Date(when.astimezone(UTC).replace(tzinfo=None))
    return math.degrees(float(ephem.Sun(observer).alt))


def is_dark(when: datetime, latitude: float, longitude: float, limit: float = -12.0) -> bool:
    """Tell whether the Sun is below `limit` degrees (-12: nautical twilight, ztf_sim's own limit)."""
    return sun_altitude_degrees(when, latitude, longitude) < limit


def night_name(when: datetime, longitude: float) -> str:
    """Return YYYYMMDD: the UTC date of the solar midnight nearest to `when`.

    Mean solar time is precise enough: it is up to 17 minutes off, and midnight is hours from
    any flip except where midnight itself lies near 0 h UTC, where both definitions agree on the night.
    """
    utc = when.astimezone(UTC)
    solar = utc + timedelta(hours=longitude / 15)
    # The solar day that begins at noon holds one night; its midnight is the end of the solar date.
    noon = (solar - timedelta(hours=12)).replace(hour=12, minute=0, second=0, microsecond=0)
    midnight_utc = noon + timedelta(hours=12) - timedelta(hours=longitude / 15)
    return midnight_utc.strftime("%Y%m%d")


def _crossing(
    start: datetime, hours: int, latitude: float, longitude: float, limit: float, *, setting: bool
) -> datetime | None:
    """Find where the Sun crosses `limit` within `hours` after `start`, to the second."""
    step = timedelta(minutes=10)
    before = start
    for index in range(1, hours * 6 + 1):
        after = start + index * step
        was, now = (is_dark(t, latitude, longitude, limit) for t in (before, after))
        if was != now and now == setting:
            low, high = before, after
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                if is_dark(middle, latitude, longitude, limit) == now:
                    high = middle
                else:
                    low = middle
            return high
        before = after
    return None


def next_dawn(when: datetime, latitude: float, longitude: float, limit: float = -12.0) -> datetime | None:
    """Return when the Sun next rises above `limit`, or None within a day (polar day or night)."""
    return _crossing(when, 25, latitude, longitude, limit, setting=False)


def next_dusk(when: datetime, latitude: float, longitude: float, limit: float = -12.0) -> datetime | None:
    """Return when the Sun next sinks below `limit`, or None within a day (polar day or night)."""
    return _crossing(when, 25, latitude, longitude, limit, setting=True)


def longitude_for_dusk(dusk: datetime, latitude: float, limit: float = -12.0) -> float:
    """Return the longitude (degrees east, -180 to 180) where dusk falls at that moment.

    Raises ValueError where the Sun does not set at this latitude today.
    """
    start = dusk - 24 * _HOUR
    at_zero = _crossing(start, 25, latitude, 0.0, limit, setting=True)
    if at_zero is None:
        raise ValueError(f"at latitude {latitude} the Sun does not sink below {limit} degrees on {dusk:%Y-%m-%d}")
    hours_late = (dusk - at_zero).total_seconds() / 3600
    longitude = (-hours_late * 15 + 180) % 360 - 180
    # The Sun moves on its own by a degree a day: one correction makes it exact to a second.
    again = _crossing(dusk - 3 * _HOUR, 6, latitude, longitude, limit, setting=True)
    if again is not None:
        longitude -= (dusk - again).total_seconds() / 240
    return round((longitude + 180) % 360 - 180, 4)
