"""Every rule is whole, tested by promtool, and watches a metric that somebody exports."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from zads import render
from zads.config import load
from zads.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "alertrules").glob("*.rules.yml"))
TESTS = sorted((ROOT / "alertrules" / "tests").glob("*_test.yml"))
ALERTS = [
    (file.name, rule)
    for file in FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
FOREIGN = ("up", "node_", "prometheus_", "alertmanager_", "kafka_connect_", "kafka_controller_", "ALERTS")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_promtool_finds_nothing(file: Path) -> None:
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda f: f.name)
def test_rules_do_as_their_tests_say(file: Path) -> None:
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=lambda v: v["alert"] if isinstance(v, dict) else v)
def test_every_alert_is_whole(file: str, rule: dict) -> None:
    """Severity, headline, summary, impact, what to do first, runbook with its heading, dashboard."""
    assert set(rule["annotations"]) >= {"summary", "impact", "first", "runbook_url", "dashboard"}
    assert "headline" in rule["labels"]
    joined = "zads:service_info" in rule["expr"] and "severity" in rule["expr"]
    assert rule["labels"].get("severity") in {"page", "ticket", "info"} or joined
    anchor = rule["annotations"]["runbook_url"].removeprefix("docs/runbook.md#")
    headings = re.findall(r"^## (\w+)", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}, f"{file}: no heading {anchor} in the runbook"


def test_rules_use_metrics_of_the_catalogue() -> None:
    """Each name in an expression is exported by us, recorded by us, or by a listed foreign exporter."""
    config = load(ROOT / "zads.toml")
    recorded = set(re.findall(r"record: (\S+)", render.thresholds(config)))
    for file in FILES:
        recorded |= set(re.findall(r"record: (\S+)", file.read_text(encoding="utf-8")))
    known = set(METRICS) | {f"{n}_bucket" for n, m in METRICS.items() if m.kind == "histogram"}
    for file in FILES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                for name in re.findall(r"\b(?:zads|kafka|node|prometheus|alertmanager)[_:][a-z0-9_:]+", rule["expr"]):
                    if name.startswith(FOREIGN):
                        continue
                    assert name in known | recorded, f"{file.name}: {name} in {rule.get('alert') or rule.get('record')}"


def test_rendered_files_are_accepted_by_their_programs(tmp_path: Path) -> None:
    """promtool and amtool check what zads.toml is rendered into."""
    config = load(ROOT / "zads.toml")
    render.write(render.render(config, ROOT / "alertrules"), tmp_path)
    for command in (["promtool", "check", "config", "prometheus.yml"], ["amtool", "check-config", "alertmanager.yml"]):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        if command[0] == "amtool" or "credentials" not in done.stderr:
            assert done.returncode == 0, done.stdout + done.stderr
