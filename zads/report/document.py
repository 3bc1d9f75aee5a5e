"""A report as it is read, whatever shows it: sections of sentences, tables and plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zads.report.minutes import Samples, Span


@dataclass(frozen=True)
class Table:
    """Rows under heads; the first column names the row, the others hold figures (`words` names those that do not)."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset()
    bad: frozenset[int] = frozenset()  # rows that people should look at; a figure in them says why


@dataclass(frozen=True)
class Line:
    """A line of a plot; `style` is one of solid, dots, dashes, bars. Where samples lack it has a gap."""

    name: str
    samples: Samples
    colour: str
    style: str = "solid"


@dataclass(frozen=True)
class Plot:
    """A plot over time; `says` is what it shows in words, for who does not see it."""

    title: str
    says: str
    lines: tuple[Line, ...]
    shown: Span
    apart: float  # seconds between samples: more is a gap
    unit: str = ""
    scale: float = 1.0  # what a value is divided by
    limit: tuple[str, float] | None = None
    bad: tuple[Span, ...] = ()
    unseen: tuple[Span, ...] = ()
    dates: bool = False


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    title: str
    sentences: tuple[str, ...] = ()
    table: Table | None = None
    after: tuple[str, ...] = ()  # what explains the table
    plots: tuple[Plot, ...] = ()


@dataclass(frozen=True)
class Fact:
    """One of the few figures that are seen first."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Document:
    """A whole report. `mood` is well, warn, bad or unknown: the edge of colour at the headline; `word` says it."""

    title: str
    headline: str
    mood: str
    lede: tuple[str, ...]
    notes: tuple[str, ...]
    sections: Sequence[Section] = field(default_factory=tuple)
    facts: tuple[Fact, ...] = ()
    foot: str = ""
    word: str = ""
