"""Errors of lag in seconds as distributions, in markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.seconds_scenarios import Scenario

WITHIN_SECONDS, WITHIN_SHARE = 5.0, 0.05


@dataclass(frozen=True)
class Point:
    """What a method said and what was true, in seconds; NaN for nothing said."""

    method: str
    scenario: str
    at: float
    value: float
    true: float

    @property
    def error(self) -> float:
        """The absolute error in seconds."""
        return abs(self.value - self.true)

    def within(self, seconds: float = WITHIN_SECONDS) -> bool:
        """Whether it is right within so many seconds or 5 %; nothing said is not right."""
        return self.error <= max(seconds, WITHIN_SHARE * self.true)


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values: the smallest that at least this share does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def table(points: Iterable[Point], scenarios: Sequence[Scenario], intervals: Mapping[str, float]) -> str:
    """Return the table; `intervals` are the methods' own, in seconds, in the order to show."""
    rows = [
        "| scenario | longest true lag, s | method | readings | no value | p50, s | p90, s | p99, s | max, s "
        "| within 5 s or 5 % | within its interval or 5 % |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    points = list(points)
    for scenario in [*scenarios, None]:
        for method, interval in intervals.items():
            mine = [p for p in points if p.method == method and scenario in {None, scenario} and _is(p, scenario)]
            if not mine:
                continue
            errors = sorted(p.error for p in mine if not math.isnan(p.error))
            cells = [
                "all" if scenario is None else scenario.name,
                f"{max(p.true for p in mine):,.0f}",
                method,
                str(len(mine)),
                str(len(mine) - len(errors)),
                *(_seconds(quantile(errors, share)) for share in (0.5, 0.9, 0.99, 1.0)),
                f"{100 * sum(p.within() for p in mine) / len(mine):.1f} %",
                f"{100 * sum(p.within(interval) for p in mine) / len(mine):.1f} %",
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _is(point: Point, scenario: Scenario | None) -> bool:
    return scenario is None or point.scenario == scenario.name


def _seconds(value: float) -> str:
    if not math.isfinite(value):
        return "-" if math.isnan(value) else "infinite"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"
