"""What came of the drills, as rows: for the terminal, for docs/drills.md, and kept between runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.drills.conduct import Result
from tests.drills.judge import Outcome
from tests.drills.model import OUTSIDE, Drill
from zads.config import Config

HEAD = ("fault", "told", "detected after", "told after", "resolved after", "waiting", "others that fired", "verdict")
GOOD = "as it should"


@dataclass(frozen=True)
class Row:
    """One expected message of one drill; a drill without any has one row."""

    drill: str
    told: str
    detected: str
    arrived: str
    resolved: str
    waiting: str
    besides: str
    verdict: str


def seconds(value: float | None) -> str:
    """Return a number of seconds as people write it, "-" for none."""
    if value is None:
        return "-"
    return f"{value:.1f} s" if value < 10 else f"{value:.0f} s" if value < 600 else f"{value / 60:.0f} min"


def rows(result: Result, config: Config) -> list[Row]:
    """Return the rows of a drill."""
    wrong = "; ".join(result.wrong) or GOOD
    beside = ", ".join(result.besides) or "-"
    if not result.outcomes:
        return [Row(result.drill.name, "nothing", "-", "-", "-", "-", beside, wrong)]
    return [
        Row(
            result.drill.name if number == 0 else "",
            _told(one),
            seconds(one.detected),
            seconds(one.arrived),
            _resolved(result.drill, one),
            waiting(one, config),
            beside if number == 0 else "",
            wrong if number == 0 else "",
        )
        for number, one in enumerate(result.outcomes)
    ]


def _told(one: Outcome) -> str:
    told = one.told
    name = "the outside switch" if told.alert == OUTSIDE else told.alert
    return f"{name} ({told.severity}{'' if told.state == 'firing' else f', {told.state}'}) by {', '.join(told.by)}"


def _resolved(drill: Drill, one: Outcome) -> str:
    if one.told.state != "firing":
        return "-"
    return drill.lingers if drill.lingers else seconds(one.resolved)


def waiting(one: Outcome, config: Config) -> str:
    """Return where the time went, and what of it could be avoided."""
    parts = [
        ("seen", one.seen),
        ("for", one.waited),
        ("group", one.grouped),
        ("delivery", one.delivered),
    ]
    told = [f"{name} {seconds(value)}" for name, value in parts if value is not None]
    spare = avoidable(one, config)
    return ", ".join(told) + (f"; avoidable: {spare}" if spare else "") if told else "-"


def avoidable(one: Outcome, config: Config) -> str:
    """Return what took longer than it has to: sight over collect + scrape + evaluate, a second to group, one to deliver."""
    looks = config.exporters.interval + config.prometheus.scrape_interval + config.prometheus.evaluation_interval
    most = (
        ("seen", one.seen if not one.told.builds else None, looks),
        ("group", one.grouped, 2.0),
        ("delivery", one.delivered, 2.0),
    )
    return ", ".join(f"{name} {value - limit:.1f} s" for name, value, limit in most if value is not None and value > limit)


def table(found: Iterable[Row]) -> Table:
    """Return the table for the terminal."""
    result = Table(*HEAD)
    for row in found:
        result.add_row(row.drill, row.told, row.detected, row.arrived, row.resolved, row.waiting, row.besides, row.verdict)
    return result


def markdown(found: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", "|" + "---|" * len(HEAD)]
    for row in found:
        cells = (row.drill, row.told, row.detected, row.arrived, row.resolved, row.waiting, row.besides, row.verdict)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def keep(result: Result, config: Config, folder: Path) -> None:
    """Write what came of a drill, so that a later run can add to it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "drill": result.drill.name,
        "at": result.at,
        "rows": [vars(row) for row in rows(result, config)],
        "wrong": result.wrong,
        "checks": [vars(check) for check in result.checks],
    }
    file = folder / f"{slug(result.drill.name)}.json"
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


def kept(folder: Path, drills: Sequence[Drill]) -> list[Mapping[str, Any]]:
    """Return what was kept, in the drills' order."""
    files = [folder / f"{slug(drill.name)}.json" for drill in drills]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def slug(name: str) -> str:
    """Return a drill's name as a file's."""
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def letters(result: Result, folder: Path) -> None:
    """Write every message that arrived in a drill, as its reader saw it."""
    place = folder / slug(result.drill.name)
    place.mkdir(parents=True, exist_ok=True)
    for old in place.glob("*.txt"):
        old.unlink()
    for number, one in enumerate(result.letters):
        head = f"{datetime.fromtimestamp(one.at, UTC):%H:%M:%S}"
        kind = f"{one.channel}-{one.state}{'-edit' if one.silent else ''}"
        text = f"{head} {one.channel} {one.state} ({one.alert}, via {one.via}){f' to {one.to}' if one.to else ''}\n"
        (place / f"{number:02d}-{head.replace(':', '')}-{kind}.txt").write_text(
            f"{text}\n{one.title}\n\n{one.text}\n", encoding="utf-8"
        )
