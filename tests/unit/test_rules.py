"""Every rule is whole, tested by promtool, and watches a metric that somebody exports."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from zads import render
from zads.config import load, parse_duration
from zads.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "alertrules").glob("*.rules.yml"))
TESTS = sorted((ROOT / "alertrules" / "tests").glob("*_test.yml"))
RULES: list[tuple[str, dict[str, Any]]] = [
    (file.name, rule)
    for file in FILES
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = [(file, rule) for file, rule in RULES if "alert" in rule]
NAMES = sorted({rule["alert"] for _, rule in ALERTS})
# What other programs export and rules read, by who does.
FOREIGN = {
    "node_boot_time_seconds": "node_exporter",
    "node_cpu_seconds_total": "node_exporter",
    "node_filesystem_avail_bytes": "node_exporter",
    "node_filesystem_files": "node_exporter",
    "node_filesystem_files_free": "node_exporter",
    "node_filesystem_readonly": "node_exporter",
    "node_filesystem_size_bytes": "node_exporter",
    "node_memory_MemAvailable_bytes": "node_exporter",
    "node_memory_MemTotal_bytes": "node_exporter",
    "node_network_receive_errs_total": "node_exporter",
    "node_network_receive_packets_total": "node_exporter",
    "node_network_transmit_errs_total": "node_exporter",
    "node_network_transmit_packets_total": "node_exporter",
    "node_scrape_collector_success": "node_exporter",
    "node_systemd_unit_state": "node_exporter",
    "node_time_seconds": "node_exporter",
    "node_timex_offset_seconds": "node_exporter",
    "node_timex_sync_status": "node_exporter",
    "apt_upgrades_pending": "textfile: prometheus-node-exporter-collectors",
    "node_reboot_required": "textfile: prometheus-node-exporter-collectors",
    "zads_backup_last_success_timestamp_seconds": "textfile: each backup's last step",
    "prometheus_rule_evaluation_failures_total": "Prometheus",
    "alertmanager_notifications_failed_total": "Alertmanager",
    "kafka_connect_task_status": "JMX agent, by zads/stack/kafka_files.py",
    "kafka_controller_kafkacontroller_offlinepartitionscount": "JMX agent, by zads/stack/kafka_files.py",
}
# Labels that Prometheus adds to what it scrapes, and those that the rules' own series carry.
TARGET_LABELS = {"job", "host", "instance", "service"}
# By a dashboard's uid the titles of its panels; a row is none.
PANELS = {
    board["uid"]: {
        panel["title"]
        for row in board["panels"]
        for panel in (row, *row.get("panels", ()))
        if panel["type"] != "row" and panel["title"]
    }
    for board in (json.loads(file.read_text(encoding="utf-8")) for file in (ROOT / "dashboards" / "json").glob("*.json"))
}
# Who may wake somebody: DESIGN.md, section 7, and nothing else. A service's severity comes from zads.toml.
PAGES = {
    "AlertsArrivingSlowly",
    "AlertsNotArriving",
    "CommunitiesBehind",
    "CommunityWillLoseAlerts",
    "DiskWillFill",
    "HostDown",
    "MonitoringBlind",
    "NotifierDown",
    "RestrictedDataExposed",
    "ServiceDown",
}
# About everything, so about no one service, community or host.
ABOUT_ALL = {"CommunitiesBehind", "MonitoringBlind", "Watchdog"}


def test_communities_and_hosts_lead_to_their_own_dashboard() -> None:
    """A message about one community opens that one's, one about a machine or a service Kafka's node."""
    for _, rule in ALERTS:
        board = rule["annotations"]["dashboard"]
        if "label" in rule["expr"] and "community_info" in rule["expr"]:
            assert board == "zads-community", rule["alert"]
        assert board != "zads-kafka" or "community_info" not in rule["expr"]


def _templates(rule: dict[str, Any]) -> Iterator[str]:
    """Yield the queries inside a rule's texts, with a name put in where the text prints one."""
    for text in (*rule.get("annotations", {}).values(), *rule.get("labels", {}).values()):
        for found in re.findall(r'(?:printf|query) "((?:[^"\\]|\\.)*)"', text):
            if "%." not in found:
                yield found.replace("%s", "x")


@pytest.fixture(scope="module")
def thresholds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rendered") / "thresholds.rules.yml"
    file.write_text(render.thresholds(load(ROOT / "zads.toml")), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def outcomes() -> dict[Path, subprocess.CompletedProcess[str]]:
    """All of promtool's tests, two at a time."""

    def run(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(TESTS, pool.map(run, TESTS), strict=True))


def test_promtool_finds_nothing_to_say(thresholds: Path) -> None:
    """All files together, so that a rule that stands in two of them is found; a warning is an error."""
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES), str(thresholds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", TESTS, ids=lambda f: f.name)
def test_rules_do_as_their_tests_say(file: Path, outcomes: dict[Path, subprocess.CompletedProcess[str]]) -> None:
    done = outcomes[file]
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "rule"), ALERTS, ids=lambda v: v["alert"] if isinstance(v, dict) else v)
def test_every_alert_is_whole(file: str, rule: dict[str, Any]) -> None:
    """Severity, headline, summary, impact, what to do first, runbook with its heading, dashboard and panel."""
    notes = rule["annotations"]
    assert set(notes) >= {"summary", "impact", "first", "runbook_url", "dashboard", "panel"}
    assert "headline" in rule["labels"]
    joined = "zads:service_info" in rule["expr"] and "severity" in rule["expr"]
    assert rule["labels"].get("severity") in {"page", "ticket", "info"} or joined
    anchor = notes["runbook_url"].removeprefix("docs/runbook.md#")
    assert anchor == rule["alert"].lower()
    headings = re.findall(r"^## (\w+)", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}, f"{file}: no heading {anchor} in the runbook"
    assert notes["panel"] in PANELS[notes["dashboard"]], f"{notes['dashboard']} has no panel {notes['panel']!r}"
    # The notifier subtracts it from Prometheus' own time to say since when.
    waits = parse_duration(rule.get("for", "0s"))
    assert notes.get("pending", "0") == f"{waits:.0f}"


# Told by the notifier itself, by no rule.
OF_THE_NOTIFIER = {"RecordRenewed"}


def test_the_runbook_has_no_heading_without_an_alert() -> None:
    headings = re.findall(r"^## (\w+)", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(set(headings) - OF_THE_NOTIFIER) == NAMES
    assert len(headings) == len(set(headings))


def test_nothing_else_pages() -> None:
    """A page wakes somebody: only the alerts of the design's list have that severity."""
    assert {rule["alert"] for _, rule in ALERTS if rule["labels"].get("severity") == "page"} == PAGES
    by_service = {rule["alert"] for _, rule in ALERTS if "severity" not in rule["labels"]}
    assert by_service == {"ServiceDown", "ServiceNotAnswering", "ServiceFlapping"}


def test_no_text_has_a_number_or_a_name_that_stands_in_zads_toml() -> None:
    """Retention, goals and services' names are read from their series; only the last resort has none to read."""
    for file, rule in ALERTS:
        last_resort = (
            "zads:service_info{part" in rule["expr"] and rule["alert"] == "ServiceDown" and "service" in rule["labels"]
        )
        text = yaml.safe_dump(rule)
        assert not re.search(r"\b7 days|\b20 min\b|\b7 d\b", text), (file, rule["alert"])
        if not last_resort:
            assert not re.search(r"kafka-public|kafka-upstream", text), (file, rule["alert"])


def test_rules_use_metrics_and_labels_that_are_exported(thresholds: Path) -> None:
    """Each name in an expression or in a text's query is in the catalogue, recorded, or of a listed foreign exporter."""
    recorded = set(re.findall(r"record: (\S+)", thresholds.read_text(encoding="utf-8")))
    recorded |= {rule["record"] for _, rule in RULES if "record" in rule}
    known = set(METRICS) | {f"{n}_bucket" for n, m in METRICS.items() if m.kind == "histogram"} | recorded | set(FOREIGN)
    for file, rule in RULES:
        where = f"{file}: {rule.get('alert') or rule.get('record')}"
        for expression in (rule["expr"], *_templates(rule)):
            for name, matchers in re.findall(
                r"\b((?:zads|kafka|node|apt|prometheus|alertmanager)[_:][A-Za-z0-9_:]+)(\{[^}]*\})?", expression
            ):
                assert name in known, f"{where}: {name}"
                metric = METRICS.get(name.removesuffix("_bucket"))
                if metric is None:
                    continue
                for label in re.findall(r"(\w+)\s*(?:=|!)", matchers):
                    assert label in {*metric.labels, *TARGET_LABELS, "le"}, f"{where}: {name} has no label {label}"


def test_what_hosts_report_by_files_stands_in_the_runbook() -> None:
    """Somebody has to set it up: the runbook's end says what and how."""
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").split("# What hosts report besides")[1]
    missing = {name for name, by in FOREIGN.items() if by.startswith("textfile") and f"`{name}" not in text}
    assert not missing


def test_every_recorded_series_is_used(thresholds: Path) -> None:
    """A threshold that no rule and no signal reads promises what nobody keeps."""
    from zads.signals import SIGNALS

    read = " ".join([*(rule["expr"] for _, rule in RULES), *(q for _, rule in RULES for q in _templates(rule))])
    read += " ".join(signal.expression for signal in SIGNALS.values())
    recorded = set(re.findall(r"record: (\S+)", thresholds.read_text(encoding="utf-8")))
    recorded |= {rule["record"] for _, rule in RULES if "record" in rule}
    unread = {name for name in recorded if not re.search(rf"(?<![\w:]){re.escape(name)}(?![\w:])", read)}
    assert not unread


def test_absence_and_constants_are_guarded() -> None:
    """`absent()` and `vector()` would fire for an exporter that is only out of sight; only the watchdog needs one."""
    for file, rule in RULES:
        if rule.get("alert") != "Watchdog":
            assert not re.search(r"\b(absent|absent_over_time|vector)\(", rule["expr"]), (file, rule)


def _tested() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    for file in TESTS:
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                yield case["alertname"], case["exp_alerts"]


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tested_to_fire_and_to_be_silent(name: str) -> None:
    """With its exact labels and texts; the watchdog is never silent."""
    cases = [expected for alert, expected in _tested() if alert == name]
    assert any(cases), f"{name} never fires in a test"
    assert name == "Watchdog" or any(not expected for expected in cases), f"no test says when {name} is silent"


@pytest.mark.parametrize("alert", [a for _, e in _tested() for a in e], ids=lambda a: a["exp_labels"]["headline"])
def test_a_message_reads_on_a_locked_phone(alert: dict[str, Any]) -> None:
    """What it is about stands in a label and at the summary's beginning, and nothing of a template is left over."""
    labels, notes = alert["exp_labels"], alert["exp_annotations"]
    for text in notes.values():
        assert not re.search(r"\{\{|<no value>|NaN|%!|  |\( |\(\)", text), text
    subject = labels.get("label") or labels.get("host") or labels.get("channel") or labels["headline"].split()[0]
    beginning = notes["summary"][:80].lower()
    assert subject.lower() in beginning or labels["headline"].split()[0].lower() in beginning, notes["summary"]
    assert len(notes["summary"]) <= 120
    assert notes["impact"].endswith("."), notes["impact"]


@pytest.mark.parametrize("alert", [a for _, e in _tested() for a in e], ids=lambda a: a["exp_labels"]["headline"])
def test_a_summary_has_a_number_with_its_unit(alert: dict[str, Any]) -> None:
    """How long, since when, how many of what; what is told to nobody may do without."""
    if alert["exp_labels"]["headline"] not in {"WATCHDOG", *NO_NUMBER}:
        summary = alert["exp_annotations"]["summary"]
        # Alerts that are missing are counted as such; how many wait at IPAC is not always known.
        known = r"^Alerts missing, \d+ of night|^Alerts not arriving: IPAC has new ones"
        assert re.search(
            known + r"|since \d\d:\d\d UTC|at \d\d:\d\d UTC|\d ?(s|m|min|h|d|%|MB/s|[a-z]{3,})\b|\d%", summary
        ), summary


# What it says has no measure: who follows no time server, a unit's state, a certificate that has ended.
NO_NUMBER = {
    "CLOCK SKEWED",
    "CONFIG REJECTED",
    "CERTIFICATE EXPIRES",
    "KAFKA RECOVERING",
    "MIRRORMAKER RECOVERING",
    "MIRROR TASK FAILED",
    "SCHEMA CHANGED",
}


def test_alerts_name_what_they_are_about() -> None:
    """A service, a community, a host or a channel: the notifier's subject, and what inhibition compares."""
    fired: dict[str, set[str]] = {}
    for name, expected in _tested():
        for alert in expected:
            fired.setdefault(name, set()).update(alert["exp_labels"])
    nameless = {name for name, labels in fired.items() if not labels & {"service", "community", "host", "channel"}}
    assert nameless == ABOUT_ALL


def test_a_dead_kafka_is_told_within_a_minute() -> None:
    """Collected, scraped, evaluated, waited for, grouped: the worst case of what the rules and files say."""
    config = load(ROOT / "zads.toml")
    routes = yaml.safe_load(render.alertmanager(config))["route"]
    waits = max(parse_duration(rule["for"]) for _, rule in ALERTS if rule["alert"] in {"ServiceDown", "ServiceNotAnswering"})
    seconds = config.exporters.interval + config.prometheus.scrape_interval + config.prometheus.evaluation_interval
    assert seconds + waits + parse_duration(routes["group_wait"]) <= 45


def test_rendered_files_are_accepted_by_their_programs(tmp_path: Path) -> None:
    """promtool and amtool check what zads.toml is rendered into."""
    config = load(ROOT / "zads.toml")
    render.write(render.render(config, ROOT / "alertrules"), tmp_path)
    for command in (
        ["promtool", "check", "config", "--syntax-only", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
