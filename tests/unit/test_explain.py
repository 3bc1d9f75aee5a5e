"""`zads explain`: an alert's section, its rules with this site's numbers, what silences it; from an installed wheel too."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zads import explain_cli
from zads.config import load
from zads.explain import explain, find
from zads.runbook import Rule, read_rules

ROOT = Path(__file__).resolve().parents[2]
RULES = read_rules(ROOT / "alertrules")
ALERTS = sorted({rule.name for rule in RULES if rule.alert})


def _run(*words: str, config: Path = ROOT / "zads.toml") -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    explain_cli.register(parser.add_subparsers())
    args = parser.parse_args(["--config", str(config), "explain", *words])
    return int(args.func(args))


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_explained(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name, its severity, its expression whole, and the runbook's parts."""
    assert _run(name) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{name}   severity: ")
    for rule in RULES:
        if rule.alert and rule.name == name:
            assert rule.expression.replace("\n", "\n  ") in out
            assert rule.annotations["runbook_url"] in out
    for part in ("Means:", "Affected:", "Check:", "Fix:", "Call:"):
        assert part in out


def test_the_numbers_are_this_sites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What zads.toml says, also where a recorded series reads it; a duration as people write it."""
    file = tmp_path / "zads.toml"
    file.write_text(
        '[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n[thresholds]\nmirror_lag = "77s"\ncommunity_lag = "42m"\n'
    )
    assert _run("MirrorLagging", config=file) == 0
    assert "zads:threshold_mirror_lag = 1m17s   age of the oldest alert that was not passed on" in capsys.readouterr().out
    assert _run("CommunityLagging", config=file) == 0
    assert "zads:threshold_community_lag = 42m" in capsys.readouterr().out  # by way of zads:community_late:bool
    assert _run("ServiceFlapping", config=file) == 0
    assert "zads:threshold_restarts_per_hour = 3 " in capsys.readouterr().out


def test_what_silences_it_and_what_it_silences() -> None:
    """By the rules of inhibition that Alertmanager gets, in both directions, with what has to be the same."""
    config = load(ROOT / "zads.toml")
    service = explain("ServiceDown", RULES, config)
    assert "HostDown (the same host)" in service.silenced_by
    assert "CommunityLagging" in service.silences
    assert "ServiceNotAnswering (the same service)" in service.silences
    single = explain("CommunityLagging", RULES, config)
    assert "CommunitiesBehind" in single.silenced_by
    assert 'ServiceDown (part="public")' in single.silenced_by
    assert explain("BudgetBurning", RULES, config).silenced_by == ()
    silent = explain("UpstreamSilent", RULES, config)
    assert not any(one.startswith("AlertsNotArriving") for one in silent.silences)


def test_a_name_is_found_however_it_is_written() -> None:
    assert find("kafkapartitionsOFFLINE", RULES) == "KafkaPartitionsOffline"


@pytest.mark.parametrize(
    ("name", "near"),
    [("ServicDown", "ServiceDown"), ("lagging", "MirrorLagging"), ("AlertsNotArrving", "AlertsNotArriving")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(name) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"zads explain: no alert is called {name!r}. Did you mean ") and near in said.err


def test_nothing_like_it_points_to_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("qqqq") == 1
    assert "`zads explain` lists all of them" in capsys.readouterr().err


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run() == 0
    first = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()]
    assert first[0] == "alert" and set(first[1:]) == set(ALERTS)


def test_a_broken_config_does_not_hide_the_runbook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is needed most when something is broken: the section is printed, and what is not known is said."""
    file = tmp_path / "zads.toml"
    file.write_text("[nonsense\n")
    assert _run("ServiceDown", config=file) == 0
    said = capsys.readouterr()
    assert "Means:" in said.out and "This site's numbers" not in said.out
    assert "thresholds and silences are not known" in said.err


def test_a_rule_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.rules.yml").write_text("groups: [1]\n")
    with pytest.raises(ValueError, match=r"bad\.rules\.yml holds no rules of Prometheus"):
        read_rules(tmp_path)


def test_a_name_inside_another_is_not_mentioned() -> None:
    rule = Rule("f", "n", "zads:threshold_mirror_lag_other > 1", True)
    assert not rule.mentions("zads:threshold_mirror_lag")


def test_an_installed_wheel_has_the_runbook_and_the_rules(tmp_path: Path) -> None:
    """Unpacked somewhere else, without the checkout: the section, the expression, and the list."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    for words in (["explain", "MirrorLagging"], ["explain"]):
        done = subprocess.run(
            [sys.executable, "-m", "zads.cli", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        assert "MirrorLagging" in done.stdout and "the mirror is behind" in done.stdout
