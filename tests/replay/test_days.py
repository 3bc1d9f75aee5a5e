"""Two faultless weeks in winter: no page, at most a ticket a week. The whole year: make replay."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from pathlib import Path

import pytest

from tests.replay.record import record
from tests.replay.scenario import DAY
from tests.replay.told import Told
from tests.replay.year import LOST, judge_days, play_days, scenario, weather


def _ticket(day: float, name: str = "UpstreamSilent", severity: str = "ticket") -> Told:
    return Told({"alertname": name, "severity": severity}, day * DAY, day * DAY + 60)


def test_each_week_is_counted_by_itself() -> None:
    """One ticket in each week is well; two in one are not, however quiet the others; nor is any page."""
    year = scenario(28, 1)
    assert not judge_days(year, [_ticket(1), _ticket(8), _ticket(15), _ticket(27.9), _ticket(2, severity="info")]).surprises
    assert judge_days(year, [_ticket(8), _ticket(13.9, "AlertsArrivingSlowly")]).surprises == [
        "2 tickets in week 2 (UpstreamSilent 1, AlertsArrivingSlowly 1)"
    ]
    assert judge_days(year, [_ticket(3, "HostDown", "page")]).surprises == ["page HostDown on day 3.00"]


def test_the_year_is_written_down_week_by_week(tmp_path: Path) -> None:
    """Between the document's marks, the rest untouched; a document without the marks is an error."""
    outcome = judge_days(scenario(14, 1), [_ticket(8), _ticket(9, severity="info"), _ticket(10, severity="info")])
    document = tmp_path / "replays.md"
    document.write_text("before\n<!-- year: begin -->\nold\n<!-- year: end -->\nafter\n")
    record(outcome, date(2026, 11, 25), 31.0, document)
    text = document.read_text()
    assert text.startswith("before\n<!-- year: begin -->\nPlayed on 2026-11-25 in 31 minutes, 14 days, weather 1: ")
    assert "0 pages, 1 ticket, 2 notes;\nno week has more than 1 ticket." in text
    assert "| - | UpstreamSilent | UpstreamSilent 2 |\n<!-- year: end -->\nafter\n" in text
    assert "old" not in text
    document.write_text("nothing")
    with pytest.raises(ValueError, match="has no place"):
        record(outcome, date(2026, 11, 25), 31.0, document)


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
