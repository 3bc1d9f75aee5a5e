"""Which night or quarter is asked for: 20261125, tonight, last, 2026Q4."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from zads.config import Site
from zads.night import night_bounds, night_name
from zads.report.errors import ReportError
from zads.report.minutes import Span
from zads.slo_quarter import Quarter, parse_quarter
from zads.sun import dark_spans

_WORDS = ("tonight", "last")


def parse(text: str) -> str | Quarter:
    """Return a night's name, one of the words tonight and last, or a quarter.

    Raises ValueError, with examples, for anything else.
    """
    words = text.strip().lower()
    if words in _WORDS:
        return words
    try:
        night_bounds(words, 0.0)
    except ValueError:
        pass
    else:
        return words
    try:
        return parse_quarter(words)
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a night nor a quarter; write for example 20261125 (UT date, as in topic names), "
            "last, tonight or 2026Q4"
        ) from None


def dark(night: str, site: Site) -> list[Span]:
    """Return from when to when a night is dark, in seconds since 1970."""
    start, end = night_bounds(night, site.longitude)
    found = dark_spans(start, end, site.latitude, site.longitude, site.sun_limit)
    return [Span(dusk.timestamp(), dawn.timestamp()) for dusk, dawn in found]


def named(word: str, site: Site, now: datetime) -> str:
    """Return the name of the night that is meant: the one that began last, or (`last`) the one that ended last.

    Raises ReportError for a night that has not begun.
    """
    tonight = night_name(now, site.longitude)
    seconds = now.timestamp()
    if word == "tonight":
        return tonight
    if word in {"", "last"}:
        spans = dark(tonight, site)
        edge = (spans[-1].end if word else spans[0].start) if spans else seconds
        return tonight if edge <= seconds else night_name(now - timedelta(days=1), site.longitude)
    start = night_bounds(word, site.longitude)[0]
    if start > now:
        raise ReportError(f"night {word} has not begun: it begins at {start.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    return word
