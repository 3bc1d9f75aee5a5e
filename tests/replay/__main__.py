"""Play the replays and print what would have been told: python -m tests.replay [--days N] [--list] [WORD...].

Exits with 1 when something is told that should not be, or is not told, or too late.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.replay.evaluate import RULES
from tests.replay.play import Outcome, play
from tests.replay.record import record
from tests.replay.scenario import Scenario
from tests.replay.scenarios_faults import FAULTS
from tests.replay.scenarios_quiet import QUIET
from tests.replay.year import play_days
from zads import cache


def _names(outcome: Outcome, severity: str) -> str:
    told = outcome.of(severity)
    counted = {one.name: sum(other.name == one.name for other in told) for one in told}
    return ", ".join(name if count == 1 else f"{name} x{count}" for name, count in counted.items()) or "-"


def _first_page(outcome: Outcome) -> str:
    pages = outcome.of("page")
    return f"{pages[0].at - outcome.scenario.trouble:.0f} s" if pages else "-"


def _table(outcomes: list[Outcome]) -> Table:
    table = Table("scenario", "pages", "tickets", "infos", "first page after", "verdict")
    for outcome in outcomes:
        verdict = "; ".join(outcome.surprises) or "as it should"
        cells = (_names(outcome, severity) for severity in ("page", "ticket", "info"))
        table.add_row(outcome.scenario.name, *cells, _first_page(outcome), verdict)
    return table


def main() -> int:
    """Play what the words choose (all), print the table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("words", nargs="*", help="play scenarios with one of these words in their name; year: the year")
    parser.add_argument("--days", type=int, default=365, help="length of the faultless year; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=1, help="of the year's weather")
    parser.add_argument("--record", action="store_true", help="write the year's weeks into docs/replays.md")
    parser.add_argument("--rules", type=Path, default=RULES, help="folder of the rule files: to try a change of them")
    parser.add_argument("--list", action="store_true", help="print the scenarios' names")
    args = parser.parse_args()
    chosen = [s for s in (*QUIET, *FAULTS) if not args.words or any(word in s.name for word in args.words)]
    console = Console(width=None if sys.stdout.isatty() else 200)
    if args.list:
        console.print("\n".join(scenario.name for scenario in chosen))
        return 0
    os.environ["PATH"] += f"{os.pathsep}{cache.folder() / 'bin'}"
    begun = time.monotonic()

    def progress(words: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {words}", file=sys.stderr, flush=True)

    def one(scenario: Scenario) -> Outcome:
        outcome = play(scenario, args.rules.resolve())
        progress(f"{scenario.name}: {'; '.join(outcome.surprises) or 'as it should'}")
        return outcome

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(one, chosen))
    if args.days and (not args.words or "year" in args.words):
        begins = time.monotonic()
        outcomes.append(play_days(args.days, args.seed, progress, rules=args.rules.resolve()))
        if args.record:
            record(outcomes[-1], datetime.now(UTC).date(), (time.monotonic() - begins) / 60)
    console.print(_table(outcomes))
    return int(any(outcome.surprises for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
