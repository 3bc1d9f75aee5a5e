"""Times as dashboards write them: now, now-6h, now/d, now-1d/d; and the distance of a chart's points."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

CHOICES = ("now-30m", "now-1h", "now-3h", "now-6h", "now-12h", "now-24h", "now-2d", "now-7d", "now-30d", "now-90d")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "M": 30 * 86400, "y": 365 * 86400}
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,5})([smhdwMy]))?(?:/([mhdwM]))?")
_DURATION = re.compile(r"(\d{1,9})(ms|[smhdwy])")
_MOST = 400 * 86400.0
_STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


class BadTime(ValueError):
    """A time that nobody can read; the text is for the reader of the page."""


@dataclass(frozen=True)
class Range:
    """From when to when, in seconds since 1970, and as it was asked for."""

    begin: str
    end: str
    start: float
    stop: float

    @property
    def seconds(self) -> float:
        """Return how long it is."""
        return self.stop - self.start


def moment(text: str, now: float, *, up: bool = False) -> float:
    """Return the time that the text means; `up` rounds to the end of the day, hour, month instead of its start."""
    if re.fullmatch(r"\d{10}(\d{3})?", text):
        return float(text) / (1000 if len(text) == 13 else 1)
    found = _RELATIVE.fullmatch(text)
    if not found:
        raise BadTime(f"{text[:40]!r} is no time: now-6h, now/d or seconds since 1970 are")
    sign, count, unit, rounded = found.groups()
    at = now + (int(count) * _UNITS[unit] * (1 if sign == "+" else -1) if count else 0)
    return _round(at, rounded, up) if rounded else at


def _round(at: float, unit: str, up: bool) -> float:
    if unit in "mh":
        size = _UNITS[unit]
        return (math.floor(at / size) + up) * size
    day = datetime.fromtimestamp(at, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "w":
        day -= timedelta(days=day.weekday())
    if unit == "M":
        day = day.replace(day=1)
    if up:
        day = (day + timedelta(days=32)).replace(day=1) if unit == "M" else day + timedelta(days=7 if unit == "w" else 1)
    return day.timestamp()


def between(begin: str, end: str, now: float) -> Range:
    """Return the range, at least a minute long and never longer than Prometheus is asked for."""
    start, stop = moment(begin, now), moment(end, now, up=True)
    if not start < stop:
        raise BadTime(f"{begin!r} to {end!r} ends before it begins")
    if stop - start > _MOST:
        raise BadTime(f"{begin!r} to {end!r} is longer than {_MOST / 86400:.0f} days")
    return Range(begin, end, min(start, stop - 60), stop)


def seconds(text: str) -> float:
    """Return a duration like 30s or 1h in seconds, 0 for what is none."""
    found = _DURATION.fullmatch(text.strip().lstrip(">"))
    if not found:
        return 0.0
    count, unit = found.groups()
    return int(count) / 1000 if unit == "ms" else float(int(count) * _UNITS[unit])


def step(span: Range, points: int, least: float) -> float:
    """Return the distance between a chart's points: a round one, so that at most `points` fill the range."""
    wanted = max(least, span.seconds / max(1, points))
    return float(next((s for s in _STEPS if s >= wanted), math.ceil(wanted / 86400) * 86400))


def written(value: float) -> str:
    """Return a duration as PromQL writes it."""
    whole = max(1, round(value))
    for unit in ("d", "h", "m"):
        if whole % _UNITS[unit] == 0:
            return f"{whole // _UNITS[unit]}{unit}"
    return f"{whole}s"


def words(begin: str, end: str) -> str:
    """Return what a reader calls a range."""
    if end == "now" and (found := re.fullmatch(r"now-(\d+)([smhdwMy])", begin)):
        names = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "M": "month", "y": "year"}
        count, name = int(found[1]), names[found[2]]
        return f"last {count} {name}s" if count > 1 else f"last {name}"
    known = {("now/d", "now/d"): "today", ("now/d", "now"): "today so far", ("now-1d/d", "now-1d/d"): "yesterday"}
    return known.get((begin, end), f"{_point(begin)} to {_point(end)}")


def _point(text: str) -> str:
    if text.isdigit():
        return f"{datetime.fromtimestamp(moment(text, 0), UTC):%Y-%m-%d %H:%M} UTC"
    return text
