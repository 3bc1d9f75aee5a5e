"""The one visual system: colours and what each means, sizes, words for states. docs/wall.md tells why.

Grafana 9.4 paints a tile's background as a gradient between two darker shades of its colour; FILL holds the colours whose
gradient is the one meant. A well tile is no colour at all, so that what is filled is what somebody should look at.
"""

from __future__ import annotations

from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)

# Text, lines and small marks: told apart with every kind of colour blindness, and never without a word.
OK, WARN, BAD, UNKNOWN, PLAIN = "#3fb5a6", "#e69f00", "#f0642d", "#8b93a1", "#aab2bd"
# Lines of a chart that mean no state (after Okabe and Ito), from light to dark where they are read without colour.
LINES = ("#56b4e9", "#e8eaed", "#cc79a7", "#f0e442", "#3fb5a6", "#8b93a1", "#d55e00", "#7f8fd4")
BLUE, WHITE = LINES[0], LINES[1]


class Fill:
    """Backgrounds of the wall's tiles."""

    # Well: so little teal that nothing calls; plain: no state that could be well.
    QUIET = "rgba(63, 181, 166, 0.13)"
    PLAIN = "rgba(170, 178, 189, 0.09)"
    WARN = "#ffb91a"
    BAD = "#f55f19"
    UNKNOWN = "#707a88"


# Sizes in pixels of a screen of 1920 x 1080: docs/wall.md has the arithmetic for five metres.
HEADLINE, NUMBER, WORD, FOOT, LINE = 104, 66, 57, 36, 30

Steps = tuple[tuple[float | None, str], ...]
Mapping = ValueMap | RangeMap | RegexMap | SpecialValueMap


class Word(NamedTuple):
    """What a state's number is called, and its colour."""

    text: str
    color: str


Words = dict[int, Word]


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Return thresholds: a colour from each value on, None being the lowest."""
    levels = [Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(levels)


def mappings(words: Words | None = None, nothing: str = "UNKNOWN", color: str = UNKNOWN) -> list[Mapping]:
    """Return words for states; null and NaN are `nothing`, whatever else stands there."""
    result: list[Mapping] = []
    if words:
        named = {str(v): ValueMappingResult(text=w.text, color=w.color, index=i) for i, (v, w) in enumerate(words.items())}
        result.append(ValueMap(named))
    unknown = ValueMappingResult(text=nothing, color=color, index=len(words or {}))
    result.append(SpecialValueMap(DashboardSpecialValueMapOptions(match=SpecialValueMatch.NULL_AND_NAN, result=unknown)))
    return result


# Incidents over time: a bar while one lasted.
FIRING: Words = {0: Word("none", "#3a424e"), 1: Word("FIRING", WARN)}
YES_NO: Words = {1: Word("OK", OK), 0: Word("NO", BAD)}
UP_DOWN: Words = {1: Word("UP", OK), 0: Word("DOWN", BAD)}
SERVICE: Words = {
    1: Word("OK", OK),
    0: Word("DOWN", BAD),
    2: Word("NO ANSWER", BAD),
    3: Word("UNKNOWN", UNKNOWN),
}
COMMUNITY: Words = {
    0: Word("ON TIME", OK),
    1: Word("READING", PLAIN),
    2: Word("WAITING", PLAIN),
    3: Word("UNKNOWN", UNKNOWN),
    4: Word("AWAY", WARN),
    5: Word("BEHIND", WARN),
}
