"""What a message tells to type: this site's units, or the local stack's own commands; and who a service's end wakes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zads import render
from zads.commands import commands
from zads.config import Config, load, parse
from zads.runbook import read_rules

ROOT = Path(__file__).resolve().parents[2]
SITE = """
[kafka.upstream]
bootstrap = ["ipac.example.org:9092"]
[kafka.public]
bootstrap = ["10.0.0.5:9092"]
[prometheus]
node_exporter = "10.0.0.5:9100"
[[host]]
name = "k1"
address = "10.0.0.5"
probe = "10.0.0.5:22"
[[host]]
name = "ipac1"
address = "ipac.example.org"
probe = "ipac.example.org:22"
"""


def _service(name: str, role: str, probe: str, more: str = "", host: str = "k1") -> str:
    return f'[[service]]\nname = "{name}"\nhost = "{host}"\nrole = "{role}"\nprobe = "{probe}"\n{more}\n'


KAFKA = _service("broker", "kafka", "kafka://10.0.0.5:9092", 'unit = "kafka.service"')
ALL = (
    KAFKA
    + _service("copy", "mirror", "http://10.0.0.5:7072/metrics")
    + _service("theirs", "kafka", "kafka://ipac.example.org:9092", host="ipac1")
    + _service("zoo", "zookeeper", "zookeeper://10.0.0.5:2181")
    + _service("archive", "http", "http://10.0.0.5:80/")
)


def _severities(config: Config) -> dict[str, str]:
    rules = yaml.safe_load(render.thresholds(config))["groups"][0]["rules"]
    return {r["labels"]["service"]: r["labels"]["severity"] for r in rules if r["record"] == "zads:service_info"}


def test_only_our_kafka_and_the_mirror_wake_somebody() -> None:
    """Where zads.toml says nothing: IPAC's Kafka is not ours to start, and what else runs there can wait for the day."""
    assert _severities(parse(SITE + ALL)) == {
        "broker": "page",
        "copy": "page",
        "theirs": "ticket",
        "zoo": "ticket",
        "archive": "ticket",
    }


@pytest.mark.parametrize("severity", ["page", "ticket", "info"])
def test_what_zads_toml_says_goes_before(severity: str) -> None:
    said = f'severity = "{severity}"'
    config = parse(
        SITE
        + _service("theirs", "kafka", "kafka://ipac.example.org:9092", said, "ipac1")
        + _service("broker", "kafka", "kafka://10.0.0.5:9092", said)
    )
    assert _severities(config) == {"theirs": severity, "broker": severity}


def test_the_example_says_no_severity_and_pages_for_what_is_ours() -> None:
    text = (ROOT / "zads.toml").read_text(encoding="utf-8")
    assert "severity" not in text
    assert _severities(load(ROOT / "zads.toml")) == {
        "kafka-public": "page",
        "mirrormaker": "page",
        "kafka-upstream": "ticket",
    }


def test_a_site_is_told_its_own_units() -> None:
    """The unit of zads.toml where it names one; Debian's of what is not ours; the machine, since it may be another."""
    known = commands(parse(SITE + ALL))
    assert known["broker"].status == "systemctl status kafka on k1"
    assert known["broker"].log == "journalctl -u kafka -n 100 on k1"
    assert known["broker"].clients == "ss -tn 'sport = :9092' on k1"
    assert known["copy"].restart == "systemctl restart copy on k1"
    assert known["kafka-lag"].restart == "systemctl restart zads-kafka-lag on monitor"
    assert known["node"].restart == "systemctl restart prometheus-node-exporter on k1"
    assert known["alertmanager"].status == "systemctl status prometheus-alertmanager on monitor"
    assert known["monitoring"].status == "systemctl status 'zads-*' prometheus prometheus-alertmanager on monitor"
    assert not [one for each in known.values() for one in each.labels().values() if "zads s" in one]


def test_exporters_in_one_process_are_one_unit() -> None:
    known = commands(parse(SITE + "[exporters]\none_process = true\n"))
    assert known["kafka-lag"].restart == known["services"].restart == "systemctl restart zads-all on monitor"
    assert known["notifier"].restart == "systemctl restart zads-notifier on monitor"


def test_the_stack_is_told_the_stacks_commands() -> None:
    """No systemd there; each command names a component that the stack has, and is one that `zads` takes."""
    known = commands(load(ROOT / "zads.toml"))
    said = [command for one in known.values() for command in one.labels().values()]
    assert not [command for command in said if "systemctl" in command or "journalctl" in command]
    tried = set()
    for command in said:
        for single in re.split(r", else ", command):
            words = single.split()
            if words[0] == "zads":
                tried.add(tuple(words[1:3]))
    assert tried == {("stack", "logs"), ("stack", "status"), ("sim", "heal"), ("sim", "restart"), ("sim", "stop")}
    for words in tried:
        done = subprocess.run([sys.executable, "-m", "zads.cli", *words, "--help"], capture_output=True, check=False)
        assert done.returncode == 0, words


def test_no_rule_knows_a_unit_or_the_stack() -> None:
    """A message's systemctl is the default of what `zads:commands` says, nothing that stands for itself."""
    for rule in read_rules(ROOT / "alertrules"):
        text = rule.annotations.get("first", "")
        assert "zads stack" not in text and "zads sim" not in text, rule.name
        own = re.sub(
            r"\{\{ with [^}]*(\{of[^}]*\}[^}]*)?\}\}\{\{ \. \| first \| label .*?\{\{ else \}\}.*?\{\{ end \}\}", "", text
        )
        assert not re.search(r"(systemctl|journalctl)[^;,]*(\$labels\.(service|job)|zads-|kafka|mirror)", own) or (
            "service" in rule.labels  # the last resort, without anything from zads.toml
        ), f"{rule.name}: {own}"
