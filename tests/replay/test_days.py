"""Two faultless weeks in winter: no page, at most a ticket a week. The whole year: make replay."""

from __future__ import annotations

from itertools import groupby

import pytest

from tests.replay.scenario import DAY
from tests.replay.year import LOST, play_days, weather


@pytest.mark.timeout(600)
def test_two_weeks_without_a_fault_wake_nobody() -> None:
    outcome = play_days(14, 3, print, begin="2026-12-01T20:00")
    assert not outcome.surprises, [(one.name, one.at / DAY, dict(one.labels)) for one in outcome.told]


def test_the_weather_is_palomars() -> None:
    """Over 120 years: 21 % of the nights are lost, 44 % in December, with runs of a week and more."""
    lost, runs = [0] * 12, []
    for seed in range(120):
        whole = {int(begin / DAY) for begin, end in weather(365, 1, seed) if end - begin == DAY}
        for day in whole:
            lost[int(day / 30.44) % 12] += 1
        nights = [day in whole for day in range(365)]
        runs.append(max(len(list(same)) for closed, same in groupby(nights) if closed))
    assert sum(lost) / (120 * 365) == pytest.approx(sum(LOST) / 12, abs=0.02)
    assert lost[11] / (120 * 30.44) == pytest.approx(0.44, abs=0.05)
    assert 5 <= sorted(runs)[60] <= 13
