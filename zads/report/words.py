"""Times, spans, amounts and shares as people read them; "unknown" for what nobody measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from zads.report.minutes import Figure, Span

UNKNOWN = "unknown"
_MOST = 6


def clock(when: float) -> str:
    """Return a time of day, UTC."""
    return f"{datetime.fromtimestamp(when, UTC):%H:%M}"


def day(night: str) -> str:
    """Return a night's name as people write dates."""
    return f"{datetime.strptime(night, '%Y%m%d').replace(tzinfo=UTC):%a %d %b %Y}"


def stretches(parts: Iterable[Span]) -> str:
    """Return stretches of time in words: "02:10 to 02:22, 04:00 to 04:01", the first few of many."""
    every = list(parts)
    words = ", ".join(f"{clock(one.start)} to {clock(one.end)}" for one in every[:_MOST])
    return words + (f" and {len(every) - _MOST} more times" if len(every) > _MOST else "")


def hours(seconds: float) -> str:
    """Return hours with a decimal."""
    return f"{seconds / 3600:.1f}"


def lasting(seconds: float | None) -> str:
    """Return how long something is: "4 s", "12 min", "3.4 h"."""
    if seconds is None:
        return UNKNOWN
    if math.isinf(seconds):
        return "over 6 h"
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds / 60:.1f} min"
    if seconds < 5970:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def minutes(count: float) -> str:
    """Return minutes: "1 minute", "12 minutes"."""
    return f"{count:,.0f} minute{'' if round(count) == 1 else 's'}"


def number(value: float | None) -> str:
    """Return a count."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def figure(value: Figure | None) -> str:
    """Return a count, or the range in which it lies; "≥ 12" is at least 12."""
    if value is None:
        return UNKNOWN
    if value.exact:
        return number(value.low)
    return f"≥ {value.low:,.0f}" if value.high is None else f"{value.low:,.0f} to {value.high:,.0f}"


def share(value: float | None) -> str:
    """Return a share in percent, rounded down: only all of it is 100 %."""
    if value is None:
        return UNKNOWN
    if value >= 1:
        return "100 %"
    return (
        f"{math.floor(value * 10000 + 1e-6) / 100:.2f} %"
        if value > 0.99
        else f"{math.floor(value * 1000 + 1e-6) / 10:.1f} %"
    )


def shares(value: Figure | None) -> str:
    """Return a share, or the range in which it lies."""
    if value is None:
        return UNKNOWN
    if value.exact or value.high is None:
        return share(value.low)
    return f"{share(value.low)} to {share(value.high)}"


def size(value: Figure | None) -> str:
    """Return bytes as MB or GB, decimal as networks count."""
    if value is None:
        return UNKNOWN
    words = next(
        (
            f"{value.low / scale:.3g} {unit}"
            for scale, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"))
            if value.low >= scale
        ),
        f"{value.low / 1e3:.0f} kB",
    )
    return words if value.exact else f"≥ {words}"


def upper(sentence: str) -> str:
    """Return a sentence with its first letter as a capital."""
    return sentence[:1].upper() + sentence[1:]
