"""The quarter's promise: how minutes are counted, cut into incidents, and said."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from zads.slo import CAUSES, Firing, Report, incidents_of, night_of

ROOT = Path(__file__).resolve().parents[2]
T0 = datetime(2026, 1, 10, 3, 0, tzinfo=UTC).timestamp()


def _minutes(*numbers: int) -> list[float]:
    return [T0 + 60 * number for number in numbers]


def _firing(name: str, times: list[float], **labels: str) -> Firing:
    return Firing({"alertname": name, "headline": name.upper(), **labels}, frozenset(times))


def test_a_night_adds_up() -> None:
    """Good, bad and unknown are all of the dark minutes that were."""
    night = night_of("20260110", 700.4, 580, 30, data=True)
    assert (night.good, night.bad, night.unknown, night.without_data) == (550, 30, 120, 0)
    assert night.good + night.bad + night.unknown == night.dark == 700


def test_a_night_without_data_neither_burns_nor_earns() -> None:
    """What was bad in it is neither good nor bad; what nobody saw stays unknown."""
    night = night_of("20260110", 700, 600, 40, data=False)
    assert (night.good, night.bad, night.unknown, night.without_data) == (0, 0, 100, 600)


def test_a_night_of_which_nobody_knows_whether_it_had_data_counts() -> None:
    assert night_of("20260110", 700, 600, 40, data=None).bad == 40


@pytest.mark.parametrize(("seen", "unknown"), [(700, 0), (698, 0), (697, 3), (703, 0), (0, 700), (1, 699)])
def test_a_minute_at_dusk_and_dawn_is_rounding_and_more_is_not(seen: int, unknown: int) -> None:
    assert night_of("20260110", 700, seen, 0, data=True).unknown == unknown


def test_bad_minutes_in_one_piece_are_one_incident() -> None:
    """A good or an unknown minute between them makes two."""
    found = incidents_of("20260110", _minutes(0, 1, 2, 3, 5, 6), [])
    assert [(one.minutes, f"{one.start:%H:%M}", f"{one.end:%H:%M}") for one in found] == [
        (4, "03:00", "03:04"),
        (2, "03:05", "03:07"),
    ]
    assert {one.cause for one in found} == {"no alert fired"}


def test_the_cause_stands_before_what_follows_from_it() -> None:
    """A dead Kafka before the mirror that is behind, what is ours before IPAC's; each alert once."""
    bad = _minutes(*range(10))
    alerts = [
        _firing("SomeTicket", bad[5:]),
        _firing("MirrorLagging", bad[2:], service="mirrormaker"),
        _firing("ServiceDown", bad[1:], service="kafka-upstream", part="upstream"),
        _firing("ServiceDown", bad[1:], service="kafka-public", part="public"),
    ]
    assert incidents_of("20260110", bad, alerts)[0].alerts == (
        "SERVICEDOWN (ServiceDown kafka-public)",
        "MIRRORLAGGING (MirrorLagging mirrormaker)",
        "SOMETICKET (SomeTicket)",
        "SERVICEDOWN (ServiceDown kafka-upstream)",
    )


def test_an_alert_belongs_to_the_incident_in_which_it_fired() -> None:
    """One that waits before it fires belongs to the piece that it follows by two minutes at most, not to a later one."""
    alerts = [_firing("ServiceDown", _minutes(4), service="a"), _firing("HostDown", _minutes(31), host="b")]
    found = incidents_of("20260110", _minutes(0, 1, 2, 30, 31), alerts)
    assert [one.cause for one in found] == ["SERVICEDOWN (ServiceDown a)", "HOSTDOWN (HostDown b)"]
    assert incidents_of("20260110", _minutes(0, 1), [_firing("HostDown", _minutes(4))])[0].alerts == ()


def test_what_took_the_budget_adds_up() -> None:
    incidents = incidents_of("20260110", _minutes(0, 1, 2, 30, 31, 60), [_firing("HostDown", _minutes(0, 60))])
    night = night_of("20260110", 700, 700, 6, data=True)
    report = Report("2026Q1", 0.99, 50_000, 500.0, (night,), tuple(incidents))
    assert report.by_cause() == {"HOSTDOWN (HostDown)": 4, "no alert fired": 2}
    assert sum(report.by_cause().values()) == report.total("bad") == 6
    assert report.left == 494


def test_every_cause_is_an_alert() -> None:
    """A rule that is renamed is renamed here too."""
    names = {
        rule.get("alert")
        for file in (ROOT / "alertrules").glob("*.rules.yml")
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    }
    assert set(CAUSES) <= names
