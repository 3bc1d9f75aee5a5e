"""The receiver of signed webhooks: only what is signed, of now, whole and new is shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_rates import Rate
from zads.stack.standin_webhook import Webhook
from zads.stack.standins import PagerDuty, Slack

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
BODY = json.dumps(
    {"version": 1, "id": "m1", "type": "incident.firing", "message": {"state": "firing", "title": "Kafka down"}}
)


class Desk:
    """A receiver behind HTTP with a clock that a test moves."""

    def __init__(self, folder: Path, **words: Any) -> None:
        self.now = 1_775_030_400.0
        self.inbox = Inbox(folder / "received.jsonl")
        receiver = Webhook(self.inbox, words.pop("secret", SECRET), clock=lambda: self.now, **words)
        pagerduty = PagerDuty(self.inbox, "k")
        app = application(self.inbox, Slack(self.inbox, "xoxb", "#a"), pagerduty, DeadMan(self.inbox), webhook=receiver)
        self.client = TestClient(app)

    def post(self, body: str | bytes = BODY, *, name: str = "m1", at: float | None = None, **headers: str) -> Any:
        data = body.encode() if isinstance(body, str) else body
        seconds = str(int(self.now if at is None else at))
        mark = base64.b64encode(hmac.new(KEY, f"{name}.{seconds}.".encode() + data, hashlib.sha256).digest()).decode()
        whole = {"webhook-id": name, "webhook-timestamp": seconds, "webhook-signature": f"v1,{mark}"} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        return self.client.post("/webhook", content=data, headers={k: v for k, v in whole.items() if v})


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_signed_message_is_shown_once(desk: Desk) -> None:
    """The repetition is accepted, as the specification asks, and not shown; another name is another message."""
    assert [desk.post().status_code, desk.post().status_code, desk.post(name="m2").status_code] == [200, 200, 200]
    assert [(m["channel"], m["state"], m["title"]) for m in desk.inbox.all()] == [("webhook", "firing", "Kafka down")] * 2
    assert "<span>Webhook</span>" in desk.client.get("/").text


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"webhook_signature": "v1,AAAA"}, 401),
        ({"webhook_signature": ""}, 400),
        ({"webhook_signature": "v1a,AAAA"}, 401),
        ({"webhook_signature": "nonsense"}, 401),
        ({"webhook_id": "m2"}, 401),
        ({"webhook_id": ""}, 400),
        ({"webhook_timestamp": "1775030401"}, 401),
        ({"webhook_timestamp": "soon"}, 400),
        ({"webhook_timestamp": ""}, 400),
        ({"at": 1_775_030_400.0 - 301}, 401),
        ({"at": 1_775_030_400.0 + 301}, 401),
        ({"body": "no json"}, 400),
        ({"body": "[]"}, 422),
        ({"body": '{"version": 2, "message": {}}'}, 422),
        ({"body": "x" * 1_000_001}, 413),
    ],
)
def test_everything_else_is_refused(desk: Desk, words: dict[str, Any], status: int) -> None:
    """Not signed, signed for another name or time, too old, too new, not of version 1, too large."""
    assert desk.post(**words).status_code == status
    assert desk.inbox.all() == []


def test_one_fitting_signature_among_many_is_enough(desk: Desk) -> None:
    """The secret is being changed: the sender signs with both."""
    right = desk.post().request.headers["webhook-signature"]
    assert desk.post(webhook_signature=f"v1a,xyz v1,AAAA {right}").status_code == 200


def test_without_a_secret_nothing_is_taken(tmp_path: Path) -> None:
    """Not even what is signed with nothing."""
    assert Desk(tmp_path, secret="").post().status_code == 401


def test_too_many_are_told_when_to_come_again(tmp_path: Path) -> None:
    """429 with Retry-After; what is badly signed does not count."""
    desk = Desk(tmp_path, rate=Rate(2, 60.0))
    desk.post(webhook_signature="v1,AAAA")
    assert [desk.post(name=str(n)).status_code for n in range(3)] == [200, 200, 429]
    assert desk.post(name="9").headers["Retry-After"] == "60"


FIELDS = st.sampled_from(["state", "title", "what", "impact", "first", "notes", "links"])


@settings(max_examples=100, deadline=None)
@given(message=st.dictionaries(FIELDS, st.integers() | st.text() | st.lists(st.none())))
def test_no_message_breaks_the_receiver(tmp_path_factory: pytest.TempPathFactory, message: dict[str, Any]) -> None:
    """Whatever the fields are."""
    desk = Desk(tmp_path_factory.mktemp("inbox"))
    assert desk.post(json.dumps({"version": 1, "message": message})).status_code == 200
    assert desk.client.get("/").status_code == 200
