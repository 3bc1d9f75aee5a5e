"""A faultless year with Palomar's weather: how often somebody would have been told, and of what.

One-minute data. The groups about machines, services and the monitoring, whose inputs stand still, are evaluated each
hour, those about the stream and the communities each four minutes: a year takes minutes instead of hours. What is
shorter than that is for the scenarios at 10 s.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.replay.evaluate import NOTES, RULES, Firing, evaluate, rule_groups
from tests.replay.flow import Flow
from tests.replay.play import Outcome, series, site
from tests.replay.scenario import DAY, HOUR, Scenario
from tests.replay.told import Told, told

# Share of nights lost entirely, by month, and of the hours of the others that are lost (PTF 2010-2014, ztf_sim).
LOST = (0.23, 0.38, 0.23, 0.25, 0.17, 0.07, 0.08, 0.13, 0.09, 0.21, 0.26, 0.44)
HOURS_LOST = 0.19
# A lost night is followed by a lost one more often than chance: runs of up to 13.
PERSISTS = 0.35
# Pieces begin at local noon, when all is still.
WEEK, WARM = 7 * DAY, 4 * HOUR
STILL = ("hosts", "services", "meta")


def weather(days: int, begin_month: int, seed: int) -> tuple[tuple[float, float], ...]:
    """Draw when the dome is closed, in seconds after a begin at 20 h UT."""
    dice, closed, lost = np.random.default_rng(seed), [], False
    for day in range(days):
        month = (begin_month - 1 + int(day / 30.44)) % 12
        share = LOST[month]
        # A chain with this persistence and the month's share in the long run.
        lost = bool(dice.random() < (share + PERSISTS * (1 - share) if lost else share * (1 - PERSISTS)))
        if lost:
            closed.append((day * DAY, (day + 1) * DAY))
        elif dice.random() < 0.5:
            # Half of the other nights lose some of their 10 hours: at the begin, in the middle, or the end.
            length = dice.exponential(2 * HOURS_LOST * 10 * HOUR)
            start = dice.choice([5.0, 5 + 7 * dice.random(), 5 + 7 * dice.random()]) * HOUR
            closed.append((day * DAY + start, day * DAY + min(start + length, 23 * HOUR)))
    return tuple(closed)


def scenario(days: int, seed: int, begin: str = "2026-01-01T20:00") -> Scenario:
    """Return the year, or a part of it."""
    month = int(begin[5:7])
    return Scenario(
        f"{days} faultless days with Palomar's weather",
        begin,
        days * 24.0,
        step=60,
        evaluate=240,
        closed=weather(days, month, seed),
        blocks=(1, 2, 1, 3),
        straggle=0.002,
        lead=2 * HOUR,
        seed=seed,
    )


def _pieces(flow: Flow) -> Iterator[tuple[int, int, float]]:
    """Yield the first and the last step of each week, with hours before it, and how many seconds these are."""
    step, last = flow.scenario.step, len(flow.times)
    for begin in np.arange(0.0, flow.scenario.hours * HOUR, WEEK):
        low = int(np.searchsorted(flow.times, max(begin - WARM, 0.0)))
        high = min(last, int(np.searchsorted(flow.times, begin + WEEK)) + 1)
        yield low, high, begin - flow.times[low]
        assert step * (high - low) <= WEEK + WARM + 2 * step


def play_days(
    days: int, seed: int, progress: Callable[[str], None], begin: str = "2026-01-01T20:00", rules: Path = RULES
) -> Outcome:
    """Play the days, two weeks at once; `progress` is told each that is done."""
    one, config = scenario(days, seed, begin), site()
    flow = Flow(one, config)
    still = [name for name in rule_groups(rules) if name in STILL]
    moving = [name for name in rule_groups(rules) if name not in STILL]

    def piece(bounds: tuple[int, int, float]) -> list[Told]:
        low, high, warm = bounds
        written, seconds = series(flow, low, high), (high - low - 1) * one.step
        heard: list[Told] = []
        for every, without in (
            (one.evaluate, [*still, *NOTES]),
            (3600, [name for name in moving if name != "zads-recorded"]),
        ):
            seen = evaluate(written, step=one.step, every=every, seconds=seconds, rules=rules, without=without)
            heard += told(Firing(seen.at, seen.groups, seen.evaluate), config)
        first = float(flow.times[low])
        new = ", ".join(sorted({t.name for t in heard if t.at >= warm and t.severity != "info"})) or "nothing"
        progress(f"week from day {int((first + warm) / DAY)}: {new}")
        return [Told(t.labels, t.at + first, t.until + first) for t in heard if t.at >= warm]

    with ThreadPoolExecutor(2) as pool:
        heard = [t for found in pool.map(piece, _pieces(flow)) for t in found]
    return judge_days(one, heard)


def by_week(outcome: Outcome, severity: str) -> list[Counter[str]]:
    """Count what was told with a severity, for each week from the begin on."""
    weeks = [Counter[str]() for _ in np.arange(0.0, outcome.scenario.hours * HOUR, WEEK)]
    for one in outcome.of(severity):
        weeks[min(int(one.at / WEEK), len(weeks) - 1)][one.name] += 1
    return weeks


def judge_days(one: Scenario, heard: list[Told]) -> Outcome:
    """No page, and in no week more than one ticket, also in a cloudy one."""
    outcome = Outcome(one, heard)
    outcome.surprises += [f"page {t.name} on day {t.at / DAY:.2f}" for t in outcome.of("page")]
    for week, tickets in enumerate(by_week(outcome, "ticket"), 1):
        if tickets.total() > 1:
            names = ", ".join(f"{name} {count}" for name, count in tickets.items())
            outcome.surprises.append(f"{tickets.total()} tickets in week {week} ({names})")
    return outcome
