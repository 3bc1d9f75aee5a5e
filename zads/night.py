"""The observing night: Sun's altitude, darkness, the night's name.

A night is named by the UTC date of the site's solar midnight, which at Palomar is ZTF's own
name (`ztf_YYYYMMDD_programid1`) and does not flip in the middle of a night at any site. Where it is
dark for weeks, in polar winter, each day's stretch has its own name, from one mean noon to the next;
where it does not get dark, the name goes on and nothing is ever dark.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from zads.sun import crossings, dark_spans, is_dark, sun_altitude_degrees

__all__ = [
    "dark_seconds",
    "is_dark",
    "longitude_for_dusk",
    "next_dawn",
    "next_dusk",
    "night_bounds",
    "night_name",
    "sun_altitude_degrees",
]
_HOUR = timedelta(hours=1)


def night_name(when: datetime, longitude: float) -> str:
    """Return YYYYMMDD: the UTC date of the solar midnight nearest to `when`.

    Mean solar time is precise enough: it is up to 17 minutes off, and the name changes at mean noon. Where midnight
    lies near 0 h UTC it keeps the name on one side all year, while the true midnight would jump between two dates.
    """
    return _midnight(when, longitude).strftime("%Y%m%d")


def _midnight(when: datetime, longitude: float) -> datetime:
    """Return the mean solar midnight, in UTC, of the solar day from noon to noon that `when` lies in."""
    offset = timedelta(hours=longitude / 15)
    solar = when.astimezone(UTC) + offset
    # The solar day that begins at noon holds one night; its midnight is the end of the solar date.
    noon = (solar - timedelta(hours=12)).replace(hour=12, minute=0, second=0, microsecond=0)
    return noon + timedelta(hours=12) - offset


def night_bounds(name: str, longitude: float) -> tuple[datetime, datetime]:
    """Return from when to when, in UTC, a night bears its name: 24 hours around its mean solar midnight.

    Raises ValueError for what is no date as YYYYMMDD.
    """
    if len(name) != 8:
        raise ValueError(f"{name!r} is no night; write it as YYYYMMDD")
    day = datetime.strptime(name, "%Y%m%d").replace(tzinfo=UTC)
    # The date has exactly one mean midnight, somewhere in its 24 hours.
    midnight = _midnight(day + timedelta(hours=12), longitude)
    if midnight < day:
        midnight += timedelta(days=1)
    elif midnight >= day + timedelta(days=1):
        midnight -= timedelta(days=1)
    return midnight - timedelta(hours=12), midnight + timedelta(hours=12)


def dark_seconds(start: datetime, end: datetime, latitude: float, longitude: float, limit: float = -12.0) -> float:
    """Return how long it is dark within a time, to some seconds."""
    spans = dark_spans(start, end, latitude, longitude, limit)
    return sum((dawn - dusk).total_seconds() for dusk, dawn in spans)


def _crossing(
    start: datetime, hours: int, latitude: float, longitude: float, limit: float, *, setting: bool
) -> datetime | None:
    """Find where the Sun first crosses `limit` that way within `hours` after `start`, to the second."""
    found = crossings(start, start + timedelta(hours=hours), latitude, longitude, limit)
    return next((when for when, dark in found if dark == setting), None)


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
