"""The stand-ins refuse what the providers refuse, with the documented error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zads.stack.inbox import DeadMan
from zads.stack.inbox_store import Inbox
from zads.stack.standins import PagerDuty, Slack

KEY = "0123456789abcdef0123456789abcdef"
BLOCK = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}


@pytest.mark.parametrize(
    ("method", "fields", "token", "error"),
    [
        ("chat.postMessage", {"channel": "#a", "text": "x"}, "", "not_authed"),
        ("chat.postMessage", {"channel": "#a", "text": "x"}, "xoxb-other", "invalid_auth"),
        ("chat.nothing", {}, "xoxb", "unknown_method"),
        ("chat.postMessage", {"text": "x"}, "xoxb", "channel_not_found"),
        ("chat.postMessage", {"channel": "#b", "text": "x"}, "xoxb", "channel_not_found"),
        ("chat.postMessage", {"channel": "#archived", "text": "x"}, "xoxb", "is_archived"),
        ("chat.postMessage", {"channel": "#a"}, "xoxb", "no_text"),
        ("chat.postMessage", {"channel": "#a", "text": "x" * 40_001}, "xoxb", "msg_too_long"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": [BLOCK] * 51}, "xoxb", "invalid_blocks"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": "[broken"}, "xoxb", "invalid_blocks_format"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": [{"type": "odd"}]}, "xoxb", "invalid_blocks"),
        (
            "chat.postMessage",
            {"channel": "#a", "text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 3001}}]},
            "xoxb",
            "invalid_blocks",
        ),
        ("chat.postMessage", {"channel": "#a", "text": "x", "attachments": [{}] * 101}, "xoxb", "too_many_attachments"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "metadata": {"a": 1}}, "xoxb", "invalid_metadata_schema"),
        ("chat.postMessage", {"channel": "#a", "text": "x", "thread_ts": "1.0"}, "xoxb", "cannot_reply_to_message"),
        ("chat.update", {"channel": "#a", "text": "x", "ts": "1.0"}, "xoxb", "channel_not_found"),
        ("chat.update", {"channel": "C0ZADS00001", "text": "x", "ts": "1.0"}, "xoxb", "message_not_found"),
        ("conversations.history", {"channel": "#b"}, "xoxb", "channel_not_found"),
    ],
)
def test_slack_names_what_is_wrong(tmp_path: Path, method: str, fields: dict[str, Any], token: str, error: str) -> None:
    reply = Slack(Inbox(tmp_path / "i"), "xoxb", "#a").call(method, token, fields)
    assert reply.body == {"ok": False, "error": error}


def test_slack_keeps_its_rate_and_says_when_to_come_back(tmp_path: Path) -> None:
    slack = Slack(Inbox(tmp_path / "i"), "xoxb", "#a")
    replies = [slack.call("chat.postMessage", "xoxb", {"channel": "#a", "text": "x"}) for _ in range(11)]
    assert [r.status for r in replies] == [200] * 10 + [429]
    assert int((replies[-1].headers or {})["Retry-After"]) > 0


def _event(**changes: Any) -> bytes:
    event: dict[str, Any] = {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": "k",
        "payload": {"summary": "s", "source": "h", "severity": "critical"},
    }
    return json.dumps(event | changes).encode()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"not json", 400, "Unrecognized object"),
        (b"[]", 400, "Unrecognized object"),
        (_event(routing_key=""), 400, "routing_key"),
        (_event(routing_key="f" * 32), 400, "Invalid routing key"),
        (_event(event_action=None), 400, "event_action"),
        (_event(event_action="explode"), 400, "event_action"),
        (_event(dedup_key="k" * 256), 400, "dedup_key"),
        (_event(event_action="resolve", dedup_key=None), 400, "dedup_key"),
        (_event(payload=None), 400, "payload"),
        (_event(payload={"source": "h", "severity": "info"}), 400, "summary"),
        (_event(payload={"summary": "s", "severity": "info"}), 400, "source"),
        (_event(payload={"summary": "s", "source": "h", "severity": "bad"}), 400, "severity"),
        (_event(payload={"summary": "s" * 1025, "source": "h", "severity": "info"}), 400, "summary"),
        (_event(payload={"summary": "s", "source": "h", "severity": "info", "custom_details": 4}), 400, "custom_details"),
        (_event(links=[{"text": "x"}]), 400, "links"),
        (_event(images=["x"]), 400, "images"),
        (_event(payload={"summary": "s", "source": "h" * 520_000, "severity": "info"}), 413, "512"),
    ],
)
def test_pagerduty_names_what_is_wrong(tmp_path: Path, body: bytes, status: int, words: str) -> None:
    reply = PagerDuty(Inbox(tmp_path / "i"), KEY).enqueue(body)
    assert reply.status == status
    assert words in json.dumps(reply.body)


def test_pagerduty_drops_an_end_without_a_beginning_and_keeps_its_rate(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "i")
    pagerduty = PagerDuty(inbox, KEY)
    assert pagerduty.enqueue(_event(event_action="resolve")).status == 202
    assert inbox.all() == []
    statuses = [pagerduty.enqueue(_event()).status for _ in range(120)]
    assert statuses[:119] == [202] * 119
    assert statuses[-1] == 429


def test_the_inbox_survives_a_restart_in_order(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "i")
    for number in range(3):
        inbox.add("email", "firing", f"t{number}", "text", "raw")
    assert [m["title"] for m in Inbox(tmp_path / "i").all()] == ["t0", "t1", "t2"]


def test_the_dead_mans_switch_pages_by_itself(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "i")
    switch = DeadMan(inbox, silent_after=-1.0)
    switch.check()
    assert inbox.all() == []  # never heard: nothing to miss
    switch.beat()
    switch.check()
    switch.check()
    switch.beat()
    assert [m["state"] for m in inbox.all()] == ["firing", "resolved"]
