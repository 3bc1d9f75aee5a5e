"""What the rules read from zads.toml: names by role and address, numbers as series, and who hears of a dead notifier."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from zads import render
from zads.config import Config, load, parse

ROOT = Path(__file__).resolve().parents[2]
SHORT = """
[kafka.public]
bootstrap = ["10.0.0.5:9092"]
[[host]]
name = "k1"
address = "10.0.0.5"
probe = "10.0.0.5:22"
"""
MAIL = '[notifier.email]\nsmarthost = "127.0.0.1:25"\nsender = "z@example.org"\nto = ["a@example.org"]\n'
SLACK = '[notifier.slack]\nchannel = "#a"\ntoken_file = "/etc/zads/slack"\n'
PAGER = '[notifier.pagerduty]\nrouting_key_file = "/etc/zads/pagerduty"\n'


def _series(config: Config, name: str) -> list[dict[str, Any]]:
    rules = yaml.safe_load(render.thresholds(config))["groups"][0]["rules"]
    return [{**rule.get("labels", {}), "value": rule["expr"]} for rule in rules if rule["record"] == name]


def _service(name: str, role: str, probe: str, host: str = "k1") -> str:
    return f'[[service]]\nname = "{name}"\nhost = "{host}"\nrole = "{role}"\nprobe = "{probe}"\n'


def test_a_site_without_services_has_a_name_for_its_kafka() -> None:
    """What `zads init` writes: Kafka's death finds a severity, a label and a host."""
    assert _series(parse(SHORT), "zads:service_info") == [
        {
            "service": "kafka-public",
            "host": "k1",
            "severity": "page",
            "label": "Kafka",
            "part": "public",
            "value": "vector(1)",
        }
    ]


def test_parts_of_the_stream_follow_from_role_and_address() -> None:
    """A site calls its services as it likes."""
    text = SHORT + '[kafka.upstream]\nbootstrap = ["ipac.example.org:9092"]\n'
    text += _service("broker", "kafka", "kafka://10.0.0.5:9092") + _service("copy", "mirror", "http://10.0.0.5:7072/metrics")
    text += _service("theirs", "tcp", "tcp://ipac.example.org:9092") + _service("archive", "http", "http://10.0.0.5:80/")
    config = parse(text)
    assert render.part_names(config) == {"upstream": "theirs", "mirror": "copy", "public": "broker"}
    parts = {row["service"]: row["part"] for row in _series(config, "zads:service_info")}
    assert parts == {"broker": "public", "copy": "mirror", "theirs": "upstream", "archive": "other"}
    assert {(row["part"], row["service"]) for row in _series(config, "zads:part_info")} == {
        ("upstream", "theirs"),
        ("mirror", "copy"),
        ("public", "broker"),
    }


def test_a_name_that_is_taken_does_not_stand_for_two_services() -> None:
    """Two series for one service would break every rule that joins them."""
    config = parse(SHORT + _service("kafka-public", "tcp", "tcp://10.0.0.5:2181"))
    names = [row["service"] for row in _series(config, "zads:service_info")]
    assert names == ["kafka-public", "kafka-public-cluster"]


def test_each_target_bears_the_name_of_its_own_host() -> None:
    """By address; an agent is where its service is; the monitor's own exporters are not the Kafka host's."""
    config = parse(
        SHORT.replace('"10.0.0.5:9092"]', '"10.0.0.5:9092"]\njmx = "kafka.example.org:7071"')
        + _service("broker", "kafka", "kafka://10.0.0.5:9092")
        + '[mirror]\njmx = "10.0.0.5:7072"\n[prometheus]\nnode_exporter = "10.0.0.5:9100"\n'
    )
    jobs = yaml.safe_load(render.prometheus(config, ROOT / "alertrules"))["scrape_configs"]
    hosts = {
        (job["job_name"], one["labels"].get("service")): one["labels"]["host"]
        for job in jobs
        for one in job["static_configs"]
    }
    assert hosts["node", None] == "k1"
    assert hosts["jmx", "broker"] == "k1"
    assert hosts["jmx", "mirrormaker"] == "k1"
    assert hosts["services", None] == hosts["prometheus", None] == "monitor"


def test_communities_are_written_as_they_write_themselves() -> None:
    config = parse(
        SHORT
        + "".join(
            f"[[community]]\nname = \"{name}\"\ngroups = ['{name}']\n"
            for name in ("lasair", "alerce", "ampel", "fink", "my-broker")
        )
    )
    labels = {row["community"]: row["label"] for row in _series(config, "zads:community_info")}
    assert labels == {"lasair": "Lasair", "alerce": "ALeRCE", "ampel": "AMPEL", "fink": "Fink", "my-broker": "My Broker"}


def test_retention_and_goal_are_series() -> None:
    config = parse(SHORT + '[stream]\nretention = "1d"\nlatency_objective = "10m"\n')
    assert _series(config, "zads:retention_seconds") == [{"value": "vector(86400)"}]
    assert _series(config, "zads:threshold_latency_objective") == [{"value": "vector(600)"}]


@pytest.mark.parametrize(
    ("channels", "page", "ticket", "said"),
    [
        (MAIL + SLACK + PAGER, {"email", "pagerduty"}, {"email"}, "pages to e-mail and PagerDuty, tickets to e-mail"),
        (MAIL, {"email"}, {"email"}, "pages to e-mail, tickets to e-mail"),
        (SLACK, {"slack"}, {"slack"}, "pages to Slack, tickets to Slack"),
        (SLACK + PAGER, {"pagerduty"}, {"slack"}, "pages to PagerDuty, tickets to Slack"),
        (PAGER, {"pagerduty"}, {"pagerduty"}, "pages to PagerDuty, tickets to PagerDuty"),
        ("", {"webhook"}, {"webhook"}, "they go to the notifier all the same"),
    ],
    ids=["all", "mail", "slack", "slack and pagerduty", "pagerduty", "none"],
)
def test_somebody_hears_of_a_dead_notifier(
    channels: str, page: set[str], ticket: set[str], said: str, tmp_path: Path
) -> None:
    """Around the notifier by what the site has; a ticket rings nobody while another channel is there; the file says how."""
    text = render.alertmanager(parse(SHORT + channels))
    receivers = {receiver["name"]: receiver for receiver in yaml.safe_load(text)["receivers"]}

    def kinds(name: str) -> set[str]:
        return {key.removesuffix("_configs") for key in receivers[name] if key != "name"}

    assert (kinds("direct-page"), kinds("direct-ticket")) == (page, ticket)
    assert said in text.split("\nroute:")[0]
    if ticket == {"pagerduty"}:
        assert receivers["direct-ticket"]["pagerduty_configs"][0]["severity"] == "warning"
    file = tmp_path / "alertmanager.yml"
    file.write_text(text)
    done = subprocess.run(["amtool", "check-config", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_inhibition_compares_is_there_on_both_sides() -> None:
    """Missing on both sides counts as equal: each label of `equal` stands in every alert that the rule names."""
    fired: dict[str, list[dict[str, str]]] = {}
    for file in (ROOT / "alertrules" / "tests").glob("*_test.yml"):
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                fired.setdefault(case["alertname"], []).extend(alert["exp_labels"] for alert in case["exp_alerts"])
    for rule in yaml.safe_load(render.alertmanager(load(ROOT / "zads.toml")))["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            names = next((m.split('"')[1].split("|") for m in rule[side] if m.startswith("alertname=")), [])
            assert set(names) <= fired.keys(), rule
            for label in rule.get("equal", ()):
                for name in names:
                    # The last resort knows no host: it speaks for a Kafka that zads.toml does not name.
                    rows = [row for row in fired[name] if row.get("part") != "public" or "host" in row]
                    assert all(label in row for row in rows), (rule, name, label)
