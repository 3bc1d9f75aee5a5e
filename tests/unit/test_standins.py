"""No request, however odd, makes a stand-in answer 500, and each keeps its provider's rate and says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_rates import Rate, RateLimit
from zads.stack.standins import PagerDuty, Slack

KEY, TOKEN = "0123456789abcdef0123456789abcdef", "xoxb-test"
MANY = Rate(1_000_000, 1.0)

# What the outside sends is any JSON, most of it nearly right: known names with values of any kind.
TEXTS = st.text(max_size=8) | st.sampled_from(["#a", "mrkdwn", "section", "trigger", "\ud800", "1.0", "https://x.org/"])
NAMES = (
    "type text fields elements accessory blocks title value alt_text event_type event_payload state href src summary source "
    "severity timestamp custom_details block_id action_id image_url"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(st.sampled_from(NAMES.split()) | TEXTS, child, max_size=4),
    max_leaves=8,
)


def _perhaps(names: str) -> dict[str, st.SearchStrategy[Any]]:
    return dict.fromkeys(names.split(), JSON)


SLACK = st.fixed_dictionaries(
    {},
    optional=_perhaps(
        "text blocks attachments metadata thread_ts ts limit cursor oldest latest markdown_text "
        "metadata_keys_to_include include_all_metadata reply_broadcast channel"
    ),
)
BLOCKS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["section", "header", "context", "actions", "image", "markdown", "rich_text", "divider"])},
        optional=_perhaps("text fields elements accessory title alt_text image_url block_id"),
    ),
    max_size=3,
)
EVENTS = st.fixed_dictionaries(
    {"routing_key": st.just(KEY), "event_action": st.sampled_from(["trigger", "acknowledge", "resolve"]) | JSON},
    optional=_perhaps("dedup_key payload links images client client_url"),
)
ODD_BODIES = [b"", b"[", b"[" * 100_000, b"1" * 10_000, b"NaN", b"1e999", b'"\\ud800"', b"\xff\xfe", b"null", b"\x00", b"{}"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """All stand-ins behind HTTP; the client raises what a real server would answer with 500."""
    inbox = Inbox(tmp_path_factory.mktemp("inbox") / "received.jsonl")
    slack = Slack(inbox, TOKEN, "#a", rates=dict.fromkeys(("chat.postMessage", "chat.update"), MANY))
    return TestClient(application(inbox, slack, PagerDuty(inbox, KEY, rate=MANY), DeadMan(inbox)))


def _bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKEN}"}


METHODS = st.sampled_from(["chat.postMessage", "chat.update", "conversations.history", "conversations.replies", "auth.test"])
FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(method=METHODS, fields=SLACK, blocks=BLOCKS | JSON, named=st.booleans())
def test_slack_answers_any_json_in_its_own_words(
    desk: TestClient, method: str, fields: dict[str, Any], blocks: Any, named: bool
) -> None:
    """Whatever the values are: 200 with ok, or with one documented name of an error."""
    fields = {"channel": "#a" if method == "chat.postMessage" else "C0ZADS00001", "text": "x", "blocks": blocks} | fields
    body = json.dumps(fields).encode() if named else json.dumps({**fields, "blocks": json.dumps(blocks)}).encode()
    headers = {**_bearer(), "Content-Type": "application/json; charset=utf-8"}
    answer = desk.post(f"/slack/api/{method}", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["ok"] or answer.json()["error"].isidentifier()


@FUZZ
@given(event=EVENTS | JSON)
def test_pagerduty_answers_any_json_with_202_or_400(desk: TestClient, event: Any) -> None:
    """And what it took can be read again, by a browser too."""
    answer = desk.post("/pagerduty/v2/enqueue", content=json.dumps(event).encode())
    assert answer.status_code in {202, 400}
    assert answer.status_code == 202 or answer.json()["status"] == "invalid event"


@pytest.mark.parametrize("body", ODD_BODIES)
@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
)
def test_odd_bodies_are_refused(desk: TestClient, body: bytes, kind: str) -> None:
    """Broken, endlessly nested, infinite, not UTF-8: never 500, in whatever form."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    assert desk.post("/slack/api/chat.postMessage", content=body, headers=headers).json()["ok"] is False
    assert desk.post("/pagerduty/v2/enqueue", content=body, headers=headers).status_code == 400


def test_what_the_fuzzing_left_can_be_read(desk: TestClient) -> None:
    """The list, the page, and the list as the command prints it."""
    desk.post(
        "/slack/api/chat.postMessage",
        content=b'{"channel": "#a", "text": "\\ud83d half"}',
        headers=_bearer() | {"Content-Type": "application/json"},
    )
    messages = desk.get("/inbox.json").json()
    assert {"channel", "at", "state", "title", "text", "raw"} == set(messages[-1])
    json.dumps(messages, ensure_ascii=False).encode("utf-8")
    assert desk.get("/").status_code == 200


def test_a_window_slides() -> None:
    """Three in ten seconds and key: the fourth is told how long to wait, and is right then; others are not affected."""
    now = [0.0]
    limit = RateLimit(3, 10.0, lambda: now[0])
    for now[0] in (0.0, 4.0, 5.0):
        assert limit.take("a") == 0.0
    now[0] = 6.0
    assert limit.take("a") == 4.0
    assert limit.take("b") == 0.0
    now[0] = 10.0
    assert limit.take("a") == 0.0
    assert limit.take("a") == 4.0


def test_a_window_forgets_keys_that_are_not_used() -> None:
    """A sender may invent a new address for each mail: the memory does not grow with them."""
    now = [0.0]
    limit = RateLimit(3, 10.0, lambda: now[0])
    for number in range(5000):
        now[0] += 1.0
        limit.take(str(number))
    assert len(limit._calls) < 1100
