"""What makes a message wait: quiet hours for tickets, planned work for what it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from zads.config import QuietHours
from zads.matchers import fit

_DAYS_MOST = 4


@dataclass(frozen=True)
class Window:
    """Planned work: times are seconds since 1970. `id` is 0 for one that stands in zads.toml."""

    begins: float
    ends: float
    match: tuple[str, ...]
    why: str
    id: int = 0
    by: str = ""

    def holds(self, labels: Mapping[str, str], now: float) -> bool:
        """Tell whether it makes an alert wait now."""
        return self.begins <= now < self.ends and fit(self.match, labels)


def quiet_until(settings: QuietHours | None, zone: ZoneInfo, now: float) -> float | None:
    """Return when the quiet hours that it is now are over; None outside of them.

    Local times, so that they last an hour more or less in the nights in which the clock is changed.
    """
    if settings is None:
        return None
    begins, ends = (time.fromisoformat(text) for text in (settings.begins, settings.ends))
    moment = datetime.fromtimestamp(now, zone)
    spans: list[tuple[float, float]] = []
    for days in range(-1, _DAYS_MOST):
        day = moment.date() + timedelta(days=days)
        until = day if begins < ends else day + timedelta(days=1)
        spans.append((_at(day, begins, zone), _at(until, ends, zone)))
        if settings.weekends and day.weekday() >= 5:
            spans.append((_at(day, time(), zone), _at(day + timedelta(days=1), time(), zone)))
    return _end(spans, now)


def _at(day: date, clock: time, zone: ZoneInfo) -> float:
    return datetime.combine(day, clock, zone).astimezone(UTC).timestamp()


def _end(spans: Iterable[tuple[float, float]], now: float) -> float | None:
    """Return the end of the spans that cover a time, those that touch counting as one."""
    until = now
    for begins, ends in sorted(spans):
        if begins <= until < ends:
            until = ends
    return until if until > now else None


def window_for(windows: Iterable[Window], labels: Mapping[str, str], now: float) -> Window | None:
    """Return the planned work that makes an alert wait longest, None where none does."""
    return max((one for one in windows if one.holds(labels, now)), key=lambda one: one.ends, default=None)
