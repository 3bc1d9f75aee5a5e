"""Where the Sun stands, and when it crosses an altitude.

From ephem (VSOP87): geometric altitude without refraction, since twilight is defined by that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import ephem

_STEP = timedelta(minutes=20)
_SECOND = timedelta(seconds=1)


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


def crossings(
    start: datetime, end: datetime, latitude: float, longitude: float, limit: float = -12.0
) -> Iterator[tuple[datetime, bool]]:
    """Yield each moment, to a second, from which on the Sun is on another side of `limit`, and whether it is dark then.

    A night or a day of a few minutes, as at the edges of polar summer and winter, is found too: where the Sun turns
    between two looks, the turn itself is looked at.
    """

    def altitude(when: datetime) -> float:
        return sun_altitude_degrees(when, latitude, longitude)

    looks: list[tuple[datetime, float]] = []
    when = start
    while True:
        looks.append((when, altitude(when)))
        if len(looks) >= 3:
            yield from _between(looks[-3:], altitude, limit, first=len(looks) == 3)
            looks = looks[-2:] if len(looks) > 3 else looks
        if when >= end:
            break
        when = min(when + _STEP, end)
    if len(looks) == 2:
        yield from _edge(looks[0], looks[1], altitude, limit)


def _between(
    looks: list[tuple[datetime, float]], altitude: Callable[[datetime], float], limit: float, *, first: bool
) -> Iterator[tuple[datetime, bool]]:
    """Yield the crossings in the last of two steps (in both, the first time), and those around a turn inside them."""
    raise NotImplementedError
