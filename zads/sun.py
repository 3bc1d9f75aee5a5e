"""Where the Sun stands, and when it crosses an altitude.

From ephem (VSOP87): geometric altitude without refraction, since twilight is defined by that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import ephem

_STEP = timedelta(minutes=20)
_SECOND = timedelta(seconds=1)
_Look = tuple[datetime, float]


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

    def look(when: datetime) -> _Look:
        return when, sun_altitude_degrees(when, latitude, longitude)

    # A step more on both sides, since a turn is seen only between two looks that are beside it.
    count = math.ceil((end - start) / _STEP)
    looks = [look(start + index * _STEP) for index in range(-1, count + 2)]
    for before, after in pairwise(_with_turns(looks, look, limit)):
        dark = after[1] < limit
        if (before[1] < limit) != dark:
            low, high = before[0], after[0]
            while high - low > _SECOND:
                middle = low + (high - low) / 2
                if (look(middle)[1] < limit) == dark:
                    high = middle
                else:
                    low = middle
            if start < high <= end:
                yield high, dark


def _with_turns(looks: Sequence[_Look], look: Callable[[datetime], _Look], limit: float) -> Iterator[_Look]:
    """Yield the looks, and between them each highest or lowest point that lies beyond the limit where they do not."""
    yield looks[0]
    for one, two, three in zip(looks, looks[1:], looks[2:], strict=False):
        sign = 1 if two[1] < limit else -1  # on the dark side it is the highest point that may be light
        turns = sign * two[1] > max(sign * one[1], sign * three[1])
        beyond = [turn] if turns and ((turn := _turn(one[0], three[0], look, sign))[1] < limit) != (two[1] < limit) else []
        yield from sorted([*beyond, two])
    yield looks[-1]


def _turn(low: datetime, high: datetime, look: Callable[[datetime], _Look], sign: int) -> _Look:
    """Return the highest (sign 1) or lowest (sign -1) point between two moments, to a second."""
    while high - low > _SECOND:
        third = (high - low) / 3
        if sign * look(low + third)[1] < sign * look(high - third)[1]:
            low += third
        else:
            high -= third
    return look(low)


def dark_spans(
    start: datetime, end: datetime, latitude: float, longitude: float, limit: float = -12.0
) -> Iterator[tuple[datetime, datetime]]:
    """Yield from when to when it is dark within a time."""
    since = start if is_dark(start, latitude, longitude, limit) else None
    for when, dark in crossings(start, end, latitude, longitude, limit):
        if dark:
            since = when
        elif since is not None:
            yield since, when
            since = None
    if since is not None:
        yield since, end
