"""Cause faults on the running stack and print what was told of them, and when: python -m tests.drills [--list] [--only WORD ...].

Exits with 1 when something was not told, late or twice, or when anything else paged or made a ticket.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from tests.drills import document, table
from tests.drills.catalogue import BESIDE, DRILLS, PHASES
from tests.drills.conduct import Conductor, Result
from tests.drills.model import Drill
from tests.drills.stand import NoStack, Stand
from zads.stack import lock


def _chosen(words: Sequence[str]) -> list[Drill]:
    return [d for d in DRILLS if not words or any(word.lower() in d.name.lower() for word in words)]


class _Run:
    """One run: phases one after the other, the lanes of each beside each other."""

    def __init__(self, stand: Stand, chosen: Sequence[Drill], messages: Path | None) -> None:
        self._begun = time.monotonic()
        self._stand, self._chosen, self._messages = stand, chosen, messages
        # What an earlier run left behind for an hour keeps nobody from being quiet.
        still = [one.labels for one in stand.ask('ALERTS{severity=~"page|ticket"}')]
        left = [drill for drill in DRILLS if drill.stays and any(drill.owns(one["alertname"], one) for one in still)]
        self._conductor = Conductor(stand, self.say, done=left)
        self._print = threading.Lock()
        self.results: list[Result] = []
        self.stopped = False

    def say(self, words: str) -> None:
        with self._print:
            print(f"{time.monotonic() - self._begun:5.0f} s  {words}", file=sys.stderr, flush=True)

    def all(self) -> None:
        background = [threading.Thread(target=self._lane, args=([d],), daemon=True) for d in BESIDE if d in self._chosen]
        for thread in background:
            thread.start()
            time.sleep(15)  # it looks at its checks before others disturb them
        for phase in PHASES:
            lanes = [[drill for drill in lane if drill in self._chosen] for lane in phase]
            threads = [threading.Thread(target=self._lane, args=(lane,), daemon=True) for lane in lanes if lane]
            for number, thread in enumerate(threads):
                time.sleep(8 if number else 0)  # each finds quiet before the next disturbs it
                thread.start()
            for thread in threads:
                thread.join()
        for thread in background:
            thread.join()

    def _lane(self, lane: Sequence[Drill]) -> None:
        for drill in lane:
            if self.stopped:
                return
            try:
                result = self._conductor.run(drill)
            except Exception as error:  # the loop's edge: one drill that breaks ends no other
                self.say(f"{drill.name}: broke off: {type(error).__name__}: {error}")
                with suppress(RuntimeError):
                    self._stand.sim(f"heal {' '.join(drill.heals)}")
                result = Result(drill, time.time(), [], [], [f"broke off: {type(error).__name__}: {error}"], [], [])
            self.results.append(result)
            table.keep(result, self._stand.config, self._stand.paths.dir / "drills")
            if self._messages:
                table.letters(result, self._messages)


def main() -> int:
    """Run what the words choose (all), print the table, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description=__doc__)
    parser.add_argument("--list", action="store_true", help="print the drills' names and what each does")
    parser.add_argument("--only", nargs="+", metavar="WORD", default=[], help="drills with one of these words in their name")
    parser.add_argument("--messages", type=Path, metavar="DIR", help="write every message that arrived into this folder")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write docs/drills.md, with what earlier runs kept")
    args = parser.parse_args()
    chosen = _chosen(args.only)
    console = Console(width=None if sys.stdout.isatty() else 220, highlight=False)
    if args.list:
        for drill in chosen:
            console.print(f"{drill.name}: {'; '.join(cause for stage in drill.stages for cause in stage.causes)}")
        return 0
    if not chosen:
        print(f"No drill has {' or '.join(args.only)} in its name; --list prints all.", file=sys.stderr)
        return 2
    try:
        stand = Stand(Path.cwd())
    except NoStack as error:
        print(error, file=sys.stderr)
        return 2
    mine = lock.take(stand.paths.dir / "drills.lock")
    if mine is None:
        print(f"Process {lock.holder(stand.paths.dir / 'drills.lock')} runs drills here already.", file=sys.stderr)
        return 2
    # Also one that was started in the background undoes its trouble when it is ended.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    run = _Run(stand, chosen, args.messages)
    try:
        run.all()
    except KeyboardInterrupt:
        run.stopped = True
        print("\nInterrupted: undoing all trouble ...", file=sys.stderr)
    finally:
        with suppress(RuntimeError):
            stand.sim("heal")
        mine.close()
    order = {drill.name: number for number, drill in enumerate(DRILLS)}
    results = sorted(run.results, key=lambda one: order[one.drill.name])
    console.print(table.table([row for result in results for row in table.rows(result, stand.config)]))
    for result in results:
        for check in result.checks:
            if not check.differs:
                console.print(f"{result.drill.name}: the check `{check.command}` ({check.alert}) tells no difference")
    if args.markdown:
        found = table.kept(stand.paths.dir / "drills", DRILLS)
        args.markdown.write_text(document.document(found, DRILLS, stand.config), encoding="utf-8")
    return int(run.stopped or any(result.wrong for result in results))


if __name__ == "__main__":
    sys.exit(main())
