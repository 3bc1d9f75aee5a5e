"""Write the faultless year's outcome into docs/replays.md: what was told, week by week."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

from tests.replay.play import Outcome
from tests.replay.scenario import DAY
from tests.replay.year import WEEK, by_week

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "replays.md"
_BETWEEN = re.compile(r"(<!-- year: begin[^\n]*-->\n).*?(<!-- year: end -->)", re.DOTALL)


def _names(told: Counter[str]) -> str:
    return ", ".join(name if count == 1 else f"{name} {count}" for name, count in sorted(told.items())) or "-"


def table(outcome: Outcome, played: date, minutes: float) -> str:
    """Return the year as Markdown: a line of sums, then a row for each week."""
    one, severities = outcome.scenario, ("page", "ticket", "info")
    weeks = {severity: by_week(outcome, severity) for severity in severities}
    sums = ", ".join(
        f"{number} {name}{'' if number == 1 else 's'}"
        for severity, name in zip(severities, ("page", "ticket", "note"), strict=True)
        for number in [sum(week.total() for week in weeks[severity])]
    )
    most = max(week.total() for week in weeks["ticket"])
    rows = [
        f"Played on {played:%Y-%m-%d} in {minutes:.0f} minutes, {one.hours / 24:.0f} days, weather {one.seed}: {sums};",
        f"no week has more than {most} ticket{'' if most == 1 else 's'}. A night closed is one lost entirely.",
        "",
        "| week from | nights closed | pages | tickets | notes |",
        "|---|---|---|---|---|",
    ]
    for number, told in enumerate(zip(*(weeks[severity] for severity in severities), strict=True)):
        begin = number * WEEK
        closed = sum(begin <= start < begin + WEEK and end - start >= DAY for start, end in one.closed)
        cells = " | ".join(_names(week) for week in told)
        rows.append(f"| {(one.begins + timedelta(seconds=begin)):%Y-%m-%d} | {closed} | {cells} |")
    return "\n".join(rows)


def record(outcome: Outcome, played: date, minutes: float, document: Path = DOCUMENT) -> None:
    """Put the table between the document's two marks."""
    text = document.read_text(encoding="utf-8")
    new, number = _BETWEEN.subn(lambda found: f"{found[1]}{table(outcome, played, minutes)}\n{found[2]}", text)
    if number != 1:
        raise ValueError(f"{document} has no place for the year's table, or several")
    document.write_text(new, encoding="utf-8")
