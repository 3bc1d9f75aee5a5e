"""Slack's incoming webhook over HTTP: one secret address, plain-text answers, nothing that can be edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_slack_hook import SlackHook
from zads.stack.standins import PagerDuty, Slack

PATH = "T0ZADS00001/B0ZADS00001/secret"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Inbox, TestClient]:
    inbox = Inbox(tmp_path / "received.jsonl")
    slack = Slack(inbox, "xoxb", "#a")
    hook = SlackHook(slack, PATH)
    return inbox, TestClient(application(inbox, slack, PagerDuty(inbox, "k"), DeadMan(inbox), hook=hook))


def _post(desk: tuple[Inbox, TestClient], body: Any, path: str = PATH, **words: Any) -> tuple[int, str]:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = desk[1].post(f"/slack/services/{path}", content=content, headers=words.get("headers", JSON))
    return answer.status_code, answer.text


def test_a_message_is_posted_to_the_webhooks_own_channel(desk: tuple[Inbox, TestClient]) -> None:
    """Whatever channel it names; JSON or a form; "ok" and no id."""
    assert _post(desk, {"text": "one", "channel": "#other"}) == (200, "ok")
    form = urlencode({"payload": '{"text": "two"}'}).encode()
    assert _post(desk, form, headers={"Content-Type": "application/x-www-form-urlencoded"}) == (200, "ok")
    assert [(m["channel"], m["title"], m["raw"]["channel"]) for m in desk[0].all()] == [
        ("slack", "one", "#a"),
        ("slack", "two", "#a"),
    ]


@pytest.mark.parametrize(
    ("body", "path", "status", "text"),
    [
        ({"text": "x"}, "T0/B0/wrong", 404, "no_service"),
        ({"text": "x"}, "archived", 410, "channel_is_archived"),
        ({"text": "x"}, "prohibited", 403, "action_prohibited"),
        ({"text": "x"}, "broken", 500, "rollup_error"),
        (b"no json", PATH, 400, "invalid_payload"),
        ([], PATH, 400, "invalid_payload"),
        ({}, PATH, 400, "no_text"),
        ({"text": "x", "blocks": [{"type": "section"}]}, PATH, 400, "invalid_blocks"),
        ({"text": "x", "blocks": "no"}, PATH, 400, "invalid_blocks_format"),
        (b"x" * 1_000_001, PATH, 413, "request_entity_too_large"),
    ],
)
def test_what_is_wrong_is_said_as_slack_says_it(
    desk: tuple[Inbox, TestClient], body: Any, path: str, status: int, text: str
) -> None:
    """A status and a word."""
    assert _post(desk, body, path) == (status, text)
    assert desk[0].all() == []


def test_a_burst_is_limited(desk: tuple[Inbox, TestClient]) -> None:
    """As the channel's other posts are: 429 with Retry-After."""
    assert [_post(desk, {"text": str(n)})[0] for n in range(11)] == [200] * 10 + [429]
    answer = desk[1].post(f"/slack/services/{PATH}", json={"text": "x"})
    assert (answer.text, answer.headers["Retry-After"]) == ("rate_limited", "10")


def test_without_an_address_nothing_is_taken(tmp_path: Path) -> None:
    """Nor at the empty one."""
    inbox = Inbox(tmp_path / "received.jsonl")
    client = TestClient(application(inbox, Slack(inbox, "xoxb", "#a"), PagerDuty(inbox, "k"), DeadMan(inbox)))
    assert client.post("/slack/services/", json={"text": "x"}).status_code == 404
