"""`zads report 2026Q1` with a real Prometheus that holds a quarter of which everything is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.backfilled import backfilled
from tests.support.made_quarter import BAD, DOWN, LACKING, MISSING, QUARTER, SLOW, UNSEEN, Made, make
from tests.support.played_night import site
from zads.ask_prometheus import Prometheus, PrometheusError
from zads.config import load
from zads.report import machine, quarter_document
from zads.report.errors import ReportError
from zads.report.model import QuarterReport
from zads.report.read_quarter import read
from zads.slo_quarter import Quarter

LATER = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def made() -> Made:
    return make()


@pytest.fixture(scope="module")
def toml(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("quarter")
    with backfilled(folder, made.series) as address:
        yield site(address, folder)


def _read(toml: Path, quarter: Quarter = QUARTER, now: datetime = LATER) -> QuarterReport:
    config = load(toml)
    return read(config, Prometheus(config), quarter, now)


@pytest.fixture(scope="module")
def report(toml: Path) -> QuarterReport:
    return _read(toml)


def test_each_night_has_its_alerts(report: QuarterReport, made: Made) -> None:
    """To the alert; a closed night has none, and of the unseen one nothing is said."""
    nights = {one.night: one for one in report.nights}
    assert list(nights) == QUARTER.nights()
    for night, alerts in made.alerts.items():
        one = nights[night]
        if night == UNSEEN:
            assert (one.zads, one.upstream, one.complete, one.observed, one.p95) == (None, None, None, None, None)
        elif night in made.closed:
            assert (one.zads, one.observed, one.p95) == (None, 0, None)
        else:
            lacking = MISSING if night == LACKING else 0
            assert (one.upstream, one.zads) == (alerts, alerts - lacking)
            assert one.complete == pytest.approx(1 - lacking / alerts, abs=1e-9)
            assert one.observed == pytest.approx(made.dark[night], abs=1200)


def test_delays_by_night(report: QuarterReport) -> None:
    """97 % within 20 minutes, and on the slow night only half."""
    p95 = {one.night: one.p95 for one in report.nights if one.p95 is not None}
    assert p95[SLOW] == pytest.approx(1740, rel=0.01)
    assert all(value == pytest.approx(1174.5, rel=0.01) for night, value in p95.items() if night != SLOW)


def test_a_community_over_the_quarter(report: QuarterReport, made: Made) -> None:
    """What it took, its worst lag (a batch that waits is none), for how long it was late, its bytes."""
    lasair = next(one for one in report.communities if one.name == "lasair")
    nights = [night for night, alerts in made.alerts.items() if alerts and night != UNSEEN]
    taken = sum(made.alerts[night] - 100 for night in nights) - MISSING
    assert (lasair.delivered, lasair.nights) == (taken, len(nights))
    assert (lasair.worst_lag, lasair.worst_night) == (5400, SLOW)
    assert lasair.late_minutes == pytest.approx(90, abs=6)
    # What it took in the unseen night is in its counter, but no night's growth shows it.
    seen = sum(made.alerts[night] for night in nights) * 1000
    assert lasair.wire == pytest.approx(seen, rel=0.01)
    alerce = next(one for one in report.communities if one.name == "alerce")
    assert (alerce.delivered, alerce.worst_lag, alerce.late_minutes, alerce.wire) == (None, None, None, None)


def test_the_promise_and_what_took_it(report: QuarterReport) -> None:
    assert report.promise.total("bad") == BAD
    assert [(one.night, one.minutes, one.cause) for one in report.promise.incidents] == [
        (DOWN, BAD, "KAFKA DOWN (ServiceDown kafka-public)")
    ]
    document = quarter_document.document(report)
    assert document.headline == "The promise was kept: 9.3 of the 10.0 h that may be bad are left."
    assert any(f"Nothing at all is on record of 1 night: {UNSEEN}." in note for note in document.notes)
    assert report.messages["email"]["sent"] == pytest.approx(3)


def test_a_quarter_is_told_up_to_now(toml: Path) -> None:
    """In the middle of January: its nights so far, the budget of the whole quarter."""
    report = _read(toml, now=datetime(2026, 1, 15, 8, tzinfo=UTC))
    assert [one.night for one in report.nights][-1] == "20260115"
    assert not report.over
    assert 0 < report.nights[-1].dark < 8 * 3600
    assert report.nights[-1].zads is not None and report.nights[-1].p95 is not None
    assert quarter_document.document(report).headline.startswith("The promise is kept so far: 9.3 of the 10.0 h")


def test_for_programs(report: QuarterReport, made: Made) -> None:
    said = machine.quarter(report)
    assert (said["quarter"], said["promise"]["bad_minutes"]) == ("2026Q1", BAD)
    assert said["nights"][0]["zads"] == made.alerts["20260101"]


def test_quarters_that_cannot_be_told(toml: Path) -> None:
    with pytest.raises(ReportError, match="2026Q3 has not begun"):
        _read(toml, Quarter(2026, 3))
    with pytest.raises(PrometheusError, match="holds no night minute of 2025Q3"):
        _read(toml, Quarter(2025, 3))
