"""The sky over Palomar: when it is dark, when the dome is open, which program observes, how many alerts come when.

The numbers are ZTF's own: an exposure each 38.7 s, about 1,000 alerts each with a long tail, 13 minutes from exposure
to packet at the 95th percentile, programs in blocks of 30 minutes, darkness below -12 degrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np

from tests.replay.scenario import Scenario
from zads import night

PLACE = (33.3573, -116.8599)
CADENCE, BLOCK = 38.7, 1800.0
MEAN, SPREAD = 1000.0, 0.8
DELAY, DELAY_SPREAD = 420.0, 0.37  # log-normal: 772 s at the 95th percentile
LAST_PACKET = 18.0  # hours UT: until then a night's topic grows


@dataclass(frozen=True)
class Night:
    """One night: its name, dusk and dawn in seconds after the scenario's begin."""

    name: str
    dusk: float
    dawn: float
    noon: float


@dataclass
class Exposures:
    """Every exposure: its end, when its alerts come on record (seconds), alerts, program, index of its night."""

    end: np.ndarray
    record: np.ndarray
    alerts: np.ndarray
    program: np.ndarray
    night: np.ndarray
    nights: list[Night] = field(default_factory=list)


@lru_cache(maxsize=1000)
def _twilights(noon: datetime) -> tuple[datetime, datetime]:
    """Return dusk and dawn after a local noon (20 h UT)."""
    dusk = night.next_dusk(noon, *PLACE)
    assert dusk is not None
    dawn = night.next_dawn(dusk, *PLACE)
    assert dawn is not None
    return dusk, dawn


def nights(begins: datetime, seconds: float, before: float) -> list[Night]:
    """Return the nights from `before` seconds before the begin to `seconds` after it."""
    found, day = [], timedelta(days=1)
    noon = (begins - timedelta(seconds=before)).replace(hour=20, minute=0, second=0, microsecond=0) - day
    while noon < begins + timedelta(seconds=seconds):
        dusk, dawn = _twilights(noon)
        moments = ((moment - begins).total_seconds() for moment in (dusk, dawn, noon))
        found.append(Night(dawn.strftime("%Y%m%d"), *moments))
        noon += day
    return found


def exposures(scenario: Scenario, dice: np.random.Generator) -> Exposures:
    """Draw the exposures of a scenario."""
    found = nights(scenario.begins, scenario.hours * 3600, scenario.lead + 3600)
    ends, programs, owners = [], [], []
    for number, one in enumerate(found):
        times = np.arange(one.dusk, one.dawn, CADENCE)
        for begin, end in scenario.closed:
            times = times[(times < begin) | (times >= end)]
        blocks = np.array(scenario.blocks)
        programs.append(blocks[((times - one.dusk) // BLOCK).astype(int) % len(blocks)])
        ends.append(times)
        owners.append(np.full(len(times), number))
    end, program, owner = (np.concatenate(part) for part in (ends, programs, owners))
    alerts = np.maximum(1, dice.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, len(end))).astype(int)
    if scenario.burst:
        begin, over, factor = scenario.burst
        alerts[(end >= begin) & (end < over)] = int(MEAN * factor)
    record = end + dice.lognormal(np.log(DELAY), DELAY_SPREAD, len(end))
    for late in scenario.of("late"):
        record[(end >= late.begin) & (end < late.end)] += late.by
    if scenario.straggle:
        last = np.array([one.noon for one in found])[owner] + (LAST_PACKET + 4) * 3600
        straggles = dice.random(len(end)) < scenario.straggle
        record[straggles] += (dice.random(len(end)) * np.maximum(0, last - record))[straggles]
    return Exposures(end, record, alerts, program, owner, found)
