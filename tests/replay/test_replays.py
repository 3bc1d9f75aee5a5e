"""The quick replays: what pages and what does not. All of them: make replay."""

from __future__ import annotations

import pytest

from tests.replay.play import judge, play
from tests.replay.scenario import Scenario
from tests.replay.scenarios_faults import FAULTS
from tests.replay.scenarios_quiet import QUIET
from tests.replay.told import Told

ALL = {scenario.name: scenario for scenario in (*QUIET, *FAULTS)}
QUICK = [
    "Kafka dead for good",
    "the whole host gone",
    "node_exporter dead, then Kafka",
    "a clear night",
    "Prometheus restarted",
]


@pytest.mark.parametrize("name", QUICK)
def test_only_what_has_to_be_told_is_told(name: str) -> None:
    """Each page and ticket in time and once, and none beside them."""
    outcome = play(ALL[name])
    assert not outcome.surprises, [(one.name, one.at, dict(one.labels)) for one in outcome.told]


def test_each_scenario_has_a_name_of_its_own() -> None:
    assert len(ALL) == len(QUIET) + len(FAULTS)


def _told(name: str, at: float, severity: str = "page") -> Told:
    return Told({"alertname": name, "severity": severity}, at, at + 60)


@pytest.mark.parametrize(
    ("heard", "surprise"),
    [
        ([_told("HostDown", 130)], ""),
        ([_told("HostDown", 170)], "after 70 s"),
        ([_told("HostDown", 90)], "after -10 s"),
        ([], "no page HostDown"),
        ([_told("HostDown", 130), _told("HostDown", 400)], "told 2 times"),
        ([_told("HostDown", 130), _told("ServiceDown", 130)], "page ServiceDown"),
        ([_told("HostDown", 130), _told("MemoryLow", 130, "ticket")], "ticket MemoryLow"),
        ([_told("HostDown", 130), _told("ExporterDown", 130, "ticket")], ""),
        ([_told("HostDown", 130), _told("ServiceRestarted", 130, "info")], ""),
    ],
)
def test_a_surprise_is_named(heard: list[Told], surprise: str) -> None:
    """Too late, too early, missing, twice, or besides: each is one; what is allowed and what wakes nobody is none."""
    scenario = Scenario("x", "2026-03-20T05:00", 1, trouble=100, pages={"HostDown": 60}, allowed=frozenset({"ExporterDown"}))
    surprises = judge(scenario, heard).surprises
    assert bool(surprises) == bool(surprise)
    assert all(surprise in one for one in surprises)
