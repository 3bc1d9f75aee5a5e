"""What a report holds: plain values, with None for what nobody measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from zads.report.minutes import Figure, Samples, Span
from zads.report.record import Gap
from zads.slo import Incident, Night
from zads.slo import Report as Promise


@dataclass(frozen=True)
class Counted:
    """A count as it last stood, and when that was (seconds since 1970)."""

    value: float
    at: float
    final: bool  # nothing was missed after it: its source was there to the end, or its cluster could be read


@dataclass(frozen=True)
class Program:
    """A program's alerts of a night at both ends, and what the mirror says of the way between."""

    number: str
    public: bool
    upstream: Counted | None
    zads: Counted | None
    missing: float | None
    surplus: float | None
    waiting: float | None

    @property
    def complete(self) -> float | None:
        """Share of IPAC's alerts that ZADS holds, without duplicates; None where a count is not known to the end."""
        if not self.upstream or not self.zads or not self.upstream.value:
            return None
        if not (self.upstream.final and self.zads.final):
            return None
        lacking = max(self.upstream.value - self.zads.value + (self.surplus or 0.0), (self.missing or 0.0), 0.0)
        return max(0.0, 1.0 - lacking / self.upstream.value)


@dataclass(frozen=True)
class Delay:
    """How late alerts were at a stage: percentiles in seconds (infinite beyond the histogram), against a goal."""

    stage: str
    alerts: float
    percentiles: Mapping[int, float]
    goal: float | None
    within: float | None


@dataclass(frozen=True)
class Community:
    """What a community got of a night."""

    name: str
    commits: bool
    delivered: Figure | None  # of the night's public alerts, each once
    share: Figure | None
    repeated: float | None
    lost: float | None
    worst_lag: float | None
    worst_at: float | None
    late_minutes: int | None
    wire: Figure | None  # bytes
    offsets: Figure | None  # bytes
    of_stream: float | None  # bytes on the wire over the bytes that arrived
    connections: tuple[int, int] | None  # least and most while dark
    away_minutes: int | None  # dark minutes without a connection


@dataclass(frozen=True)
class Told:
    """An alert that fired: since when and until when, for how many minutes all in all, and who took it."""

    severity: str
    words: str
    start: float
    end: float
    minutes: int
    still: bool
    by: str


@dataclass(frozen=True)
class NightReport:
    """A night."""

    site: str
    night: str
    dark: tuple[Span, ...]
    until: datetime
    over: bool  # the dark time has ended
    observed: float | None  # seconds of darkness in which alerts came to IPAC
    seen: float  # seconds of darkness in which it was seen whether they did
    programs: tuple[Program, ...]
    exposures: Mapping[str, Figure]
    per_exposure: tuple[float, float, float] | None  # low, median, high
    sampled: float | None
    delays: tuple[Delay, ...]
    delay_goal: float
    communities: tuple[Community, ...]
    promise: Promise | None
    told: tuple[Told, ...]
    messages: Mapping[str, Mapping[str, Figure]]
    gaps: tuple[Gap, ...]
    remarks: tuple[str, ...]
    shown: Span  # what the plots show
    rates: Mapping[str, Samples]  # alerts per second by "upstream", "public", over ten minutes
    percentiles: Mapping[int, Samples]  # of the total delay, in seconds
    lags: Mapping[str, Samples]
    batches: Mapping[str, int]  # alerts that a community commits at once

    @property
    def minutes(self) -> Night | None:
        """The night's minutes as the promise counts them."""
        return next((one for one in self.promise.nights if one.name == self.night), None) if self.promise else None

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """The night's bad minutes in pieces."""
        return tuple(one for one in self.promise.incidents if one.night == self.night) if self.promise else ()

    @property
    def dark_seconds(self) -> float:
        """How long it was dark, to now while the night goes on."""
        now = self.until.timestamp()
        return sum(max(0.0, min(one.end, now) - one.start) for one in self.dark)

    @property
    def public(self) -> Program | None:
        """The public programs together, None when nothing of them was seen."""
        ours = [one for one in self.programs if one.public]
        if len(ours) <= 1:
            return ours[0] if ours else None
        return Program(
            "+".join(one.number for one in ours),
            True,
            _together([one.upstream for one in ours]),
            _together([one.zads for one in ours]),
            _sum([one.missing for one in ours]),
            _sum([one.surplus for one in ours]),
            _sum([one.waiting for one in ours]),
        )


def _sum(values: list[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def _together(counts: list[Counted | None]) -> Counted | None:
    there = [count for count in counts if count is not None]
    if not there:
        return None
    return Counted(sum(one.value for one in there), min(one.at for one in there), all(one.final for one in there))


@dataclass(frozen=True)
class NightRow:
    """One night of a quarter."""

    night: str
    dark: float  # seconds
    observed: float | None
    upstream: float | None
    zads: float | None
    complete: float | None
    p95: float | None
    minutes: Night


@dataclass(frozen=True)
class CommunityRow:
    """A community over a quarter."""

    name: str
    commits: bool
    delivered: float | None
    share: float | None
    nights: int
    worst_lag: float | None
    worst_night: str
    late_minutes: float | None
    wire: float | None
    offsets: float | None


@dataclass(frozen=True)
class QuarterReport:
    """A quarter."""

    site: str
    quarter: str
    until: datetime
    over: bool
    nights: tuple[NightRow, ...]
    communities: tuple[CommunityRow, ...]
    promise: Promise
    delay_goal: float
    messages: Mapping[str, Mapping[str, float]]
