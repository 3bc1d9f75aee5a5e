"""How much, how fast, what is noisy: counted over the last days, from indexes alone."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from notifier.plan import Planner
from notifier.store.search import Search

_DAY = 86400
_NOISIEST = 10
_KEPT, _LONGEST = 60.0, 20.0  # seconds
_CHANNELS = (
    "WITH RECURSIVE c(name) AS (SELECT MIN(channel) FROM deliveries UNION ALL"
    " SELECT (SELECT MIN(channel) FROM deliveries WHERE channel>c.name) FROM c WHERE c.name IS NOT NULL)"
    " SELECT name FROM c WHERE name IS NOT NULL"
)
_SENT = "SELECT COUNT(*) FROM deliveries WHERE channel=? AND sent_at>=? AND sent_at<?"


@dataclass(frozen=True)
class Times:
    """How long something took, in seconds: of how many, the median and the 95th percentile (None where there are none)."""

    count: int = 0
    median: float | None = None
    p95: float | None = None


@dataclass(frozen=True)
class Noisy:
    """One alert with its labels, how often it came, how long it fired in all (seconds), its newest incident."""

    labels: Mapping[str, str]
    severity: str
    count: int
    fired: float
    newest: int


@dataclass(frozen=True)
class Numbers:
    """The statistics of some days up to now.

    `acknowledged`, `resolved`: by severity, from the alert's own beginning to the acknowledgement (of pages that were
    acknowledged) and to the end. `unacknowledged`: pages that ended without one. `per_day`: by UTC date (the night's
    name) incidents by severity. `messages`: by UTC date what was sent, by channel.
    """

    days: int
    acknowledged: Mapping[str, Times] = field(default_factory=dict)
    resolved: Mapping[str, Times] = field(default_factory=dict)
    unacknowledged: int = 0
    per_day: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    messages: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    noisiest: Sequence[Noisy] = ()


class Statistics(Search):
    """What people ask after a season."""

    def __init__(self, file: Path, plan: Planner, *, owner: bool = True, clock: Callable[[], float] = time.time) -> None:
        self._counted: dict[int, tuple[float, Numbers]] = {}  # by days: when, what
        super().__init__(file, plan, owner=owner, clock=clock)

    def numbers(self, days: int) -> Numbers:
        """Return the statistics of the last days; at most a minute old.

        Raises TooSlow, sqlite3.Error.
        """
        at, numbers = self._counted.get(days, (-math.inf, Numbers(days)))
        if time.monotonic() - at >= _KEPT:
            with self._apart(_LONGEST) as db:
                numbers = _count(db, days, self._clock())
            self._counted[days] = (time.monotonic(), numbers)
        return numbers


def _date(day: int) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(day * _DAY))


def _count(db: sqlite3.Connection, days: int, now: float) -> Numbers:
    today = int(now // _DAY)
    first = (today - days + 1) * _DAY
    dates = [_date(day) for day in range(today - days + 1, today + 1)]
    answered, ended = _numbers(), _numbers()
    per_day: dict[str, Counter[str]] = {date: Counter() for date in dates}
    unanswered, often, fired = 0, Counter[str](), Counter[str]()
    query = (
        "SELECT opened_at, resolved_at, starts_at, acknowledged_at, severity, fingerprint FROM incidents WHERE opened_at>=?"
    )
    db.row_factory = None
    for opened, resolved, starts, acknowledged, severity, fingerprint in db.execute(query, (first,)):
        day = dates[min(max(int(opened // _DAY) - today + days - 1, 0), days - 1)]
        per_day[day][severity] += 1
        often[fingerprint] += 1
        fired[fingerprint] += max(0.0, (now if resolved is None else resolved) - starts)
        if acknowledged is not None:
            answered[severity].append(max(0.0, acknowledged - starts))
        if resolved is not None:
            ended[severity].append(max(0.0, resolved - starts))
            unanswered += acknowledged is None and severity == "page"
    sent: dict[str, dict[str, int]] = {date: {} for date in dates}
    for (channel,) in db.execute(_CHANNELS).fetchall():
        for number, date in enumerate(dates, first // _DAY):
            count = db.execute(_SENT, (channel, number * _DAY, (number + 1) * _DAY)).fetchone()[0]
            if count:
                sent[date][channel] = count
    return Numbers(
        days,
        {severity: _times(values) for severity, values in answered.items()},
        {severity: _times(values) for severity, values in ended.items()},
        unanswered,
        per_day,
        sent,
        [_noisy(db, print_, count, fired[print_]) for print_, count in often.most_common(_NOISIEST)],
    )


def _noisy(db: sqlite3.Connection, fingerprint: str, count: int, fired: float) -> Noisy:
    query = "SELECT id, labels, severity FROM incidents WHERE fingerprint=? ORDER BY id DESC LIMIT 1"
    number, labels, severity = db.execute(query, (fingerprint,)).fetchone()
    return Noisy(json.loads(labels), severity, count, fired, number)


def _numbers() -> defaultdict[str, array[float]]:
    """Return lists of numbers that take eight bytes each: there may be a million."""
    return defaultdict(lambda: array("d"))


def _times(values: array[float]) -> Times:
    """Return median and 95th percentile by the nearest rank: each is a value that occurred."""
    ordered = sorted(values)
    return Times(len(ordered), *(ordered[max(0, math.ceil(share * len(ordered)) - 1)] for share in (0.5, 0.95)))
