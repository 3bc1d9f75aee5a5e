"""Quarters of the year as the promise counts them: nights by their names, dark time by the Sun.

A night belongs to the quarter of its name, so none is split, and the quarters of a year hold all of its nights.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from zads.config import Site
from zads.night import dark_seconds, night_bounds, night_name


@dataclass(frozen=True, order=True)
class Quarter:
    """A quarter of a year, such as 2026Q4."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}Q{self.number}"

    def nights(self) -> list[str]:
        """Return the names of its nights, in order: 90 to 92."""
        first = date(self.year, 3 * self.number - 2, 1)
        after = date(self.year + self.number // 4, 3 * self.number % 12 + 1, 1)
        return [f"{first + timedelta(days=day):%Y%m%d}" for day in range((after - first).days)]

    def bounds(self, longitude: float) -> tuple[datetime, datetime]:
        """Return from when to when, in UTC, its nights bear their names at that longitude."""
        nights = self.nights()
        return night_bounds(nights[0], longitude)[0], night_bounds(nights[-1], longitude)[1]


def parse_quarter(text: str) -> Quarter:
    """Return the quarter that a text such as 2026Q4 names.

    Raises ValueError with an example where it names none.
    """
    found = re.fullmatch(r"(\d{4})-?[Qq]([1-4])", text.strip())
    if found is None or not 1970 <= int(found[1]) <= 2200:
        raise ValueError(f"{text!r} is no quarter; write for example 2026Q4")
    return Quarter(int(found[1]), int(found[2]))


def quarter_of(when: datetime, longitude: float) -> Quarter:
    """Return the quarter of the night that `when` belongs to."""
    name = night_name(when.astimezone(UTC), longitude)
    return Quarter(int(name[:4]), (int(name[4:6]) + 2) // 3)


@lru_cache(maxsize=8)
def quarter_dark_seconds(quarter: Quarter, site: Site) -> float:
    """Return how long the Sun is below the site's limit in the whole quarter, whatever the weather is.

    It takes some tenths of a second the first time.
    """
    start, end = quarter.bounds(site.longitude)
    return dark_seconds(start, end, site.latitude, site.longitude, site.sun_limit)
