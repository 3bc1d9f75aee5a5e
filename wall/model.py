"""What the wall is made of: query results in, tiles out; and how it writes times and rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Look = Literal["ok", "warn", "bad", "unknown", "idle"]


@dataclass(frozen=True)
class Sample:
    """One series' newest value."""

    labels: Mapping[str, str]
    value: float


Results = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True)
class Tile:
    """One tile: a small name, one large word or number, one line that gives it meaning."""

    name: str
    word: str
    line: str
    look: Look


@dataclass(frozen=True)
class Headline:
    """The first row."""

    over: str
    word: str
    line: str
    look: Look


@dataclass(frozen=True)
class Wall:
    """Everything that the page shows."""

    headline: Headline
    sky: tuple[Tile, ...]
    communities: tuple[Tile, ...]
    chain: tuple[Tile, ...]
    foot: tuple[tuple[str, str], ...]
    blind: bool
    at: float
    chart: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def one(results: Results, name: str) -> float | None:
    """Return the value of a signal that has one series, None when it has none or no number."""
    for sample in results.get(name, ()):
        if sample.value == sample.value:
            return sample.value
    return None


def by(results: Results, name: str, label: str) -> dict[str, float]:
    """Return a signal's values by a label."""
    return {s.labels.get(label, ""): s.value for s in results.get(name, ()) if s.value == s.value}


def duration(seconds: float) -> str:
    """Return a duration in few letters: 4 s, 41 min, 2 h 05, 3 d."""
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(int(seconds // 60), 60)
        return f"{hours} h {minutes:02d}"
    return f"{seconds / 86400:.0f} d"


def rate(bytes_per_second: float) -> str:
    """Return a rate in few letters: as contracts give it, in MB/s."""
    megabytes = bytes_per_second / 1e6
    if megabytes >= 9.95 or megabytes < 0.005:
        return f"{megabytes:.0f} MB/s"
    return f"{megabytes:.{1 if megabytes >= 0.095 else 2}f} MB/s"


def utc(at: float) -> str:
    """Return hours and minutes, UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"


def moment(at: float, now: float) -> str:
    """Return hours and minutes, UTC, with the day of the week where they would be taken for today's."""
    return f"{datetime.fromtimestamp(at, UTC):{'%H:%M' if now - at < 20 * 3600 else '%a %H:%M'}} UTC"


def clip(text: str, most: int) -> str:
    """Return the text in at most `most` letters, cut between words and marked where it is cut."""
    if len(text) <= most:
        return text
    kept = text[: max(0, most - 1)].rsplit(" ", 1)[0].rstrip(" ,.;:")
    return f"{kept} …" if kept else ""
