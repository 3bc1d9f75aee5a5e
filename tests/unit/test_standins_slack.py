"""Slack's stand-in over HTTP: refuses with the documented name, keeps the tiers, remembers over a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_rates import Rate
from zads.stack.standin_slack import SLACK_RATES
from zads.stack.standins import PagerDuty, Slack

TOKEN, ID, OTHER = "xoxb-test", "C0ZADS00001", "C0ZADS00002"
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
BUTTON = {"type": "button", "text": {"type": "plain_text", "text": "Go"}, "action_id": "go"}
META = {"event_type": "zads_incident", "event_payload": {"state": "firing", "delivery": "7"}}


class Desk:
    """A workspace with two channels, a clock that a test moves, and its record's file."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.now = 1_775_000_000.0
        self.inbox = Inbox(folder / "received.jsonl")
        clock = {"clock": lambda: self.now, "wall": lambda: self.now}
        slack = Slack(self.inbox, TOKEN, "#a", ["#b"], **(clock | options))
        self._client = TestClient(application(self.inbox, slack, PagerDuty(self.inbox, "k" * 32), DeadMan(self.inbox)))

    def raw(self, method: str, token: str = TOKEN, **request: Any) -> Any:
        request["headers"] = ({"Authorization": f"Bearer {token}"} if token else {}) | request.get("headers", {})
        return self._client.post(f"/slack/api/{method}", **request)

    def call(self, method: str, **fields: Any) -> dict[str, Any]:
        answer = self.raw(method, json=fields)
        assert answer.status_code == 200
        return dict(answer.json())

    def post(self, text: str = "x", channel: str = "#a", **fields: Any) -> str:
        self.now += 2.0
        answer = self.call("chat.postMessage", channel=channel, text=text, **fields)
        assert answer["ok"], answer
        return str(answer["ts"])

    def texts(self, method: str = "conversations.history", channel: str = ID, **fields: Any) -> list[str]:
        return [message["text"] for message in self.call(method, channel=channel, **fields)["messages"]]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def _blocks(*blocks: Any) -> dict[str, Any]:
    return {"channel": "#a", "text": "x", "blocks": list(blocks)}


def _section(**fields: Any) -> dict[str, Any]:
    return _blocks({"type": "section", **fields})


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    # The method and its arguments.
    ("chat.nothing", {}, "unknown_method"),
    ("chat.postMessage", {"channel": ["#a"], "text": "x"}, "invalid_array_arg"),
    ("chat.postMessage", {"channel": "#a", "text": ["x"]}, "invalid_array_arg"),
    ("chat.postMessage", {"channel": "#a", "text": {"x": 1}}, "invalid_arguments"),
    ("chat.postMessage", {"channel": 5, "text": "x"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "odd name!": 1}, "invalid_arg_name"),
    # The channel.
    ("chat.postMessage", {"text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "#nowhere", "text": "x"}, "channel_not_found"),
    ("chat.postMessage", {"channel": "#archived", "text": "x"}, "is_archived"),
    ("chat.postMessage", {"channel": "#not-a-member", "text": "x"}, "not_in_channel"),
    ("chat.postMessage", {"channel": "#read-only", "text": "x"}, "restricted_action_read_only_channel"),
    ("chat.postMessage", {"channel": "#restricted", "text": "x"}, "restricted_action"),
    # The text.
    ("chat.postMessage", {"channel": "#a"}, "no_text"),
    ("chat.postMessage", {"channel": "#a", "text": "  "}, "no_text"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
    ("chat.postMessage", {"channel": "#a", "markdown_text": "y" * 12_001}, "msg_too_long"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "thread_ts": "1.0"}, "cannot_reply_to_message"),
    # Blocks.
    ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": "[broken"}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": 5}, "invalid_blocks_format"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "blocks": {"blocks": []}}, "invalid_blocks_format"),
    ("chat.postMessage", _blocks(*[SECTION] * 51), "invalid_blocks"),
    ("chat.postMessage", _blocks("x"), "invalid_blocks"),
    ("chat.postMessage", _blocks({"text": "x"}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "odd"}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": ["section"]}), "invalid_blocks"),
    ("chat.postMessage", _section(), "invalid_blocks"),
    ("chat.postMessage", _section(text="plain"), "invalid_blocks"),
    ("chat.postMessage", _section(text={"type": "html", "text": "x"}), "invalid_blocks"),
    ("chat.postMessage", _section(text={"type": ["mrkdwn"], "text": "x"}), "invalid_blocks"),
    ("chat.postMessage", _section(text={"type": "mrkdwn"}), "invalid_blocks"),
    ("chat.postMessage", _section(text={"type": "mrkdwn", "text": ""}), "invalid_blocks"),
    ("chat.postMessage", _section(text={"type": "mrkdwn", "text": "y" * 3001}), "invalid_blocks"),
    ("chat.postMessage", _section(fields=5), "invalid_blocks"),
    ("chat.postMessage", _section(fields=[SECTION["text"]] * 11), "invalid_blocks"),
    ("chat.postMessage", _section(fields=[{"type": "mrkdwn", "text": "y" * 2001}]), "invalid_blocks"),
    ("chat.postMessage", _section(text=SECTION["text"], accessory="x"), "invalid_blocks"),
    ("chat.postMessage", _section(text=SECTION["text"], block_id="y" * 256), "invalid_blocks"),
    ("chat.postMessage", _section(text=SECTION["text"], block_id=7), "invalid_blocks"),
    ("chat.postMessage", _blocks({**SECTION, "block_id": "a"}, {**SECTION, "block_id": "a"}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "header"}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "header", "text": SECTION["text"]}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "header", "text": {"type": "plain_text", "text": "y" * 151}}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "context", "elements": 5}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "context", "elements": []}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "context", "elements": [SECTION["text"]] * 11}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "context", "elements": [BUTTON]}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "actions", "elements": [{"type": "button"}] * 26}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "actions", "elements": [BUTTON, BUTTON]}), "invalid_blocks"),
    (
        "chat.postMessage",
        _blocks({"type": "actions", "elements": [{**BUTTON, "text": {"type": "plain_text", "text": "y" * 76}}]}),
        "invalid_blocks",
    ),
    ("chat.postMessage", _blocks({"type": "actions", "elements": [{**BUTTON, "style": "red"}]}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "actions", "elements": [{**BUTTON, "value": "y" * 2001}]}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "image", "image_url": "https://x.org/a.png"}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "image", "alt_text": "a plot"}), "invalid_blocks"),
    ("chat.postMessage", _blocks({"type": "markdown", "text": "y" * 12_001}), "invalid_blocks"),
    (
        "chat.postMessage",
        _blocks(*[{"type": "section", "text": {"type": "mrkdwn", "text": "y" * 2900}}] * 5),
        "msg_blocks_too_long",
    ),
    # Attachments and metadata.
    ("chat.postMessage", {"channel": "#a", "text": "x", "attachments": 5}, "invalid_attachments"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "attachments": [5]}, "invalid_attachments"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "attachments": [{"color": "#f00"}]}, "invalid_attachments"),
    ("chat.postMessage", {"channel": "#a", "attachments": [{"blocks": [{"type": "odd"}]}]}, "invalid_attachments"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "attachments": [{"text": "y"}] * 101}, "too_many_attachments"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "metadata": "{broken"}, "invalid_metadata_format"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "metadata": [1]}, "invalid_metadata_format"),
    ("chat.postMessage", {"channel": "#a", "text": "x", "metadata": {"a": 1}}, "invalid_metadata_schema"),
    (
        "chat.postMessage",
        {"channel": "#a", "text": "x", "metadata": {**META, "event_payload": 5}},
        "invalid_metadata_schema",
    ),
    (
        "chat.postMessage",
        {"channel": "#a", "text": "x", "metadata": {**META, "event_payload": {"x": "y" * 9000}}},
        "metadata_too_large",
    ),
    # chat.update.
    ("chat.update", {"channel": "#a", "text": "x", "ts": "1.0"}, "channel_not_found"),  # it wants the id
    ("chat.update", {"channel": ID, "text": "x"}, "invalid_arguments"),
    ("chat.update", {"channel": ID, "text": "x", "ts": "1.0"}, "message_not_found"),
    ("chat.update", {"channel": ID, "text": "y" * 4001, "ts": "1.0"}, "msg_too_long"),
    ("chat.update", {"channel": ID, "ts": "1.0"}, "no_text"),
    # Reading.
    ("conversations.history", {}, "channel_not_found"),
    ("conversations.history", {"channel": "#a"}, "channel_not_found"),  # it wants the id
    ("conversations.history", {"channel": ID, "oldest": "yesterday"}, "invalid_ts_oldest"),
    ("conversations.history", {"channel": ID, "latest": "today"}, "invalid_ts_latest"),
    ("conversations.history", {"channel": ID, "cursor": "nonsense"}, "invalid_cursor"),
    ("conversations.history", {"channel": ID, "limit": "many"}, "invalid_arguments"),
    ("conversations.history", {"channel": ID, "metadata_keys_to_include": "x"}, "invalid_metadata_filter_keys"),
    ("conversations.replies", {"channel": ID}, "thread_not_found"),
    ("conversations.replies", {"channel": ID, "ts": "1.0"}, "thread_not_found"),
    ("conversations.list", {"types": "public_channel,odd"}, "invalid_types"),
    ("conversations.list", {"limit": 1001}, "invalid_limit"),
    ("conversations.list", {"cursor": "nonsense"}, "invalid_cursor"),
]


@pytest.mark.parametrize(("method", "fields", "error"), REFUSED)
def test_a_wrong_call_is_refused_by_its_documented_name(desk: Desk, method: str, fields: dict[str, Any], error: str) -> None:
    """Slack's way: HTTP 200, ok false, one word; nothing is recorded."""
    answer = desk.call(method, **fields)
    assert (answer["ok"], answer["error"]) == (False, error)
    assert desk.inbox.all() == []


@pytest.mark.parametrize(
    ("token", "error"),
    [
        ("", "not_authed"),
        ("xoxb-other", "invalid_auth"),
        ("xoxb-revoked-1", "token_revoked"),
        ("xoxb-expired-1", "token_expired"),
        ("xoxb-inactive-1", "account_inactive"),
        ("xoxa-legacy", "not_allowed_token_type"),
    ],
)
def test_a_token_that_is_no_good_is_named(desk: Desk, token: str, error: str) -> None:
    """What an operator sees after a key was revoked, and what the notifier has to tell apart."""
    assert desk.raw("auth.test", token).json()["error"] == error


@pytest.mark.parametrize(
    ("content", "kind", "error"),
    [
        (b"{broken", "application/json", "invalid_json"),
        (b"[" * 5000, "application/json", "invalid_json"),
        (b"[1]", "application/json", "json_not_object"),
        (b"{}", "application/json; charset=koi8-r", "invalid_charset"),
        (b"<x/>", "application/xml", "invalid_post_type"),
        (b"x=1", "", "missing_post_type"),
        (b"no form at all", "application/x-www-form-urlencoded", "invalid_form_data"),
        (b"text=%ff", "application/x-www-form-urlencoded", "invalid_form_data"),
        (b"nothing", "multipart/form-data; boundary=x", "invalid_form_data"),
        (b"channel[0]=x&text=y", "application/x-www-form-urlencoded", "invalid_array_arg"),
    ],
)
def test_a_body_that_is_none_is_refused(desk: Desk, content: bytes, kind: str, error: str) -> None:
    """The errors that every method's page lists."""
    headers = {"Content-Type": kind} if kind else {}
    assert desk.raw("chat.postMessage", content=content, headers=headers).json()["error"] == error


def test_a_refusal_says_where(desk: Desk) -> None:
    """The JSON pointers that a developer gets from the real service."""
    answer = desk.call("chat.postMessage", **_section(text={"type": "mrkdwn", "text": "y" * 3001}))
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    ]


def test_what_is_right_is_taken_in_every_form(desk: Desk) -> None:
    """JSON, a form with JSON in it, a multipart form, a query; all kinds of blocks; a token in a form is not recorded."""
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Head", "emoji": True}},
        {"type": "section", "text": SECTION["text"], "accessory": BUTTON, "block_id": "b"},
        {"type": "section", "fields": [SECTION["text"]] * 10},
        {"type": "context", "elements": [SECTION["text"], {"type": "image", "image_url": "https://x/y", "alt_text": "z"}]},
        {"type": "actions", "elements": [BUTTON]},
        {"type": "image", "image_url": "https://x.org/y.png", "alt_text": "a plot"},
        {"type": "markdown", "text": "**bold**"},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "rich"}]}]},
        {"type": "divider"},
    ]
    assert desk.call("chat.postMessage", channel="a", text="json", blocks=blocks)["channel"] == ID
    form = {"token": TOKEN, "channel": ID, "text": "form", "blocks": json.dumps(blocks), "metadata": json.dumps(META)}
    assert desk.raw("chat.postMessage", token="", data=form).json()["ok"]
    assert desk.raw("chat.postMessage", files={"channel": (None, "#a"), "text": (None, "multipart")}).json()["ok"]
    assert desk.raw("chat.postMessage?channel=%23a&text=query").json()["ok"]
    messages = desk.inbox.all()
    assert [m["title"] for m in messages] == ["json", "form", "multipart", "query"]
    assert "Head\nx\nGo" in messages[0]["text"] and "rich" in messages[0]["text"]
    assert TOKEN not in json.dumps(messages)


def test_a_token_in_a_json_body_is_not_looked_at(desk: Desk) -> None:
    """With JSON it has to be in the header."""
    assert desk.raw("auth.test", token="", json={"token": TOKEN}).json()["error"] == "not_authed"


def test_too_long_a_text_is_cut_with_a_warning(desk: Desk) -> None:
    """As since 2018; only chat.update refuses."""
    answer = desk.call("chat.postMessage", channel="#a", text="y" * 40_001)
    assert answer["ok"] and answer["warning"] == "message_truncated"
    assert len(desk.inbox.all()[0]["raw"]["text"]) == 40_000


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("chat.postMessage", {"channel": "#a", "text": "x"}),
        ("chat.update", {"channel": ID, "text": "x", "ts": "1.0"}),
        ("conversations.history", {"channel": ID}),
        ("conversations.replies", {"channel": ID, "ts": "1.0"}),
        ("conversations.list", {}),
        ("auth.test", {}),
    ],
)
def test_each_method_keeps_its_tier(desk: Desk, method: str, fields: dict[str, Any]) -> None:
    """As many calls as documented, then 429 with whole seconds to wait, after which the next one is taken."""
    rate = SLACK_RATES[method]
    for _ in range(rate.count):
        assert desk.raw(method, json=fields).status_code == 200
    refused = desk.raw(method, json=fields)
    assert (refused.status_code, refused.json()) == (429, {"ok": False, "error": "ratelimited"})
    assert int(refused.headers["Retry-After"]) == rate.seconds
    desk.now += int(refused.headers["Retry-After"])
    assert desk.raw(method, json=fields).status_code == 200


def test_the_posting_rate_is_each_channels_own(tmp_path: Path) -> None:
    """A busy channel delays no other; its name and its id are the same channel."""
    desk = Desk(tmp_path, rates={"chat.postMessage": Rate(2, 2.0)})
    for channel in ("#a", ID):
        assert desk.call("chat.postMessage", channel=channel, text="x")["ok"]
    assert desk.raw("chat.postMessage", json={"channel": "a", "text": "x"}).status_code == 429
    assert desk.call("chat.postMessage", channel="#b", text="x")["ok"]


def test_an_edit_changes_what_it_names(desk: Desk) -> None:
    """What is left out stays; an empty list or object takes away; the state follows the metadata."""
    ts = desk.post("first", blocks=[SECTION], metadata=META)
    resolved = {**META, "event_payload": {"state": "resolved"}}
    desk.call("chat.update", channel=ID, ts=ts, text="second", metadata=resolved)
    desk.call("chat.update", channel=ID, ts=ts, text="third", blocks=[])
    desk.call("chat.update", channel=ID, ts=ts, text="fourth", metadata={})
    seen = [(m["state"], m["title"], m["text"], m["raw"]["edited"]) for m in desk.inbox.all()]
    assert seen == [
        ("firing", "first", "x", False),
        ("resolved", "second", "x", True),
        ("resolved", "third", "third", True),
        ("firing", "fourth", "fourth", True),
    ]
    message = desk.call("conversations.history", channel=ID, include_all_metadata=True)["messages"][0]
    assert message["text"] == "fourth" and "metadata" not in message and message["edited"]["ts"] == ts


def test_an_edit_may_come_too_late_or_change_the_kind(tmp_path: Path) -> None:
    """edit_window_closed and block_mismatch, which the notifier answers with a new message."""
    desk = Desk(tmp_path, edit_window=60.0)
    rich = {"type": "rich_text", "elements": [{"type": "rich_text_section"}]}
    ts = desk.post(blocks=[rich])
    assert desk.call("chat.update", channel=ID, ts=ts, text="x", blocks=[SECTION])["error"] == "block_mismatch"
    desk.now += 61.0
    assert desk.call("chat.update", channel=ID, ts=ts, text="x", blocks=[rich])["error"] == "edit_window_closed"


def test_history_is_one_channels_newest_first_without_replies(desk: Desk) -> None:
    """Only a reply that was broadcast is in the channel; a parent says how many answers it has."""
    first, _ = desk.post("one"), desk.post("elsewhere", channel="#b")
    desk.post("reply", thread_ts=first)
    last = desk.post("loud reply", thread_ts=first, reply_broadcast=True)
    desk.post("two")
    assert desk.texts() == ["two", "loud reply", "one"]
    assert desk.texts(channel=OTHER) == ["elsewhere"]
    parent = desk.call("conversations.history", channel=ID)["messages"][-1]
    assert (parent["reply_count"], parent["latest_reply"], parent["thread_ts"]) == (2, last, first)


def test_history_keeps_the_window_that_was_asked_for(desk: Desk) -> None:
    """oldest and latest exclude themselves unless inclusive."""
    stamps = [desk.post(str(number)) for number in range(5)]
    assert desk.texts(oldest=stamps[1], latest=stamps[4]) == ["3", "2"]
    assert desk.texts(oldest=stamps[1], latest=stamps[4], inclusive=True) == ["4", "3", "2", "1"]
    assert desk.texts(latest=stamps[2]) == ["1", "0"]


def test_history_comes_in_pages(desk: Desk) -> None:
    """limit, has_more and the cursor of the next page, as a form sends them too."""
    for number in range(5):
        desk.post(str(number))
    pages, cursor = [], ""
    while True:
        answer = desk.raw("conversations.history", data={"channel": ID, "limit": "2", "cursor": cursor}).json()
        pages.append([message["text"] for message in answer["messages"]])
        if not answer["has_more"]:
            break
        cursor = answer["response_metadata"]["next_cursor"]
    assert pages == [["4", "3"], ["2", "1"], ["0"]]


def test_metadata_is_given_only_when_asked_for(desk: Desk) -> None:
    """include_all_metadata as a flag in JSON and in a form, or the kinds by name."""
    ts = desk.post(metadata=META)
    for method in ("conversations.history", "conversations.replies"):
        for extra, given in (
            ({}, False),
            ({"include_all_metadata": True}, True),
            ({"include_all_metadata": False}, False),
            ({"metadata_keys_to_include": ["zads_incident"]}, True),
            ({"metadata_keys_to_include": ["other"]}, False),
        ):
            message = desk.call(method, channel=ID, ts=ts, **extra)["messages"][0]
            assert ("metadata" in message) is given, (method, extra)
    form = desk.raw("conversations.history", data={"channel": ID, "include_all_metadata": "1"}).json()
    assert form["messages"][0]["metadata"] == META


def test_replies_are_a_threads_oldest_first(desk: Desk) -> None:
    """Found by the parent's or a reply's ts; a reply to a reply belongs to the parent; another channel has no such thread."""
    root = desk.post("root")
    reply = desk.post("one", thread_ts=root)
    desk.post("two", thread_ts=reply)
    desk.post("aside")
    for ts in (root, reply):
        assert desk.texts("conversations.replies", ts=ts) == ["root", "one", "two"]
    assert desk.texts("conversations.replies", ts=root, oldest=reply) == ["two"]
    assert desk.texts("conversations.replies", ts=root, limit=2) == ["root", "one"]
    assert desk.call("conversations.replies", channel=OTHER, ts=root)["error"] == "thread_not_found"


def test_the_channels_are_listed_by_name(desk: Desk) -> None:
    """For who knows a name and needs the id; in pages; private ones there are none."""
    first = desk.call("conversations.list", types="public_channel,private_channel", limit=1)
    assert [(c["id"], c["name"]) for c in first["channels"]] == [(ID, "a")]
    second = desk.call("conversations.list", limit=1, cursor=first["response_metadata"]["next_cursor"])
    assert [(c["id"], c["name"]) for c in second["channels"]] == [(OTHER, "b")]
    assert second["response_metadata"]["next_cursor"] == ""
    assert desk.call("conversations.list", types="private_channel")["channels"] == []


@pytest.mark.parametrize(
    ("method", "scope"),
    [
        ("chat.postMessage", "chat:write"),
        ("chat.update", "chat:write"),
        ("conversations.history", "channels:history"),
        ("conversations.replies", "channels:history"),
        ("conversations.list", "channels:read"),
    ],
)
def test_a_bot_may_do_only_what_it_was_granted(tmp_path: Path, method: str, scope: str) -> None:
    """missing_scope says what is needed and what there is."""
    answer = Desk(tmp_path, scopes={"users:read"}).call(method, channel=ID)
    assert (answer["error"], answer["needed"], answer["provided"]) == ("missing_scope", scope, "users:read")


def test_two_messages_never_have_the_same_ts(desk: Desk) -> None:
    """It is their identity, also when the clock stands still."""
    answers = [desk.call("chat.postMessage", channel="#a", text="x")["ts"] for _ in range(5)]
    assert len(set(answers)) == 5


def test_messages_are_known_after_a_restart(tmp_path: Path) -> None:
    """An old message can be edited, answered and read; a new one's ts is later; a token is never in the record."""
    desk = Desk(tmp_path)
    root = desk.post("old", blocks=[SECTION], metadata=META)
    desk.post("reply", thread_ts=root)
    desk.call("chat.update", channel=ID, ts=root, text="edited once")
    again = Desk(tmp_path)
    assert again.texts() == ["edited once"]
    assert again.texts("conversations.replies", ts=root) == ["edited once", "reply"]
    assert again.call("chat.update", channel=ID, ts=root, text="edited twice")["ok"]
    assert again.inbox.all()[-1]["text"] == "x"  # the blocks of before the restart
    assert again.post("late reply", thread_ts=root) > root
    assert TOKEN not in (tmp_path / "received.jsonl").read_text()
