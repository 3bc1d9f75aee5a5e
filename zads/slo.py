"""The promise in figures: which night minutes of a quarter were good, bad or unknown, and what took the budget.

A bad minute is dark and Kafka does not answer or alerts that IPAC has are not passed on
(`zads:night_minute:bad` in alertrules/recording.rules.yml). What nobody saw is unknown, what lies in a night
without any alert has no data: both neither burn nor earn. The budget is a share of all the quarter's dark time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# What makes a night minute bad, the cause before what follows from it. Other alerts come after these.
CAUSES = (
    "HostDown",
    "ServiceDown",
    "ServiceNotAnswering",
    "ServiceFlapping",
    "KafkaPartitionsOffline",
    "MirrorTaskFailed",
    "AlertsNotArriving",
    "MirrorLagging",
    "AlertsArrivingSlowly",
    "ServiceRecovering",
)
_APART = 90.0  # seconds: bad minutes that are further apart are two incidents
_ROUNDING = 2  # minutes of dusk and dawn that are seen a little later than the Sun says


@dataclass(frozen=True)
class Night:
    """A night's minutes: dark until now by the Sun, and what was seen of them."""

    name: str
    dark: int
    good: int
    bad: int
    unknown: int
    without_data: int


@dataclass(frozen=True)
class Firing:
    """An alert, and the times (seconds since 1970) at which it fired."""

    labels: Mapping[str, str]
    times: frozenset[float]

    @property
    def words(self) -> str:
        """The alert as people call it, such as "KAFKA DOWN (ServiceDown kafka-public)"."""
        subject = next((self.labels[k] for k in ("service", "host", "community") if self.labels.get(k)), "")
        name = f"{self.labels.get('alertname', '')} {subject}".strip()
        return f"{self.labels['headline']} ({name})" if self.labels.get("headline") else name

    @property
    def rank(self) -> tuple[int, int, str]:
        """Where it stands among the causes: ours before IPAC's, the cause before its effects."""
        name = self.labels.get("alertname", "")
        ours = self.labels.get("part", "public") in {"public", "mirror"}
        return (0 if ours else 1, CAUSES.index(name) if name in CAUSES else len(CAUSES), name)


@dataclass(frozen=True)
class Incident:
    """Bad minutes in one piece: from when to when (UTC), how many, and what fired meanwhile, the cause first."""

    night: str
    start: datetime
    end: datetime
    minutes: int
    alerts: tuple[str, ...]

    @property
    def cause(self) -> str:
        """What it was, in words."""
        return self.alerts[0] if self.alerts else "no alert fired"


@dataclass(frozen=True)
class Report:
    """A quarter's promise."""

    quarter: str
    objective: float
    dark: int
    budget: float
    nights: tuple[Night, ...]
    incidents: tuple[Incident, ...]

    def total(self, what: str) -> int:
        """Return the minutes of a kind (good, bad, unknown, without_data, dark) over all nights until now."""
        return sum(getattr(night, what) for night in self.nights)

    @property
    def left(self) -> float:
        """Minutes that may still be bad; negative when more were than are allowed."""
        return self.budget - self.total("bad")

    def by_cause(self) -> dict[str, int]:
        """Return the bad minutes by their cause, the most first."""
        sums: dict[str, int] = {}
        for incident in self.incidents:
            sums[incident.cause] = sums.get(incident.cause, 0) + incident.minutes
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))


def night_of(name: str, dark: float, seen: float, bad: float, *, data: bool | None) -> Night:
    """Return a night's figures from its dark minutes, those that were seen, the bad ones, and whether alerts came.

    A night of which nobody knows whether it had alerts (data None) counts.
    """
    dark, seen, bad = round(dark), round(seen), round(bad)
    unknown = max(0, dark - seen)
    if seen and unknown <= _ROUNDING:
        unknown = 0
    if data is False:
        return Night(name, dark, 0, 0, unknown, seen)
    return Night(name, dark, seen - bad, bad, unknown, 0)


def incidents_of(night: str, bad: Sequence[float], firing: Iterable[Firing]) -> list[Incident]:
    """Return a night's incidents: its bad minutes (seconds since 1970) in pieces, with what fired in each.

    An alert that begins within two minutes after a piece belongs to it: it waits before it fires.
    """
    pieces: list[list[float]] = []
    for when in sorted(bad):
        if not pieces or when - pieces[-1][-1] > _APART:
            pieces.append([])
        pieces[-1].append(when)
    alerts, found = sorted(firing, key=lambda alert: alert.rank), []
    for piece in pieces:
        low, high = piece[0] - 1, piece[-1] + 121
        words = dict.fromkeys(alert.words for alert in alerts if any(low <= when <= high for when in alert.times))
        start, end = (datetime.fromtimestamp(when, UTC) for when in (piece[0], piece[-1] + 60))
        found.append(Incident(night, start, end, len(piece), tuple(words)))
    return found
