"""PagerDuty's stand-in over HTTP: documented refusals, 120 a minute, one incident for one key, kept over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standins import PagerDuty, Slack

KEY = "0123456789abcdef0123456789abcdef"
PAYLOAD = {"summary": "Kafka down", "source": "zads", "severity": "critical"}


class Desk:
    """A service with one integration key, a clock that a test moves, and its record's file."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.inbox = Inbox(folder / "received.jsonl")
        pagerduty = PagerDuty(self.inbox, KEY, clock=lambda: self.now)
        app = application(self.inbox, Slack(self.inbox, "xoxb", "#a"), pagerduty, DeadMan(self.inbox))
        self._client = TestClient(app)

    def raw(self, body: bytes) -> Any:
        return self._client.post("/pagerduty/v2/enqueue", content=body)

    def send(self, **changes: Any) -> Any:
        return self.raw(event(**changes))

    def seen(self) -> list[tuple[str, str]]:
        return [(message["state"], message["title"]) for message in self.inbox.all()]


def event(**changes: Any) -> bytes:
    whole = {"routing_key": KEY, "event_action": "trigger", "dedup_key": "k", "payload": PAYLOAD} | changes
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def payload(**changes: Any) -> bytes:
    return event(payload={name: value for name, value in (PAYLOAD | changes).items() if value is not None})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


MISSING, INVALID, LONG = "is missing or blank", "is invalid", "is too long"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"not json", "Unrecognized object"),
        (b"[]", "Unrecognized object"),
        (b"[" * 100_000, "Unrecognized object"),
        (b"\xff\xfe", "Unrecognized object"),
        (event(routing_key=None), f"'routing_key' {MISSING}"),
        (event(routing_key=""), f"'routing_key' {MISSING}"),
        (event(routing_key=[KEY]), f"'routing_key' {INVALID}"),
        (event(routing_key="f" * 31), "Length of 'routing_key' is incorrect (should be 32 characters)"),
        (event(routing_key="f" * 31 + "-"), "'routing_key' cannot contain non-alphanumeric characters."),
        (event(routing_key="f" * 32), "Invalid routing key"),
        (event(event_action=None), f"'event_action' {MISSING}"),
        (event(event_action="explode"), f"'event_action' {INVALID}"),
        (event(event_action=["trigger"]), f"'event_action' {INVALID}"),
        (event(dedup_key="k" * 256), f"'dedup_key' {LONG} (maximum is 255 characters)"),
        (event(dedup_key=7), f"'dedup_key' {INVALID}"),
        (event(event_action="resolve", dedup_key=None), f"'dedup_key' {MISSING}"),
        (event(event_action="acknowledge", dedup_key=""), f"'dedup_key' {MISSING}"),
        (event(payload=None), f"'payload' {MISSING}"),
        (event(payload="text"), f"'payload' {INVALID}"),
        (payload(summary=None), f"'payload.summary' {MISSING}"),
        (payload(summary="  "), f"'payload.summary' {MISSING}"),
        (payload(summary={"text": "x"}), f"'payload.summary' {INVALID}"),
        (payload(summary="s" * 1025), f"'payload.summary' {LONG} (maximum is 1024 characters)"),
        (payload(source=None), f"'payload.source' {MISSING}"),
        (payload(source=5), f"'payload.source' {INVALID}"),
        (payload(severity=None), f"'payload.severity' {MISSING}"),
        (payload(severity="bad"), f"'payload.severity' {INVALID} (must be one of the following: "),
        (payload(severity=["critical"]), f"'payload.severity' {INVALID}"),
        (payload(timestamp="banana"), f"'payload.timestamp' {INVALID}"),
        (payload(timestamp=1_775_000_000), f"'payload.timestamp' {INVALID}"),
        (payload(component=5), f"'payload.component' {INVALID}"),
        (payload(custom_details=4), f"'payload.custom_details' {INVALID}"),
        (payload(custom_details=["x"]), f"'payload.custom_details' {INVALID}"),
        (event(links=5), f"'links' {INVALID}"),
        (event(links=["https://x.org"]), f"'links[0]' {INVALID}"),
        (event(links=[{"text": "x"}]), f"'links[0].href' {MISSING}"),
        (event(links=[{"href": "docs/runbook.md"}]), f"'links[0].href' {INVALID}"),
        (event(links=[{"href": "https://["}]), f"'links[0].href' {INVALID}"),
        (event(links=[{"href": "https://x.org", "text": 5}]), f"'links[0].text' {INVALID}"),
        (event(images=5), f"'images' {INVALID}"),
        (event(images=[{"alt": "x"}]), f"'images[0].src' {MISSING}"),
        (event(images=[{"src": "http://x.org/a.png"}]), f"'images[0].src' {INVALID}"),  # "must be served via HTTPS"
        (event(client_url="not a url"), f"'client_url' {INVALID}"),
    ],
)
def test_a_wrong_event_is_refused_with_what_is_wrong(desk: Desk, body: bytes, error: str) -> None:
    """400 in the documented shape; nothing is recorded."""
    answer = desk.raw(body)
    assert answer.status_code == 400
    assert (answer.json()["status"], answer.json()["message"]) == ("invalid event", "Event object is invalid")
    assert any(said.startswith(error) for said in answer.json()["errors"]), answer.json()
    assert desk.inbox.all() == []


def test_all_that_is_wrong_is_said_at_once(desk: Desk) -> None:
    """One error for each field."""
    answer = desk.send(payload={"summary": 5, "severity": "bad"}, links=5)
    assert len(answer.json()["errors"]) == 4


def test_an_event_over_512_kb_is_refused(desk: Desk) -> None:
    """Whatever is in it."""
    answer = desk.raw(payload(custom_details={"log": "x" * 520_000}))
    assert answer.status_code == 413
    assert "512 KB" in answer.text


@pytest.mark.parametrize("time", ["2015-07-17T08:42:58.315+0000", "2011-05-06T17:00Z", "2011-05-06", None])
def test_a_documented_event_is_taken(desk: Desk, time: str | None) -> None:
    """With every field of the documentation's example; the key is not in the record."""
    answer = desk.send(
        payload={**PAYLOAD, "timestamp": time, "component": "c", "group": "g", "class": "x", "custom_details": {"a": 0.75}},
        images=[{"src": "https://x.org/a.png", "href": "https://example.com/", "alt": "Example text"}],
        links=[{"href": "https://example.com/", "text": "Link text"}],
        client="ZADS Monitor",
        client_url="http://127.0.0.1:29380/incident/1",
    )
    assert (answer.status_code, answer.json()) == (
        202,
        {"status": "success", "message": "Event processed", "dedup_key": "k"},
    )
    message = desk.inbox.all()[0]
    assert (message["channel"], message["state"], message["title"]) == ("pagerduty", "firing", "Kafka down")
    assert message["text"] == "a: 0.75"
    assert KEY not in json.dumps(message)


def test_a_trigger_without_a_key_gets_one(desk: Desk) -> None:
    """And a second one another; the first can be resolved with it."""
    first, second = (desk.send(dedup_key=None).json()["dedup_key"] for _ in range(2))
    assert first != second
    desk.send(event_action="resolve", dedup_key=first)
    assert desk.seen() == [("firing", "Kafka down")] * 2 + [("resolved", "Kafka down")]


def test_an_incident_is_acknowledged_and_resolved_under_its_title(desk: Desk) -> None:
    """Once each; what comes for an alert that is not open is accepted and dropped; after its end a trigger opens a new one."""
    for action in ("resolve", "acknowledge", "trigger", "acknowledge", "acknowledge", "resolve", "resolve", "acknowledge"):
        assert desk.send(event_action=action, payload=PAYLOAD if action == "trigger" else None).status_code == 202
    assert desk.seen() == [(state, "Kafka down") for state in ("firing", "acknowledged", "resolved")]
    desk.send()
    assert desk.seen()[-1] == ("firing", "Kafka down")


@pytest.mark.parametrize("extra", [{**PAYLOAD, "summary": "Kafka back after 9 min"}, 5, {"custom_details": 5}, None])
def test_an_end_may_carry_a_payload_which_is_not_looked_at(desk: Desk, extra: Any) -> None:
    """Alertmanager sends one with every event; the title stays the alert's, other words are in the text."""
    desk.send()
    assert desk.send(event_action="resolve", payload=extra).status_code == 202
    assert desk.seen()[-1] == ("resolved", "Kafka down")
    words = "Kafka back after 9 min" if isinstance(extra, dict) and "summary" in extra else "Kafka down"
    assert desk.inbox.all()[-1]["text"] == words


def test_a_second_trigger_is_the_same_incident(desk: Desk) -> None:
    """It notifies nobody: no second entry, unless what people read has changed, in the state the incident is in."""
    for _ in range(3):
        desk.send()
    assert desk.seen() == [("firing", "Kafka down")]
    desk.send(payload={**PAYLOAD, "summary": "Kafka still down"})
    desk.send(event_action="acknowledge")
    desk.send(payload={**PAYLOAD, "summary": "Kafka down for good"})
    desk.send(event_action="resolve")
    assert desk.seen() == [
        ("firing", "Kafka down"),
        ("firing", "Kafka still down"),
        ("acknowledged", "Kafka still down"),
        ("acknowledged", "Kafka down for good"),
        ("resolved", "Kafka down for good"),
    ]
    assert [bool(m["raw"].get("duplicate")) for m in desk.inbox.all()] == [False, True, False, True, False]


def test_120_events_in_any_minute_are_taken(desk: Desk) -> None:
    """The 121st gets the documented 429 and is not recorded; a minute later it is taken; a bad key does not count."""
    desk.send(routing_key="f" * 32)
    statuses = [desk.send(dedup_key=str(number)).status_code for number in range(121)]
    assert statuses == [202] * 120 + [429]
    refused = desk.send()
    assert refused.json()["status"] == "throttle exceeded"
    assert refused.json()["errors"] == ["Request Limit Exceeded"]
    assert len(desk.inbox.all()) == 120
    desk.now += 60.0
    assert desk.send().status_code == 202


def test_what_is_open_is_known_after_a_restart(tmp_path: Path) -> None:
    """The end of an alert of before the restart is told under its title; a repeated trigger is still none."""
    before = Desk(tmp_path)
    for key in ("a", "b", "c"):
        before.send(dedup_key=key, payload={**PAYLOAD, "summary": f"{key} down"})
    before.send(dedup_key="b", event_action="acknowledge")
    before.send(dedup_key="c", event_action="resolve")
    after = Desk(tmp_path)
    seen = len(after.seen())
    for key in ("a", "b"):
        after.send(dedup_key=key, payload={**PAYLOAD, "summary": f"{key} down"})
    after.send(dedup_key="b", event_action="acknowledge")
    assert len(after.seen()) == seen
    for key in ("a", "b", "c"):
        after.send(dedup_key=key, event_action="resolve")
    assert after.seen()[seen:] == [("resolved", "a down"), ("resolved", "b down")]
