"""Play one scenario and judge what was told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.replay.evaluate import EACH_MINUTE, NOTES, RULES, SAMPLES, evaluate, thresholds
from tests.replay.exposition import Exposition, encoded
from tests.replay.flow import Flow
from tests.replay.scenario import Scenario
from tests.replay.told import Told, told
from zads.config import Config, load

SITE = Path(__file__).with_name("site.toml")


def site() -> Config:
    """Return the site that is played."""
    return load(SITE)


@dataclass
class Outcome:
    """What was told, and what of it (or of what was missing) is a surprise."""

    scenario: Scenario
    told: list[Told]
    surprises: list[str] = field(default_factory=list)

    def of(self, severity: str) -> list[Told]:
        """Return what was told with a severity."""
        return [one for one in self.told if one.severity == severity]


def series(flow: Flow, low: int, high: int) -> dict[str, str]:
    """Return all series between two steps, the thresholds' constants too."""
    constants = {name: f"{value:.12g}x{high - low - 1}" for name, value in thresholds(flow.config).items()}
    return {**encoded(Exposition(flow, low, high)), **constants}


def play(scenario: Scenario, rules: Path = RULES) -> Outcome:
    """Play a scenario against the rules of a folder and judge it."""
    config = site()
    flow = Flow(scenario, config)
    low = int(np.searchsorted(flow.times, 0.0))
    firing = evaluate(
        series(flow, low, len(flow.times)),
        step=scenario.step,
        every=scenario.evaluate,
        seconds=scenario.hours * 3600,
        rules=rules,
        without=EACH_MINUTE if scenario.evaluate < 60 else NOTES if scenario.hours > SAMPLES * scenario.step / 3600 else (),
    )
    return judge(scenario, told(firing, config))


def judge(scenario: Scenario, heard: list[Told]) -> Outcome:
    """Compare what was told with what may and what has to be."""
    outcome = Outcome(scenario, heard)
    for severity, wanted in (("page", scenario.pages), ("ticket", scenario.tickets)):
        for name, within in wanted.items():
            times = [one.at - scenario.trouble for one in heard if one.name == name and one.severity == severity]
            if not times:
                outcome.surprises.append(f"no {severity} {name}")
            elif not 0 <= times[0] <= within:
                outcome.surprises.append(f"{name} after {times[0]:.0f} s, not within {within:.0f} s")
        for one in heard:
            if one.severity == severity and one.name not in wanted and one.name not in scenario.allowed:
                outcome.surprises.append(f"{severity} {one.name} at {one.at:.0f} s {_what(one)}")
    # One cause, one message: the same alert twice is one too many, also one that only may be told.
    counted = Counter(tuple(sorted(one.labels.items())) for one in heard if one.severity != "info")
    outcome.surprises += [
        f"{dict(labels)['alertname']} is told {count} times" for labels, count in counted.items() if count > scenario.times
    ]
    return outcome


def _what(one: Told) -> str:
    shown = {k: v for k, v in one.labels.items() if k not in {"alertname", "severity", "headline", "label", "about"}}
    return "(" + ", ".join(f"{key} {value}" for key, value in shown.items()) + ")"
