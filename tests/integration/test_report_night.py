"""`zads report` of nights that tests/replay plays, in a real Prometheus: what it says is what was put in."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.support.backfilled import backfilled
from tests.support.played_night import CLOSED, NIGHT, TROUBLE, Played, hour, play, site
from zads.ask_prometheus import Prometheus
from zads.config import load
from zads.report import cli, night_document
from zads.report.errors import ReportError
from zads.report.minutes import Figure
from zads.report.model import Community, NightReport
from zads.report.read_night import read

LATER = datetime(2026, 3, 25, tzinfo=UTC)


@pytest.fixture(scope="module")
def played() -> Played:
    return play(TROUBLE)


@pytest.fixture(scope="module")
def toml(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("night")
    with backfilled(folder, played.series) as address:
        yield site(address, folder)


def _read(toml: Path, now: datetime = LATER, night: str = NIGHT) -> NightReport:
    config = load(toml)
    return read(config, Prometheus(config), night, now)


@pytest.fixture(scope="module")
def report(toml: Path) -> NightReport:
    return _read(toml)


def _community(report: NightReport, name: str) -> Community:
    return next(one for one in report.communities if one.name == name)


def _lines(report: NightReport) -> str:
    found = night_document.document(report)
    parts = [found.headline, *found.lede, *found.notes]
    for section in found.sections:
        parts += [*section.sentences, *section.after]
        parts += [" | ".join(row) for row in section.table.rows] if section.table else []
    return "\n".join(parts)


def test_alerts_are_those_that_were_put_in(report: NightReport, played: Played) -> None:
    """By program, at both ends, in spite of the minutes in which one end or Prometheus was away."""
    arrived = {str(number): played.at(log) for number, log in played.flow.arrived.items()}
    assert {one.number: one.upstream.value for one in report.programs if one.upstream} == arrived
    public = report.public
    assert public is not None and public.zads is not None
    assert public.zads.value == arrived["1"]
    assert public.complete == 1.0
    assert (public.missing, public.surplus, public.waiting) == (0, 0, 0)
    books = played.flow.exposures
    exposures = np.sum((books.program == 1) & (books.record > 0) & (books.record <= played.flow.times[-1] - 600))
    assert report.exposures["1"] == Figure.of(float(exposures))


def test_kafka_dead_for_12_dark_minutes_is_12_minutes_and_named(report: NightReport) -> None:
    minutes = report.minutes
    assert minutes is not None
    assert (minutes.bad, minutes.unknown) == (12, 10)
    assert [one.cause for one in report.incidents] == ["KAFKA DOWN (ServiceDown kafka-public)"]
    said = _lines(report)
    assert "12 minutes of darkness were bad: KAFKA DOWN (ServiceDown kafka-public). Nobody saw 10 minutes of 605." in said
    assert "06:00 to 06:12 | 12 | KAFKA DOWN (ServiceDown kafka-public)" in said
    assert report.promise is not None
    assert report.promise.left == pytest.approx(report.promise.budget - 12)


def test_who_was_told_and_who_took_it(report: NightReport) -> None:
    (page,) = report.told
    assert (page.severity, page.minutes, page.by) == ("page", 11, "operator 2")
    # It fired when Prometheus was asked last before it went, so nothing was missed of these counters.
    assert report.messages["pagerduty"]["sent"] == Figure(2, 2)
    assert report.messages["slack"]["failed"] == Figure(1, 1)
    assert "Messages: email 2 sent; pagerduty 2 sent; slack 1 failed, 2 sent." in _lines(report)


def test_communities_got_what_they_committed(report: NightReport, played: Played) -> None:
    """Each alert once; a batch that is not full is not late; two slow hours are."""
    public = played.at(played.flow.public)
    lasair, alerce = _community(report, "lasair"), _community(report, "alerce")
    assert alerce.delivered == Figure.of(public)
    assert lasair.delivered == Figure.of(played.at(played.flow.communities["lasair"].committed))
    assert lasair.delivered.low < public
    ages = played.series['zads:community_lag_seconds:max{community="lasair"}']
    late = played.series['zads:community_late:bool{community="lasair"}']
    assert lasair.late_minutes == sum(value for _, value in late)
    assert lasair.late_minutes > 60
    # Its last 118 alerts wait for their batch to fill until noon, which is no lag.
    assert lasair.worst_lag is not None and lasair.worst_at is not None
    assert max(value for _, value in ages) > lasair.worst_lag > 3600
    zero = TROUBLE.begins.timestamp()
    assert zero + hour(8) < lasair.worst_at <= zero + hour(10) + 120
    assert (alerce.late_minutes, alerce.lost) == (0, 0)


def test_who_commits_nothing_is_not_said_to_be_on_time(report: NightReport) -> None:
    fink = _community(report, "fink")
    assert (fink.commits, fink.delivered, fink.share, fink.worst_lag, fink.late_minutes) == (False, None, None, None, None)
    assert fink.wire is not None and fink.wire.low > 0
    assert "fink | commits nothing | - | unknown | unknown" in _lines(report)


def test_bytes_are_those_that_were_taken(report: NightReport, played: Played) -> None:
    """By both measurements; Prometheus' ten minutes cost nothing, as the counters went on."""
    public = played.at(played.flow.public)
    for name in ("alerce", "ampel"):
        one = _community(report, name)
        assert one.wire is not None and one.offsets is not None and one.of_stream is not None
        assert one.wire.exact
        assert one.wire.low == pytest.approx(public * 70_000, rel=1e-5)
        assert one.offsets.low == pytest.approx(public * 70_000, rel=1e-5)
        assert one.of_stream == pytest.approx(1, rel=1e-4)
        assert (one.connections, one.away_minutes) == ((0, 3), 12)


def test_delays_are_those_of_the_alerts(report: NightReport, played: Played) -> None:
    """Percentiles within their bucket, over each alert of the night."""
    books, flow = played.flow.exposures, played.flow
    mine = (books.program == 1) & (books.record <= flow.times[-1]) & (books.record >= 0)
    delays = np.repeat((books.record - books.end)[mine], books.alerts[mine])
    found = {one.stage: one for one in report.delays}
    exposure = found["exposure"]
    for percent in (50, 95):
        true = float(np.percentile(delays, percent))
        assert exposure.percentiles[percent] == pytest.approx(true, rel=0.25)
    assert exposure.alerts == pytest.approx(played.at(flow.public), rel=0.001)
    assert found["mirror"].goal == 120 and found["mirror"].within is not None
    assert 0.9 < found["mirror"].within < 1
    assert found["total"].goal == 1200


def test_what_nobody_measured_is_said_minute_by_minute(report: NightReport) -> None:
    gaps = {gap.who: gap for gap in report.gaps}
    assert {name: gap.minutes for name, gap in gaps.items()} == {"Prometheus": 10, "kafka-lag": 8, "ZADS's Kafka": 12}
    assert "Prometheus gave nothing 11:00 to 11:10 UTC (10 minutes). Unknown then: everything." in _lines(report)


def test_a_night_that_goes_on_is_told_up_to_now(toml: Path, played: Played) -> None:
    """In the middle of Kafka's outage: IPAC's count is known, ZADS' is "at least" and completeness unknown."""
    now = TROUBLE.begins + timedelta(seconds=hour(6) + 5 * 60 + 30)
    report = _read(toml, now)
    assert not report.over
    public = report.public
    assert public is not None and public.zads is not None and public.upstream is not None
    assert public.upstream.final and not public.zads.final
    assert public.upstream.value == played.at(played.flow.upstream, 6 + 4.9 / 60)
    assert public.complete is None
    alerce = _community(report, "alerce").delivered
    assert alerce is not None and alerce.high is not None
    said = _lines(report)
    assert "or more public alerts reached ZADS; whether any is missing is unknown." in said
    assert "dark hours so far" in said


def test_an_exporter_that_is_away_at_the_end_leaves_a_range(toml: Path) -> None:
    """At 04:05 kafka-lag is away since 04:00: a community has between what was seen and all there is."""
    report = _read(toml, TROUBLE.begins + timedelta(seconds=hour(4) + 6 * 60 + 30))
    taken = _community(report, "alerce").delivered
    assert taken is not None and taken.high is not None and not taken.exact
    assert taken.low < taken.high
    assert f"{taken.low:,.0f} to {taken.high:,.0f}" in _lines(report)


def test_a_night_before_the_record_is_no_quiet_night(toml: Path) -> None:
    with pytest.raises(ReportError, match=r"holds nothing of night 20260310: .*it keeps 400d"):
        _read(toml, night="20260310")


def test_a_closed_night_is_closed_and_not_unknown(tmp_path: Path) -> None:
    """Everything was seen, and IPAC had nothing: no minute counts, no figure is made up."""
    with backfilled(tmp_path, play(CLOSED).series) as address:
        report = _read(site(address, tmp_path))
    said = _lines(report)
    assert "A closed night: no alert came to IPAC in 10.1 dark hours." in said
    assert "No alert, so no minute counts." in said
    assert report.observed == 0
    assert not report.gaps


def _run(toml: Path, *argv: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    cli.register(parser.add_subparsers())
    args = parser.parse_args(["--config", str(toml), "report", *argv])
    return int(args.func(args))


def test_for_programs(toml: Path, capsys: pytest.CaptureFixture[str], played: Played) -> None:
    assert _run(toml, NIGHT, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["version"], said["night"], said["bad_minutes"], said["complete"]) == (1, NIGHT, 12, 1)
    assert said["programs"][0]["upstream"]["value"] == played.at(played.flow.upstream)
    assert said["gaps"][0]["times"] == [{"start": "2026-03-20T11:00:00Z", "end": "2026-03-20T11:10:00Z"}]
    assert said["communities"][3]["delivered"] is None
    assert said["incidents"][0]["cause"] == "KAFKA DOWN (ServiceDown kafka-public)"


def test_a_dead_prometheus_is_said_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(site("127.0.0.1:1", tmp_path), NIGHT) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("zads report: Prometheus at 127.0.0.1:1 does not answer. Does it run?")


def test_a_night_to_come_is_refused(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(toml, "21991231") == 1
    assert "night 21991231 has not begun" in capsys.readouterr().err
