"""What silences what: all labels that are compared are there, the cause is first, and IPAC's silence hides nothing of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from zads import render
from zads.config import load, parse_duration
from zads.config_models import Thresholds
from zads.matchers import fit

ROOT = Path(__file__).resolve().parents[2]
RULES: list[dict[str, Any]] = [
    rule
    for file in sorted((ROOT / "alertrules").glob("*.rules.yml"))
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
]
INHIBITIONS: list[dict[str, Any]] = yaml.safe_load(render.alertmanager(load(ROOT / "zads.toml")))["inhibit_rules"]
DEFAULTS = Thresholds()
# What a rule waits for beside `for`, at a site that leaves the thresholds at their defaults: same trouble, same begin.
BEFORE = {
    "CommunityStalled": DEFAULTS.community_stalled,
    "CommunityLagging": DEFAULTS.community_lag,
    "CommunitiesBehind": DEFAULTS.community_lag,
    "MirrorLagging": DEFAULTS.mirror_lag,
    "AlertsArrivingSlowly": DEFAULTS.latency_mirror,
    "AlertsNotArriving": DEFAULTS.arrival_stalled,
    "CommunityBelowContract": DEFAULTS.below_contract + 600,
}
# The same trouble gets worse: the first was told and is silent from then on; told early is not told wrongly.
WORSE = {
    ("CommunityWillLoseAlerts", "CommunityLagging"),
    ("CommunityWillLoseAlerts", "CommunityStalled"),
    ("CommunityWillLoseAlerts", "CommunityBelowContract"),
    ("CommunitiesBehind", "CommunityStalled"),
    ("CommunitiesBehind", "CommunityBelowContract"),
    ("CommunityLagging", "CommunityBelowContract"),
    ("MonitoringBlind", "ExporterDown"),
}
# The outage that was, not one that comes: it silences what is left of it.
AFTERWARDS = {"ServiceJustBack"}


def _fired() -> list[dict[str, str]]:
    """Return the labels of every alert that fires in a rule's test."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted((ROOT / "alertrules" / "tests").glob("*_test.yml")):
        for test in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]:
            for case in test.get("alert_rule_test", ()):
                for alert in case["exp_alerts"]:
                    labels = {"alertname": case["alertname"], **alert["exp_labels"]}
                    found[str(sorted(labels.items()))] = labels
    return list(found.values())


FIRED = _fired()


def _pairs() -> set[tuple[str, str, str]]:
    """Return which alerts silence which, by labels as they fire: source, target, the rule's compared labels."""
    return {
        (source["alertname"], target["alertname"], " ".join(rule.get("equal", ())))
        for rule in INHIBITIONS
        for source in FIRED
        if fit(rule["source_matchers"], source)
        for target in FIRED
        if fit(rule["target_matchers"], target)
        # Their values are those of the tests; that only one has the label is never equal.
        and all((label in source) == (label in target) for label in rule.get("equal", ()))
    }


def test_what_is_compared_is_there_on_both_sides() -> None:
    """Missing on both sides counts as equal, so one without the label would silence another without it."""
    for rule in INHIBITIONS:
        for source in FIRED:
            for target in FIRED:
                if fit(rule["source_matchers"], source) and fit(rule["target_matchers"], target):
                    lacking = [label for label in rule.get("equal", ()) if label not in source and label not in target]
                    assert not lacking, (source, target, lacking)


def test_the_cause_is_first() -> None:
    """At least one evaluation earlier than what it silences, where both begin together."""
    one = 5.0

    def waits(name: str) -> float:
        return min(parse_duration(rule.get("for", "0s")) for rule in RULES if rule["alert"] == name) + BEFORE.get(name, 0.0)

    for source, target, _ in _pairs():
        # A service, a host or Kafka that is down: what follows from it first has to become late.
        if (source, target) in WORSE or source in AFTERWARDS or source == target:
            continue
        if source in BEFORE and target in BEFORE:
            assert waits(source) + one <= waits(target), (source, target, waits(source), waits(target))


def test_the_silence_of_ipac_hides_nothing_of_ours() -> None:
    """Nor does any note or ticket about IPAC: alerts that it has and we have not are told at any time."""
    ours = {"AlertsNotArriving", "AlertsMissing", "MirrorLagging", "MirrorTaskFailed", "AlertsArrivingSlowly"}
    sources = {source for source, target, _ in _pairs() if target in ours}
    assert not sources & {"UpstreamSilent", "AlertRateLow", "NightWithoutAlerts", "SchemaChanged"}


def test_one_community_silences_no_other() -> None:
    """What is about one community silences only what is about the same."""
    for source, target, equal in _pairs():
        if source.startswith("Community"):
            assert equal == "community", (source, target)


def test_restricted_data_is_never_silent() -> None:
    assert not [pair for pair in _pairs() if pair[1] in {"RestrictedDataExposed", "UnknownConsumer", "FirewallOff"}]
