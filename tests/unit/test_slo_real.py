"""`zads slo` with a real Prometheus that holds a whole quarter, minute by minute."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.backfilled import Sample, backfilled
from zads import slo_cli
from zads.ask_prometheus import Prometheus, PrometheusError
from zads.config import Config, load
from zads.night import night_bounds
from zads.slo import Report
from zads.slo_quarter import Quarter, parse_quarter, quarter_dark_seconds
from zads.slo_read import read
from zads.sun import dark_spans

QUARTER = Quarter(2026, 1)
CLOSED, DOWN, GAP, UNSEEN, UNKNOWN_DATA = "20260104", "20260110", "20260120", "20260121", "20260205"
LONGITUDE, LATITUDE = -116.8599, 33.3573
SECOND = timedelta(seconds=1)


def _dark(name: str) -> list[float]:
    """The moments, 20 s after each full minute, at which the rules saw a dark sky."""
    start, end = night_bounds(name, LONGITUDE)
    ((dusk, dawn),) = dark_spans(start, end, LATITUDE, LONGITUDE)
    first = int(dusk.timestamp()) // 60 * 60 + 80
    return [float(when) for when in range(first, int(dawn.timestamp()), 60)]


def _series() -> dict[str, list[Sample]]:
    series: dict[str, list[Sample]] = {}
    for name in QUARTER.nights():
        labels = f'{{night="{name}",quarter="2026Q1"}}'
        moments = _dark(name)
        bad: set[float] = set()
        if name == CLOSED:
            bad = set(moments[100:150])
        elif name == DOWN:
            bad = set(moments[60:90]) | set(moments[300:317])
        elif name == UNKNOWN_DATA:
            bad = set(moments[10:15])
        if name == GAP:
            moments = moments[:200] + moments[320:]
        if name == UNSEEN:
            continue
        series[f"zads:night_minute:bad{labels}"] = [(when, float(when in bad)) for when in moments]
        if name != UNKNOWN_DATA:
            data = [(when, float(name != CLOSED and index > 30)) for index, when in enumerate(moments)]
            series[f"zads:night_data:bool{labels}"] = data
    down = _dark(DOWN)

    def fires(name: str, severity: str, times: list[float], **labels: str) -> None:
        extra = "".join(f',{key}="{value}"' for key, value in labels.items())
        series[f'ALERTS{{alertname="{name}",alertstate="firing",severity="{severity}"{extra}}}'] = [(t, 1) for t in times]

    fires("ServiceDown", "page", down[61:90], headline="KAFKA DOWN", service="kafka-public", part="public")
    fires("AlertsNotArriving", "page", down[301:317], headline="ALERTS NOT ARRIVING", service="mirrormaker", program="1")
    fires("Watchdog", "info", down, headline="WATCHDOG")
    fires("BudgetBurning", "ticket", down[70:200], headline="BUDGET BURNS", service="kafka-public")
    return series


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("slo")
    with backfilled(folder, _series()) as address:
        file = folder / "zads.toml"
        file.write_text(f'[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n[prometheus]\naddress = "{address}"\n')
        yield file


@pytest.fixture
def config(toml: Path) -> Config:
    return load(toml)


def _read(config: Config, now: datetime, quarter: Quarter = QUARTER) -> Report:
    return read(config, Prometheus(config), quarter, now)


def _run(toml: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    slo_cli.register(parser.add_subparsers())
    args = parser.parse_args(["--config", str(toml), "slo", *words])
    return int(args.func(args))


def test_a_quarters_minutes_add_up(config: Config) -> None:
    """Each minute is good, bad, unknown or without data; the budget is 1 % of all dark minutes by the Sun."""
    report = _read(config, datetime(2026, 6, 1, tzinfo=UTC))
    nights = {night.name: night for night in report.nights}
    assert len(nights) == 90
    assert report.budget == pytest.approx(quarter_dark_seconds(QUARTER, config.site) / 6000)
    assert (nights[CLOSED].good, nights[CLOSED].bad) == (0, 0)
    assert nights[CLOSED].without_data == pytest.approx(nights[CLOSED].dark, abs=2)
    assert nights[DOWN].bad == 47
    assert nights[DOWN].good == pytest.approx(nights[DOWN].dark - 47, abs=2)
    assert nights[GAP].unknown == pytest.approx(120, abs=2)
    assert (nights[UNSEEN].unknown, nights[UNSEEN].good) == (nights[UNSEEN].dark, 0)
    assert nights[UNKNOWN_DATA].bad == 5
    assert report.total("bad") == 52
    assert report.left == pytest.approx(report.budget - 52)
    assert report.total("unknown") == nights[GAP].unknown + nights[UNSEEN].unknown
    counted = sum(report.total(kind) for kind in ("good", "bad", "unknown", "without_data"))
    assert counted == pytest.approx(report.dark, abs=2 * 90)


def test_each_incident_has_its_alert(config: Config) -> None:
    """By the alerts that fired in the bad minutes; neither the watchdog nor the budget's own alert is a cause."""
    found = _read(config, datetime(2026, 6, 1, tzinfo=UTC)).incidents
    assert [(one.night, one.minutes, one.cause) for one in found] == [
        (DOWN, 30, "KAFKA DOWN (ServiceDown kafka-public)"),
        (DOWN, 17, "ALERTS NOT ARRIVING (AlertsNotArriving mirrormaker)"),
        (UNKNOWN_DATA, 5, "no alert fired"),
    ]
    first = datetime.fromtimestamp(_dark(DOWN)[60], UTC)
    assert (found[0].start, found[0].end - found[0].start) == (first, timedelta(minutes=30))
    assert "ALERTS NOT ARRIVING (AlertsNotArriving mirrormaker)" not in found[0].alerts


def test_a_quarter_that_goes_on_is_counted_up_to_now(config: Config) -> None:
    """In the middle of a night: its dark minutes so far, none of the nights to come, all of the quarter's budget."""
    now = datetime.fromtimestamp(_dark(DOWN)[120], UTC) + 10 * SECOND
    report = _read(config, now)
    assert report.nights[-1].name == DOWN
    assert report.nights[-1].dark == pytest.approx(121, abs=1)
    assert (report.nights[-1].bad, report.nights[-1].good) == (30, 91)
    assert report.total("bad") == 30
    assert report.budget == pytest.approx(quarter_dark_seconds(QUARTER, config.site) / 6000)


def test_a_fresh_quarter_has_all_of_its_budget(config: Config) -> None:
    """Before its first dusk nothing is on record, and nothing has to be."""
    start, _ = QUARTER.bounds(config.site.longitude)
    report = _read(config, start + timedelta(hours=1))
    assert report.left == report.budget and report.total("unknown") == 0


def test_it_is_printed_for_people(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(toml, "--quarter", "2026Q1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026Q1: 9.1 of 10.0 h are left (99 % of 59,873 night minutes have to be good)"
    assert " 52 bad, " in lines[1]
    assert lines[2].startswith("had all that nobody saw been bad, ")
    nights = [line.split()[0] for line in lines if line[:4] == "2026" and line[4:6].isdigit()]
    assert nights == [DOWN, GAP, UNSEEN, UNKNOWN_DATA]
    assert any(line.endswith("30  KAFKA DOWN (ServiceDown kafka-public)") for line in lines)
    assert "    30 min  KAFKA DOWN (ServiceDown kafka-public)" in lines


def test_it_is_printed_for_programs(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(toml, "--quarter", "2026Q1", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["quarter"], said["bad_minutes"], said["kept"]) == ("2026Q1", 52, True)
    assert said["left_minutes"] == pytest.approx(said["budget_minutes"] - 52, abs=0.01)
    assert len(said["nights"]) == 90
    assert [one["bad_minutes"] for one in said["incidents"]] == [30, 17, 5]


def test_a_budget_that_is_spent_is_said_and_told_by_the_exit_code(
    toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = tmp_path / "zads.toml"
    strict.write_text(toml.read_text() + "[slo]\nobjective = 0.9995\n")
    assert _run(strict, "--quarter", "2026Q1") == 1
    assert capsys.readouterr().out.startswith("2026Q1: SPENT, ")
    assert _run(strict, "--quarter", "2026Q1", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["left_minutes"], said["kept"]) == (0, False)


def test_what_is_not_on_record_is_not_called_good(config: Config) -> None:
    """A quarter that Prometheus does not hold any more: a sentence, no figures."""
    with pytest.raises(PrometheusError, match=r"holds no night minute of 2025Q3\. It keeps samples for 400d"):
        _read(config, datetime(2026, 6, 1, tzinfo=UTC), Quarter(2025, 3))


def test_a_quarter_to_come_is_refused(config: Config) -> None:
    with pytest.raises(ValueError, match="2026Q2 has not begun: its first night begins at 2026-03-31 19:47 UTC"):
        _read(config, datetime(2026, 3, 1, tzinfo=UTC), Quarter(2026, 2))


def test_a_dead_prometheus_is_said_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "zads.toml"
    file.write_text('[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n[prometheus]\naddress = "127.0.0.1:1"\n')
    assert _run(file) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("zads slo: Prometheus at 127.0.0.1:1 does not answer. Does it run?")


def test_a_wrong_quarter_is_a_usage_error(toml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        _run(toml, "--quarter", "next")
    assert caught.value.code == 2
    assert "'next' is no quarter; write for example 2026Q4" in capsys.readouterr().err


def test_what_prometheus_refuses_is_repeated(config: Config) -> None:
    with pytest.raises(PrometheusError, match=r"refuses the expression: .*parse error"):
        Prometheus(config).at("sum(")


def test_scalars_and_nothing_are_answers_too(config: Config) -> None:
    assert Prometheus(config).at("1 + 1")[0].value == 2
    assert Prometheus(config).at("nothing_of_that_name") == []
    assert parse_quarter("2026Q1") == QUARTER
