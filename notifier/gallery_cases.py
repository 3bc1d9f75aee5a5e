"""What the gallery shows: each alert as the rules' own tests fill it in, and one incident in each state that a message knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from notifier.model import Delivery, Incident, Kind
from zads.config import Config, parse, parse_duration

# The rules' tests begin at 1970-01-01 00:00: a Thursday, as this one.
BEGIN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
_SECONDS_TO_US = 3.0
CHANNELS = ("pagerduty", "slack", "email", "webhook")
_SITE = """
[site]
name = "ZADS"
[kafka.public]
bootstrap = ["kafka.example.org:9092"]
[[community]]
name = "lasair"
contact = "ops@lasair.example.org"
[notifier]
external_url = "https://zads.example.org"
[notifier.email]
smarthost = "127.0.0.1:25"
sender = "zads-monitor@example.org"
to = ["oncall@example.org"]
[notifier.slack]
channel = "#zads-alerts"
token_env = "GALLERY"
base_url = "{url}/api/"
[notifier.pagerduty]
routing_key_env = "GALLERY"
base_url = "{url}"
[notifier.webhook]
url = "{url}/webhook"
secret_env = "GALLERY"
[[notifier.policy]]
name = "page"
[[notifier.policy.step]]
channels = ["pagerduty", "slack", "email"]
[[notifier.policy.step]]
after = "15m"
channels = ["email", "slack"]
people = "next on call"
[[notifier.oncall]]
name = "operator 1"
email = "operator1@example.org"
slack_user = "U0OPERATOR1"
[[notifier.oncall]]
name = "operator 2"
email = "operator2@example.org"
"""


@dataclass(frozen=True)
class Case:
    """One message: what is sent, when, with which numbers from Prometheus.

    `many`: what a digest stands for. `memory`: why the record cannot be written, "" where it can. `trial`: it is
    what `zads notify test` sends.
    """

    name: str
    about: str
    delivery: Delivery
    now: float
    facts: str = ""
    many: tuple[Delivery, ...] = ()
    memory: str = ""
    trial: bool = False
    only: tuple[str, ...] = field(default=CHANNELS)

    def by(self, channel: str) -> Delivery:
        """Return the delivery of one channel; what is remembered there, it has as that channel remembers it."""
        references: Mapping[str, str] = {}
        if self.delivery.references:
            known = {"slack": {"ts": "1767225660.000100", "channel": "C0ALERTS"}}
            references = known.get(channel, {"key": self.delivery.incident.episode_key})
        return replace(self.delivery, channel=channel, references=references)


def site(url: str) -> Config:
    """Return the gallery's site, whose providers are at `url`."""
    return parse(_SITE.replace("{url}", url), "the gallery's site")


def of_rules(folder: Path) -> list[Case]:
    """Return a case for each text that the tests of the rules expect of an alert; promtool holds them to be true.

    Raises FileNotFoundError when there are no tests.
    """
    files = sorted(folder.glob("*_test.yml"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no tests of rules (*_test.yml): give their folder with --tests")
    found: dict[tuple[str, str], Case] = {}
    for file in files:
        for labels, notes, at in _expected(yaml.safe_load(file.read_text(encoding="utf-8"))):
            key = labels["alertname"], notes.get("summary", "")
            if key not in found:
                number = sum(name == key[0] for name, _ in found) + 1
                name = f"rule-{key[0]}-{number}"
                incident = _incident(labels, notes, at)
                found[key] = Case(name, f"{key[0]}, as the rules' tests expect it", _delivery(incident), at + _SECONDS_TO_US)
    return sorted(found.values(), key=lambda case: (_URGENCY.get(case.delivery.incident.severity, 3), case.name))


_URGENCY = {"page": 0, "ticket": 1, "info": 2}


def _expected(tests: Any) -> Iterator[tuple[dict[str, str], dict[str, str], float]]:
    for test in tests["tests"]:
        for one in test.get("alert_rule_test") or []:
            # What is no alert promtool refuses.
            for alert in (each for each in one.get("exp_alerts") or [] if isinstance(each, dict)):
                labels = {"alertname": one["alertname"], **(alert.get("exp_labels") or {})}
                notes = {str(key): str(value).strip() for key, value in (alert.get("exp_annotations") or {}).items()}
                yield labels, notes, BEGIN + _seconds(one["eval_time"])


def _seconds(text: str) -> float:
    parts = re.findall(r"\d+(?:ms|[smhdwy])", str(text))
    return float(sum(parse_duration(part) for part in parts))


def _incident(labels: Mapping[str, str], notes: Mapping[str, str], at: float) -> Incident:
    return Incident(
        42, "4c1d3f0a9b7e5d21", "firing", labels.get("severity", "ticket"), labels, notes, at, at, step_at=at + 900
    )


def _delivery(incident: Incident, kind: Kind = "firing", at: float | None = None, **more: Any) -> Delivery:
    return Delivery(1, incident, "", kind, 1, incident.opened_at if at is None else at, **more)


_KAFKA = (
    {
        "alertname": "ServiceDown",
        "severity": "page",
        "headline": "KAFKA DOWN",
        "service": "kafka-public",
        "label": "Kafka",
        "host": "zads",
        "part": "public",
    },
    {
        "pending": "20",
        "summary": "Kafka down since 08:01 UTC: no community gets alerts (process gone on zads)",
        "impact": "No community gets alerts; they wait at IPAC. Nothing is lost before Thu 8 Jan 07:58 UTC.",
        "first": "systemctl status kafka on zads, then runbook step 2",
        "runbook_url": "docs/runbook.md#servicedown",
        "dashboard": "zads-kafka",
    },
)
_LASAIR = (
    {
        "alertname": "CommunityLagging",
        "severity": "ticket",
        "headline": "LASAIR BEHIND",
        "community": "lasair",
        "label": "Lasair",
    },
    {
        "pending": "30",
        "summary": "Lasair is 41m 10s behind (12306 alerts): others are on time",
        "impact": "Only Lasair gets alerts late. It takes 0.2 MB/s of its contracted 1 MB/s. "
        "Nothing is lost before Thu 8 Jan 07:20 UTC.",
        "first": "Its round-trip time and retransmits (Dashboard) tell a slow network from a slow reader,"
        " which is theirs: write to its contact",
        "runbook_url": "docs/runbook.md#communitylagging",
        "dashboard": "zads-community",
    },
)
_WAIT, _PASSED = "412 alerts wait", "16,203 alerts passed on meanwhile, none missing"


def of_states() -> list[Case]:
    """Return the same two incidents through all that can be told of them."""
    at = BEGIN + 8 * 3600 + 90  # 08:01:30
    kafka, lasair = _incident(*_KAFKA, at), _incident(*_LASAIR, at)
    known = {"known": "yes"}
    taken = replace(kafka, state="acknowledged", acknowledged_by="Ada", acknowledged_at=at + 240, step_at=None)
    over = replace(kafka, state="resolved", resolved_at=at + 540, step_at=None)
    late = replace(kafka, step=2, step_at=None)
    behind = replace(lasair, state="resolved", resolved_at=at + 7200)
    ends = at + 540
    cases = [
        Case("state-1-firing", "a page begins", _delivery(kafka), at + 3, _WAIT),
        Case(
            "state-2-again",
            "it fires again within half an hour",
            _delivery(kafka, again=True, references=known),
            at + 3,
            _WAIT,
        ),
        Case(
            "state-3-escalation",
            "step 2: the next on call, by e-mail and Slack, has not heard of it",
            _delivery(late, "reminder", at + 900, target="operator2@example.org", told=False),
            at + 902,
            _WAIT,
            only=("email",),
        ),
        Case(
            "state-3-escalation-slack",
            "the same in Slack, where the person is mentioned",
            _delivery(late, "reminder", at + 900, target="@U0OPERATOR2", told=False, references=known),
            at + 902,
            _WAIT,
            only=("slack",),
        ),
        Case("state-4-reminder", "still nobody", _delivery(late, "reminder", at + 1800, references=known), at + 1802, _WAIT),
        Case(
            "state-5-acknowledged",
            "somebody took it",
            _delivery(taken, "acknowledged", at + 240, references=known),
            at + 241,
            _WAIT,
        ),
        Case(
            "state-6-taken-back",
            "the acknowledgement was taken back, or ended after notifier.acknowledged_for",
            _delivery(replace(kafka, step_at=at + 15300), "reminder", at + 14400, references=known),
            at + 14401,
            _WAIT,
        ),
        Case("state-7-resolved", "over", _delivery(over, "resolved", ends, references=known), ends + 2, _PASSED),
        Case(
            "state-8-unseen-end",
            "nobody reported its end",
            _delivery(replace(over, ending="unseen"), "resolved", ends + 300, references=known),
            ends + 302,
        ),
        Case("late-1-firing", "the channel was away; it still fires", _delivery(kafka), at + 3600, _WAIT),
        Case(
            "late-2-over",
            "the channel was away; all is over",
            _delivery(over, "resolved", ends, told=False),
            at + 3600,
            _PASSED,
        ),
        Case("ticket-1-firing", "a ticket about a community", _delivery(lasair), at + 3),
        Case("ticket-2-resolved", "it is over", _delivery(behind, "resolved", at + 7200, references=known), at + 7202),
        Case(
            "ticket-3-copy",
            "the copy to the community's own contact",
            _delivery(lasair, target="ops@lasair.example.org"),
            at + 3,
            only=("email",),
        ),
        Case(
            "ticket-4-copy-resolved",
            "its end, to the contact",
            _delivery(behind, "resolved", at + 7200, target="ops@lasair.example.org", references=known),
            at + 7202,
            only=("email",),
        ),
        Case("held-1-quiet", "held back by quiet hours", _delivery(lasair, held="quiet hours"), at + 6 * 3600),
        Case(
            "held-2-quiet-over",
            "and over by then",
            _delivery(behind, "resolved", at + 7200, told=False, held="quiet hours"),
            at + 6 * 3600,
        ),
        Case(
            "held-3-work",
            "held back by planned work, and it still fires at its end",
            _delivery(kafka, held="planned work 3: new disks in the Kafka host"),
            at + 7200,
            _WAIT,
        ),
        Case("fallback", "another channel refused it for good", _delivery(kafka, fallback_for="slack"), at + 4, _WAIT),
        Case(
            "memory-1-firing",
            "the record cannot be written",
            replace(_delivery(replace(kafka, id=0, step_at=None)), id=0),
            at + 3,
            _WAIT,
            memory="database or disk is full",
        ),
        Case(
            "doubtful",
            "Slack did not answer the first try, and cannot be looked into",
            _delivery(kafka, doubtful=True),
            at + 60,
            _WAIT,
            only=("slack",),
        ),
        *_storms(at),
        _test(at),
        _bare(at),
    ]
    return cases


def _storms(at: float) -> Iterator[Case]:
    """Yield a storm as it begins, and the same when all is over."""
    many = [_delivery(replace(_incident(*_KAFKA, at), id=1))]
    for number in range(22):
        labels = {**_LASAIR[0], "community": f"community-{number % 5}", "label": f"Community {number % 5}"}
        notes = {**_LASAIR[1], "summary": f"Community {number % 5} is {number + 2}m 0s behind ({number * 700 + 300} alerts)"}
        labels["headline"] = f"COMMUNITY {number % 5} BEHIND"
        many.append(_delivery(replace(_incident(labels, notes, at + number), id=number + 2, fingerprint=f"f{number}")))
    digest = replace(_delivery(many[0].incident, "digest"), name="digest-1")
    yield Case("storm-1", "23 alerts at once", digest, at + 30, many=tuple(many))
    ended = tuple(replace(d, incident=replace(d.incident, state="resolved", resolved_at=at + 600)) for d in many)
    yield Case("storm-2-over", "and all of them over", replace(digest, created_at=at + 600), at + 605, many=ended)


def _test(at: float) -> Case:
    """Return the message of `zads notify test`, which makes its own incident."""
    return Case("test", "zads notify test --channel X", _delivery(_incident({"severity": "info"}, {}, at)), at, trial=True)


def _bare(at: float) -> Case:
    """Return an alert of somebody else's rule: without annotations, with a name alone."""
    labels = {"alertname": "NodeFilesystemAlmostOutOfSpace", "instance": "web:9100", "device": "/dev/sda1"}
    return Case("bare", "an alert without annotations", _delivery(_incident(labels, {}, at)), at + 3)
