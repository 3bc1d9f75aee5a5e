"""No rule lacks a test: it fires, not early, has a negative twin, survives absent data and lost sight, resolves."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.promql import leaves, parse
from zads import render
from zads.config import load, parse_duration

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "alertrules").glob("*.rules.yml"))
TESTS = sorted((ROOT / "alertrules" / "tests").glob("*_test.yml"))
GROUPS = [(file, group) for file in FILES for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
RULES = [rule for _, group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: [r for r in RULES if r.get("alert") == rule["alert"]] for rule in RULES if "alert" in rule}
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
# Whose firing is read by a rule.
READ = {
    name
    for rule in RULES
    for found in re.findall(r'ALERTS\{alertname=~?"([\w|]+)"', rule["expr"])
    for name in found.split("|")
}
# Fires always, by design: it is never silent, and its absence is what tells.
ALWAYS = {"Watchdog"}
# About communities or the stream: lost sight may not end them. What is only noted may go.
KEPT = sorted(
    {
        rule["alert"]
        for _, group in GROUPS
        if group["name"] in {"communities", "alert_stream"}
        for rule in group["rules"]
        if "alert" in rule and rule["labels"].get("severity") != "info"
    }
)


@dataclass(frozen=True)
class Block:
    """One test of one file, as far as it is about one alert: when it is silent, when it fires, by what data."""

    file: Path
    test: dict[str, Any]
    silent: tuple[float, ...]
    fires: tuple[float, ...]

    def metrics(self) -> set[str]:
        """Return the names of the series that it gives."""
        return {re.split(r"[{ ]", one["series"])[0] for one in self.test["input_series"]}


@cache
def _tests(file: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
    return content


def _blocks(alert: str) -> Iterator[Block]:
    for file in TESTS:
        for test in _tests(file):
            cases = [case for case in test.get("alert_rule_test", ()) if case["alertname"] == alert]
            at = [(parse_duration(str(case["eval_time"])), bool(case["exp_alerts"])) for case in cases]
            if at:
                yield Block(file, test, tuple(t for t, fires in at if not fires), tuple(t for t, fires in at if fires))


def _names(expression: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Return the metrics that an expression reads, through what is recorded; not what zads.toml says."""
    found: set[str] = set()
    for leaf in leaves(parse(expression)):
        name = re.split(r"[\[{ ]", leaf)[0]
        if name in RECORDED and name not in seen:
            found |= {name} | _names(RECORDED[name], seen | {name})
        elif re.fullmatch(r"(zads|kafka|node|apt|prometheus|alertmanager)_\w+|up", name):
            found.add(name)
    return found


@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires_with_all_its_texts(alert: str) -> None:
    """Each firing case names every annotation of the rule: promtool compares them to the letter."""
    fired = [
        a for b in _blocks(alert) for c in b.test["alert_rule_test"] if c["alertname"] == alert for a in c["exp_alerts"]
    ]
    assert fired
    texts = [set(rule["annotations"]) for rule in ALERTS[alert]]
    assert all(set(one["exp_annotations"]) in texts for one in fired)
    severities = {rule["labels"].get("severity") for rule in ALERTS[alert]}
    assert None in severities or severities == {one["exp_labels"]["severity"] for one in fired}


@pytest.mark.parametrize("alert", [name for name in ALERTS if name not in ALWAYS])
def test_it_is_silent_before_and_after(alert: str) -> None:
    """Within one test: silent, firing, silent again."""
    assert any(b.fires and b.silent and min(b.silent) < min(b.fires) for b in _blocks(alert)), "none says: not early"
    assert any(b.fires and b.silent and max(b.silent) > min(b.fires) for b in _blocks(alert)), "none says: over"


@pytest.mark.parametrize("alert", [name for name in ALERTS if name not in ALWAYS])
def test_it_has_a_negative_twin(alert: str) -> None:
    """A test with the data that it reads and without the trouble: it never fires there."""
    read = set().union(*(_names(rule["expr"]) for rule in ALERTS[alert]))
    assert any(not block.fires and (block.metrics() & read or not read) for block in _blocks(alert)), read


def _run(folder: Path, name: str, content: dict[str, Any]) -> str:
    file = folder / f"{name}.yml"
    file.write_text(yaml.safe_dump(content, sort_keys=False, width=100_000), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_without_any_data_nothing_fires(tmp_path: Path) -> None:
    """What zads.toml says is there, and no exporter, no target: what is not seen is no trouble; the watchdog runs."""
    thresholds = tmp_path / "thresholds.rules.yml"
    thresholds.write_text(render.thresholds(load(ROOT / "zads.toml")), encoding="utf-8")
    expected = [{"labels": '{alertname="Watchdog"}', "value": 1}]
    content = {
        "rule_files": [str(file) for file in [*FILES, thresholds]],
        "evaluation_interval": "30s",
        "tests": [
            {
                "interval": "30s",
                "input_series": [],
                "promql_expr_test": [
                    {"expr": "count by (alertname) (ALERTS)", "eval_time": at, "exp_samples": expected}
                    for at in ("1m", "40m", "2h")
                ],
            }
        ],
    }
    assert not _run(tmp_path, "absent", content)


def _whole(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["rule_files"] = [str((file.parent / one).resolve()) for one in content["rule_files"]]
    return content


def _stripped(folder: Path, file: Path, alerts: set[str], *, hasty: bool = False) -> str:
    """Write a rule file with what it records and these alerts, and those that rules read; `hasty`: without any `for`."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for group in content["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert") in {None, *alerts, *READ}]
        for rule in group["rules"] if hasty else ():
            rule.pop("for", None)
    (folder / file.name).write_text(yaml.safe_dump(content, sort_keys=False, width=100_000), encoding="utf-8")
    return str(folder / file.name)


def _with_rules(folder: Path, file: Path, alerts: set[str], *, hasty: bool = False) -> dict[str, Any]:
    """Return a test file whose rules are stripped to what is asked."""
    folder.mkdir()
    content = _whole(file)
    content["rule_files"] = [_stripped(folder, Path(one), alerts, hasty=hasty) for one in content["rule_files"]]
    return content


def _before_it_fires(alert: str) -> list[tuple[float, Block]]:
    """Return for each test the last time at which the alert is silent before it fires; what takes least is first."""
    found = []
    for block in _blocks(alert):
        times = [max(early) for fires in block.fires if (early := [at for at in block.silent if at < fires])]
        found += [(at, block) for at in times]
    return sorted(found, key=lambda one: one[0] / parse_duration(str(_whole(one[1].file)["evaluation_interval"])))


def _too_early(folder: Path, asked: dict[str, tuple[float, Block]]) -> set[str]:
    """Return which of the alerts fire at the time at which they have to be silent, once nothing waits."""
    files: dict[Path, dict[str, tuple[float, Block]]] = {}
    for alert, (at, block) in asked.items():
        files.setdefault(block.file, {})[alert] = (at, block)

    def run(file: Path) -> str:
        content, tests = _with_rules(folder / file.stem, file, set(files[file]), hasty=True), {}
        for alert, (at, block) in files[file].items():
            bare = {key: value for key, value in block.test.items() if key not in {"alert_rule_test", "promql_expr_test"}}
            test = tests.setdefault(id(block.test), {**bare, "alert_rule_test": []})
            test["alert_rule_test"].append({"eval_time": f"{at:.0f}s", "alertname": alert, "exp_alerts": []})
        content["tests"] = list(tests.values())
        return _run(folder, file.stem, content)

    folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        said = "".join(pool.map(run, files))
    return set(re.findall(r"alertname: (\w+), time: \S+, \n\s+exp:\[\]", said))


def test_each_wait_is_tested(tmp_path: Path) -> None:
    """With every `for` taken away, each alert that had one fires too early in a test.

    Asked in the test that takes least; where the alert does not fire early in that one, in the next.
    """
    waits = {name: _before_it_fires(name) for name, rules in ALERTS.items() if any("for" in rule for rule in rules)}
    turn = 0
    while left := {name: tests[turn] for name, tests in waits.items() if len(tests) > turn}:
        early = _too_early(tmp_path / f"turn{turn}", left)
        waits, turn = {name: tests for name, tests in waits.items() if name not in early}, turn + 1
    assert not waits, set(waits)


_ITEM = re.compile(r"(?P<value>_|stale|[-+]?(?:[\d.]+(?:e[-+]?\d+)?|NaN))(?P<step>[-+][\d.]+(?:e\d+)?)?(?:x(?P<times>\d+))?")


def cut(values: str, samples: int) -> str:
    """Return promtool's notation of a series, ended after so many samples."""
    kept = []
    for item in values.split():
        found = _ITEM.fullmatch(item)
        assert found, item
        # `1x4` are five samples, `_x4` four gaps.
        more = 0 if found["value"] == "_" else 1
        count = int(found["times"]) + more if found["times"] else 1
        if count > samples:
            if samples > 0 and found["value"] != "stale":
                kept.append(item[: found.start("times")] + str(samples - more) if found["times"] else item)
            break
        kept.append(item)
        samples -= count
    return " ".join([*kept, "stale"])


def test_series_are_cut_as_promtool_counts() -> None:
    assert cut("1x4 2x10", 7) == "1x4 2x1 stale"
    assert cut("_x3 0+5x9 stale _x3 1x9", 5) == "_x3 0+5x1 stale"
    assert cut("1 2 3", 2) == "1 2 stale"
    assert cut("1x4 stale _x10 1x4", 100) == "1x4 stale _x10 1x4 stale"


def test_lost_sight_ends_no_alert_about_communities_or_the_stream(tmp_path: Path) -> None:
    """Each test in which one of them fires, with every exporter lost at that moment: it fires ten minutes later too."""
    blind: list[tuple[str, Path, dict[str, Any]]] = []
    for alert in KEPT:
        for number, block in enumerate(b for b in _blocks(alert) if b.fires):
            content = _with_rules(tmp_path / f"{alert}-{number}", block.file, {alert})
            test = copy.deepcopy(block.test)
            begin = min(block.fires)
            samples = int(begin / parse_duration(str(test.get("interval", "1m")))) + 1
            for one in test["input_series"]:
                if not one["series"].startswith("zads:"):
                    one["values"] = cut(one["values"], samples)
                else:
                    one["values"] = f"{one['values'].split('x')[0]}x5000"  # what zads.toml says lasts
            expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0'
            test.pop("alert_rule_test")
            asked = {"expr": expression, "eval_time": f"{begin + 600:.0f}s", "exp_samples": [{"labels": "{}", "value": 1}]}
            test["promql_expr_test"] = [asked]
            content["tests"] = [test]
            blind.append((f"{alert}-{number}", block.file, content))
    assert {name.split("-")[0] for name, _, _ in blind} == set(KEPT)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda one: _run(tmp_path, one[0], one[2]), blind))
    assert not [f"{name} ({file.name})" for (name, file, _), words in zip(blind, said, strict=True) if words]


@pytest.mark.parametrize("alert", KEPT)
def test_its_message_says_when_it_was_last_seen(alert: str) -> None:
    """What is held without sight says so, with the time; an increase over a fixed time does not hold."""
    for rule in ALERTS[alert]:
        if "last_over_time" in rule["expr"]:
            texts = " ".join(rule["annotations"].values()).lower()
            assert "last seen" in texts
            assert 'format "15:04"' in texts
