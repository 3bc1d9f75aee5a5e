"""Slack on the wire: nothing twice after a crash, transient and permanent told apart, nothing injected, heard when it must be."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from notifier.channels.slack import SlackChannel
from notifier.channels.slack_lookup import Lookup
from notifier.model import Delivery, DeliveryError, Incident
from notifier.render import Renderer
from tests.unit.notifier.site import TOKEN, Site, alert, wait
from zads.config import Slack as Settings
from zads.stack.standins import Reply, Slack


class Slacker:
    """The stand-in, with channel lists, and faults that a test puts in its way: an answer instead, or none after the work."""

    def __init__(self, inner: Slack) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.instead: dict[str, list[str]] = {}  # method: errors, given instead of the work
        self.after: dict[str, list[str]] = {}  # method: errors, given although the work was done
        self.scopes = True

    def call(self, method: str, token: str, fields: dict[str, Any]) -> Reply:
        self.calls.append(method)
        if self.instead.get(method):
            return Reply(200, {"ok": False, "error": self.instead[method].pop(0)})
        if method == "conversations.list":
            if not self.scopes:
                return Reply(200, {"ok": False, "error": "missing_scope"})
            page = (
                [{"id": "C0OTHER0001", "name": "other"}]
                if not fields.get("cursor")
                else [{"id": "C0ZADS00001", "name": "alerts"}]
            )
            return Reply(
                200,
                {"ok": True, "channels": page, "response_metadata": {"next_cursor": "" if fields.get("cursor") else "2"}},
            )
        reply = self.inner.call(method, token, fields)
        if self.after.get(method):
            return Reply(200, {"ok": False, "error": self.after[method].pop(0)})
        return reply


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[tuple[Site, Slacker]]:
    site = Site(tmp_path)
    slacker = Slacker(site.slack)
    site.slack = slacker
    try:
        site.start_providers()
        yield site, slacker
    finally:
        site.close()


def _shown(site: Site, state: str = "firing") -> list[dict[str, Any]]:
    return [m for m in site.got("slack", state) if not m["raw"]["edited"]]


@pytest.mark.parametrize("channel", ["name", "id"])
def test_a_crash_between_slacks_answer_and_the_commit_posts_nothing_twice(
    tmp_path: Path, channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first message ever: the new process finds the channel, finds the message, and edits it later."""
    site = Site(tmp_path)
    slacker = Slacker(site.slack)
    site.slack = slacker
    if channel == "id":
        object.__setattr__(site.config.notifier.slack, "channel", "C0ZADS00001")
    try:
        site.start_providers()
        notifier = site.start()
        sent = notifier.store.sent

        def crash(delivery: Delivery, *rest: Any) -> None:
            if delivery.channel == "slack":
                raise sqlite3.OperationalError("killed here")
            sent(delivery, *rest)

        monkeypatch.setattr(notifier.store, "sent", crash)
        site.post(alert())
        wait(lambda: _shown(site))
        site.stop()
        site.start()
        wait(lambda: site.notifier and "slack" not in site.notifier.store.queue())
        assert len(_shown(site)) == 1
        assert ("conversations.list" in slacker.calls) == (channel == "name")
        site.post(alert("resolved"))
        wait(lambda: len(site.got("slack", "resolved")) == 2)
        assert site.got("slack", "resolved")[0]["raw"]["edited"]
    finally:
        site.close()


@pytest.mark.parametrize("error", ["internal_error", "fatal_error", "request_timeout"])
def test_slacks_own_trouble_is_looked_up_before_a_second_try(slow_site: tuple[Site, Slacker], error: str) -> None:
    """It answers with an error of its own and has posted the message all the same."""
    site, slacker = slow_site
    site.start()
    slacker.after["chat.postMessage"] = [error]
    site.post(alert())
    wait(lambda: site.notifier and "slack" not in site.notifier.store.queue(), 15)
    assert len(_shown(site)) == 1
    assert site.notifier and site.notifier.store.parked() == {}
    site.post(alert("resolved"))
    wait(lambda: len(site.got("slack", "resolved")) == 2)
    assert site.got("slack", "resolved")[0]["raw"]["edited"]


def test_a_reply_that_arrived_although_slack_said_not_is_not_repeated(slow_site: tuple[Site, Slacker]) -> None:
    """The end as a reply in the thread: once."""
    site, slacker = slow_site
    site.start()
    site.post(alert())
    wait(lambda: _shown(site))
    slacker.after["chat.postMessage"] = ["internal_error"]
    site.post(alert("resolved"))
    wait(lambda: site.notifier and "slack" not in site.notifier.store.queue(), 15)
    assert len(_shown(site, "resolved")) == 1
    assert site.notifier and site.notifier.store.parked() == {}


def test_where_the_bot_may_not_look_a_second_message_says_that_it_is_perhaps_one(
    slow_site: tuple[Site, Slacker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather twice than never, and marked."""
    site, slacker = slow_site
    slacker.scopes = False
    object.__setattr__(site.config.notifier.slack, "channel", "#alerts")
    notifier = site.start()
    sent = notifier.store.sent

    def crash(delivery: Delivery, *rest: Any) -> None:
        if delivery.channel == "slack":
            raise sqlite3.OperationalError("killed here")
        sent(delivery, *rest)

    monkeypatch.setattr(notifier.store, "sent", crash)
    site.post(alert())
    wait(lambda: _shown(site))
    site.stop()
    site.start()
    wait(lambda: len(_shown(site)) == 2)
    assert ["Perhaps a repeat" in m["text"] for m in _shown(site)] == [False, True]


def test_an_edit_that_fails_for_now_is_tried_again(slow_site: tuple[Site, Slacker]) -> None:
    """update_failed passes by itself; it is no reason to give up."""
    site, slacker = slow_site
    site.start()
    site.post(alert())
    wait(lambda: _shown(site))
    slacker.instead["chat.update"] = ["update_failed"]
    site.post(alert("resolved"))
    wait(lambda: len(site.got("slack", "resolved")) == 2, 15)
    assert site.notifier and site.notifier.store.parked() == {}


@pytest.mark.parametrize("error", ["thread_not_found", "cannot_reply_to_message"])
def test_a_thread_that_is_gone_is_answered_in_the_channel(slow_site: tuple[Site, Slacker], error: str) -> None:
    """Somebody deleted the message: the end is told all the same."""
    site, slacker = slow_site
    site.start()
    site.post(alert())
    wait(lambda: _shown(site))
    slacker.instead["chat.postMessage"] = [error]
    site.post(alert("resolved"))
    wait(lambda: _shown(site, "resolved"))
    assert "thread_ts" not in _shown(site, "resolved")[0]["raw"]
    assert site.notifier and site.notifier.store.parked() == {}


def test_a_page_that_fires_again_is_shown_to_the_channel(slow_site: tuple[Site, Slacker]) -> None:
    """An edit and a reply notify nobody who does not follow the thread; an end need not wake anybody."""
    site, _ = slow_site
    site.start()
    now = datetime.now(UTC)
    first, second = (now - timedelta(minutes=9)).isoformat(), now.isoformat()
    site.post(alert(starts=first))
    wait(lambda: _shown(site))
    site.post({**alert("resolved", starts=first), "endsAt": second})
    wait(lambda: _shown(site, "resolved"))
    site.post(alert(starts=second))
    wait(lambda: len(_shown(site)) == 2)
    again = _shown(site)[1]
    assert again["raw"]["reply_broadcast"] in (True, "true", "1", 1)
    assert "again" in again["title"]
    assert str(_shown(site, "resolved")[0]["raw"].get("reply_broadcast")).lower() in {"false", "0", "none"}
    assert site.notifier
    site.notifier.dispatcher.wake(site.notifier.store.remind(-1.0))
    wait(lambda: len(_shown(site)) == 3)
    assert str(_shown(site)[2]["raw"]["reply_broadcast"]).lower() in {"true", "1"}


def test_no_label_can_mention_or_link(slow_site: tuple[Site, Slacker]) -> None:
    """Markup in labels, in the runbook's address and in the dashboard's name stays text or is left out."""
    site, _ = slow_site
    site.start()
    one = alert()
    evil = "https://x> <!channel> <https://evil|Runbook"
    one["labels"]["host"] = "<!here>"
    one["annotations"] |= {
        "summary": "down <!channel> <@U1> & more",
        "runbook_url": evil,
        "dashboard": "z> <!here>",
        "first": "<https://evil|click>",
    }
    site.post(one)
    text = wait(lambda: _shown(site))[0]["text"]
    assert "<!" not in text and "<@" not in text and "<https://evil" not in text
    links = [part.split("|") for part in text.splitlines()[-1].split(" · ")]
    assert [name.rstrip(">") for _, name in links] == ["Acknowledge", "Runbook", "Dashboard", "Silence"]
    assert links[1][0] == "<https://x%3E%20%3C!channel%3E%20%3Chttps://evil%7CRunbook"
    assert links[2][0].endswith("/dashboard/zads-health")


def test_the_lookup_reads_on_from_the_time_of_the_first_try() -> None:
    """More than a page of newer messages hides nothing; what is older than the delivery is not read."""
    asked: list[Mapping[str, Any]] = []

    def call(_method: str, **fields: Any) -> Mapping[str, Any]:
        asked.append(fields)
        number = len(asked)
        entry = {"ts": f"{number}.0", "metadata": {"event_payload": {"delivery": "5-1000" if number == 3 else "other"}}}
        return {"messages": [entry], "response_metadata": {"next_cursor": str(number)}}

    incident = Incident(1, "f", "firing", "page", {}, {}, 1.0, 1.0)
    found = Lookup("C0123456789", call).posted(Delivery(5, incident, "slack", "firing", 2, 1000.5, True))
    assert found == (True, {"ts": "3.0", "channel": "C0123456789"})
    assert {fields["oldest"] for fields in asked} == {"940.500000"}


@pytest.mark.parametrize(
    ("status", "body", "permanent", "doubtful", "wait_for"),
    [
        (200, '{"ok": false, "error": "token_revoked"}', True, False, None),
        (200, '{"ok": false, "error": "is_archived"}', True, False, None),
        (429, '{"ok": false, "error": "ratelimited"}', False, False, 7.0),
        (503, '{"ok": false, "error": "service_unavailable"}', False, True, None),
        (502, "<html>Bad Gateway</html>", False, True, None),
        (200, "<html>log in to the hotel's network</html>", False, True, None),
    ],
)
def test_every_kind_of_answer_is_read_for_what_it_is(
    status: int, body: str, permanent: bool, doubtful: bool, wait_for: float | None
) -> None:
    """What stays, what passes, what may have arrived; a proxy's page is no answer of Slack's."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Retry-After", "7") if status == 429 else None
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        settings = Settings(channel="#alerts", base_url=f"http://127.0.0.1:{server.server_port}/api/", token_env="X")
        incident = Incident(1, "f", "firing", "page", {}, {"summary": "s"}, 1.0, 1.0)
        delivery = Delivery(1, incident, "slack", "firing", 1, time.time())
        with pytest.raises(DeliveryError) as caught:
            SlackChannel(settings, TOKEN).send(delivery, Renderer("http://n").message(delivery))
        assert (caught.value.permanent, caught.value.doubtful, caught.value.retry_after) == (permanent, doubtful, wait_for)
    finally:
        server.shutdown()
        server.server_close()
