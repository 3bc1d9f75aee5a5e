"""Slack on the wire: nothing twice after a crash, transient and permanent told apart, nothing injected, heard when it must be."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from notifier.channels.slack import SlackChannel
from notifier.channels.slack_content import blocks, plain, short
from notifier.channels.slack_hook import SlackHookChannel
from notifier.channels.slack_lookup import Lookup
from notifier.model import Delivery, DeliveryError, Incident, Receipt
from notifier.render import Renderer
from tests.unit.notifier.site import TOKEN, Site, alert, free_port, wait
from tests.unit.notifier.wire import CUT, GARBAGE, SLOW, serving
from zads.config import ConfigErrors, SecretError, parse
from zads.config import Slack as Settings
from zads.stack.inbox import DeadMan, application
from zads.stack.inbox_store import Inbox
from zads.stack.standin_slack_hook import SlackHook
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
    links = [part.split("|") for line in text.splitlines() if "|Acknowledge>" in line for part in line.split(" · ")]
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


def _delivery(**words: Any) -> Delivery:
    incident = words.pop("incident", Incident(1, "f", "firing", "page", {}, {"summary": "Kafka down"}, 1.0, 1.0))
    return Delivery(5, incident, "slack", words.pop("kind", "firing"), words.pop("attempts", 1), time.time(), **words)


def _wired(url: str, **words: Any) -> SlackChannel:
    return SlackChannel(Settings(channel="#alerts", base_url=f"{url}/api/", token_env="X"), TOKEN, **words)


def _send(channel: Any, delivery: Delivery | None = None) -> Receipt:
    delivery = delivery or _delivery()
    receipt: Receipt = channel.send(delivery, Renderer("http://n").message(delivery))
    return receipt


def _no(error: str, status: int = 200, **headers: str) -> Any:
    body = json.dumps({"ok": False, "error": error})
    return status, {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}, body


POSTED = (200, {"Content-Type": "application/json"}, '{"ok": true, "ts": "9.000001", "channel": "C0ZADS00001"}')
PERMANENT = [
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "no_permission",
    "missing_scope",
    "not_allowed_token_type",
    "org_login_required",
    "ekm_access_denied",
    "access_denied",
    "accesslimited",
    "team_access_not_granted",
    "two_factor_setup_required",
    "method_deprecated",
    "deprecated_endpoint",
    "enterprise_is_restricted",
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "restricted_action",
    "restricted_action_read_only_channel",
    "restricted_action_thread_only_channel",
    "as_user_not_supported",
    "invalid_arg_name",
    "invalid_array_arg",
    "invalid_charset",
    "invalid_form_data",
    "invalid_post_type",
    "missing_post_type",
    "message_limit_exceeded",
    "team_not_found",
    "slack_connect_canvas_sharing_blocked",
]
TRANSIENT = ["ratelimited", "rate_limited", "service_unavailable", "team_added_to_org", "external_channel_migrating"]
AMBIGUOUS = ["internal_error", "fatal_error", "request_timeout"]
FORM = [
    "msg_too_long",
    "invalid_blocks",
    "msg_blocks_too_long",
    "invalid_blocks_format",
    "invalid_arguments",
    "invalid_attachments",
    "too_many_attachments",
    "no_text",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "metadata_too_large",
    "metadata_must_be_sent_from_app",
    "markdown_text_conflict",
]
CANNOT_EDIT = [
    "cant_update_message",
    "edit_window_closed",
    "message_not_found",
    "is_inactive",
    "block_mismatch",
    "team_not_found",
]


@pytest.mark.parametrize("error", PERMANENT)
def test_every_documented_error_that_stays_is_parked(error: str) -> None:
    """chat.postMessage: one call, no repetition of the library's."""
    with serving(_no(error)) as wire, pytest.raises(DeliveryError, match=error) as caught:
        _send(_wired(wire.url))
    assert (caught.value.permanent, caught.value.doubtful, len(wire.got)) == (True, False, 1)


@pytest.mark.parametrize("error", [*TRANSIENT, *AMBIGUOUS])
def test_every_documented_error_that_passes_is_tried_again(error: str) -> None:
    """Also with HTTP 200; where Slack may have posted all the same, it is looked up first."""
    with serving(_no(error, Retry_After="7")) as wire, pytest.raises(DeliveryError, match=error) as caught:
        _send(_wired(wire.url))
    assert (caught.value.permanent, caught.value.doubtful) == (False, error in AMBIGUOUS)
    assert (caught.value.retry_after, len(wire.got)) == (7.0, 1)


@pytest.mark.parametrize("error", FORM)
def test_a_page_is_never_dropped_for_its_looks(error: str) -> None:
    """Once more as plain text with all that matters, without blocks; at last the title alone."""
    with serving(_no(error), POSTED) as wire:
        assert _send(_wired(wire.url)).references["ts"] == "9.000001"
    first, second = (json.loads(one.body) for one in wire.got)
    assert first["blocks"] and second["blocks"] == [] and "Kafka down" in second["text"] and "Acknowledge" in second["text"]
    with serving(_no(error), _no(error), POSTED) as wire:
        _send(_wired(wire.url))
    assert "metadata" not in json.loads(wire.got[2].body)
    with serving(_no(error)) as wire, pytest.raises(DeliveryError, match=error) as caught:
        _send(_wired(wire.url))
    assert (caught.value.permanent, len(wire.got)) == (True, 3)


@pytest.mark.parametrize("error", [*CANNOT_EDIT, "channel_not_found", "is_archived"])
def test_what_cannot_be_edited_is_told_anew(error: str) -> None:
    """Deleted by hand, too old, in a channel that is gone: a message of its own in the channel of today, edited from now on."""
    with serving(_no(error), POSTED) as wire:
        receipt = _send(
            _wired(wire.url), _delivery(kind="resolved", references={"ts": "1.000001", "channel": "C0OLD000001"})
        )
    assert receipt.references == {"ts": "9.000001", "channel": "C0ZADS00001"}
    assert [one.path for one in wire.got] == ["/api/chat.update", "/api/chat.postMessage"]
    said = json.loads(wire.got[1].body)
    assert said["channel"] == "#alerts" and "thread_ts" not in said


@pytest.mark.parametrize("error", ["update_failed", "streaming_state_conflict", "internal_error", "ratelimited"])
def test_an_edit_that_fails_for_now_posts_nothing_new(error: str) -> None:
    """It is tried again as an edit."""
    with serving(_no(error)) as wire, pytest.raises(DeliveryError, match=error) as caught:
        _send(_wired(wire.url), _delivery(kind="resolved", references={"ts": "1.000001", "channel": "C0OLD000001"}))
    assert not caught.value.permanent and len(wire.got) == 1


@pytest.mark.parametrize(
    ("answer", "doubtful", "wait_for"),
    [
        (_no("ratelimited", 429, Retry_After="7"), False, 7.0),
        (_no("ratelimited", 429, Retry_After="Wed, 01 Apr 2020 08:00:00 GMT"), False, 0.0),
        (_no("ratelimited", 429), False, None),
        (_no("service_unavailable", 503), True, None),
        ((500, {}, ""), True, None),
        ((502, {}, "<html>Bad Gateway</html>"), True, None),
        ((200, {}, "<html>log in to the hotel's network</html>"), True, None),
        ((200, {}, ""), True, None),
        ((200, {"Content-Type": "application/json"}, "[]"), True, None),
        ((200, {"Content-Type": "application/json"}, '"ok"'), True, None),
        ((200, {"Content-Type": "application/json"}, "[1]"), True, None),
        ((200, {"Content-Type": "application/json"}, '{"ok": false}'), True, None),
        ((302, {"Location": "http://127.0.0.1:1/"}, ""), False, None),
        (CUT, True, None),
        (SLOW, True, None),
        (GARBAGE, True, None),
    ],
)
def test_every_kind_of_answer_is_read_for_what_it_is(answer: Any, doubtful: bool, wait_for: float | None) -> None:
    """Statuses, cut off, endless, malformed, a proxy's page: all pass; some may have arrived."""
    with serving(answer) as wire, pytest.raises(DeliveryError) as caught:
        _send(_wired(wire.url, timeout=1))
    assert (caught.value.permanent, caught.value.doubtful, caught.value.retry_after) == (False, doubtful, wait_for)
    assert TOKEN not in str(caught.value)


def test_nobody_there_and_no_such_name_surely_did_not_arrive() -> None:
    """No look-up before the next try, and no mark that it may be a repetition."""
    for url, words in (
        (f"http://127.0.0.1:{free_port()}", "nobody listens there"),
        ("http://no-such-host.invalid", "the name cannot be resolved"),
    ):
        with pytest.raises(DeliveryError, match=words) as caught:
            _send(_wired(url))
        assert (caught.value.permanent, caught.value.doubtful) == (False, False)


def test_an_answer_without_an_id_is_taken_for_what_it_says() -> None:
    """It is posted; what follows is a message of its own, since nothing can be edited."""
    with serving((200, {"Content-Type": "application/json"}, '{"ok": true}')) as wire:
        assert _send(_wired(wire.url)).references == {}


def test_who_is_on_call_is_mentioned_once_and_nobody_else() -> None:
    """Only while it fires, only a real member id; in blocks and in the plain text."""
    message = replace(Renderer("http://n").message(_delivery()), mention="U02AB3CDE", title="<@U1> <!channel> down")
    for text in (json.dumps(blocks(message)), plain(message)):
        assert text.count("<@") == text.count("<@U02AB3CDE>") == 1 and "<!" not in text
    assert "<@" not in short(message)
    for other in (replace(message, state="acknowledged"), replace(message, state="resolved"), replace(message, mention="")):
        assert "<@" not in plain(other)
    for evil in ("U1><!channel", "!channel", "someone@example.org", "u02ab3cde"):
        assert "<@" not in plain(replace(message, mention=evil)) and "<!" not in plain(replace(message, mention=evil))


def test_long_texts_keep_slacks_limits() -> None:
    """Sections under 3,000 characters, no half escape, no half link, the rest of the message still there."""
    message = replace(
        Renderer("http://n").message(_delivery()),
        what=("&" * 5000,),
        links=tuple((f"L{n}", f"https://x.org/?{'a&' * 400}{n}") for n in range(9)),
    )
    found = [block["text"]["text"] for block in blocks(message)]
    assert all(len(text) < 3000 for text in found)
    assert found[1].removesuffix(" ...").replace("&amp;", "") == ""
    assert found[2].count("<") == found[2].count(">") == found[2].count("|") > 0
    assert len(plain(message)) <= 3000 and plain(message).count("<") == plain(message).count(">") > 0
    reply = Slack(Inbox(Path("/dev/null")), TOKEN, "#alerts").call(
        "chat.postMessage", TOKEN, {"channel": "#alerts", "text": short(message), "blocks": blocks(message)}
    )
    assert reply.body["ok"], reply


# By an incoming webhook.

HOOK = "T0ZADS/B0ZADS/a-part-that-is-secret"


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[tuple[Inbox, str]]:
    """Give a workspace with an incoming webhook, and the address in front of /services/."""
    site = Site(tmp_path)
    app = application(site.inbox, site.slack, site.pagerduty, DeadMan(site.inbox), hook=SlackHook(site.slack, HOOK))
    try:
        site.serve(app, site.http)
        yield site.inbox, f"http://127.0.0.1:{site.http}/slack/services/"
    finally:
        site.close()


def test_a_webhook_tells_each_change_as_a_message(hooked: tuple[Inbox, str]) -> None:
    """No edit and no thread: firing, acknowledged and resolved one after the other; nothing is remembered of them."""
    inbox, url = hooked
    channel = SlackHookChannel(url + HOOK)
    states: tuple[Literal["firing", "acknowledged", "resolved"], ...] = ("firing", "acknowledged", "resolved")
    for state in states:
        incident = replace(_delivery().incident, state=state, acknowledged_by="operator 1", resolved_at=90.0)
        assert _send(channel, _delivery(kind=state, incident=incident)).references == {}
    texts = [message["text"] for message in inbox.all()]
    assert len(texts) == 3
    assert [word in text for word, text in zip(("PAGE", "ACKNOWLEDGED", "RESOLVED"), texts, strict=True)] == [True] * 3
    _send(channel, _delivery(doubtful=True))
    assert "Perhaps a repeat" in inbox.all()[-1]["text"]


@pytest.mark.parametrize(
    ("path", "permanent", "words"),
    [
        ("archived", True, "410 Gone: channel_is_archived"),
        ("gone", True, "404 Not Found: channel_not_found"),
        ("prohibited", True, "403 Forbidden: action_prohibited"),
        ("disabled", True, "403 Forbidden: team_disabled"),
        ("unknown", True, "404 Not Found: no_service"),
        ("broken", False, "500 Internal Server Error: rollup_error"),
    ],
)
def test_a_webhooks_errors_are_told_apart(hooked: tuple[Inbox, str], path: str, permanent: bool, words: str) -> None:
    """As Slack documents them; the address is not in the words."""
    with pytest.raises(DeliveryError, match=words) as caught:
        _send(SlackHookChannel(hooked[1] + path))
    assert caught.value.permanent == permanent
    assert "services" not in str(caught.value)


@pytest.mark.parametrize("name", ["invalid_payload", "invalid_blocks", "no_text", "user_not_found"])
def test_a_webhook_that_refuses_the_form_gets_plain_text(name: str) -> None:
    """Then it is parked."""
    with serving((400, name), (200, "ok")) as wire:
        _send(SlackHookChannel(f"{wire.url}/services/{HOOK}"))
    assert "blocks" in json.loads(wire.got[0].body) and "blocks" not in json.loads(wire.got[1].body)
    with serving((400, name)) as wire, pytest.raises(DeliveryError, match=name) as caught:
        _send(SlackHookChannel(f"{wire.url}/services/{HOOK}"))
    assert caught.value.permanent and len(wire.got) == 2


@pytest.mark.parametrize(
    ("answer", "doubtful", "wait_for"),
    [
        ((429, {"Retry-After": "30"}, "rate_limited"), False, 30.0),
        ((503, {}, ""), False, None),
        ((502, {}, f"<html>services/{HOOK}</html>"), True, None),
        ((200, {}, "<html>log in to the hotel's network</html>"), True, None),
        (CUT, True, None),
        (SLOW, True, None),
    ],
)
def test_a_webhook_without_an_answer_of_slacks(
    answer: Any, doubtful: bool, wait_for: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Tried again; nothing that is said holds the address."""
    with serving(answer) as wire, caplog.at_level(logging.INFO), pytest.raises(DeliveryError) as caught:
        _send(SlackHookChannel(f"{wire.url}/services/{HOOK}", timeout=0.4))
    assert (caught.value.permanent, caught.value.doubtful, caught.value.retry_after) == (False, doubtful, wait_for)
    assert "secret" not in f"{caught.value} {caplog.text}"


def test_a_webhooks_address_is_a_secret_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file or the environment; exactly one of it and a token; what is no address is refused without being quoted."""
    monkeypatch.setenv("HOOK", "hooks.slack.com/services/secret")
    settings = Settings(channel="#alerts", webhook_url_env="HOOK")
    with pytest.raises(SecretError, match="no address") as caught:
        settings.key()
    assert caught.value.key == "notifier.slack.webhook_url_env" and "services" not in str(caught.value)
    monkeypatch.setenv("HOOK", f"https://hooks.slack.com/services/{HOOK}")
    assert settings.key().endswith(HOOK)
    site = Site(tmp_path)
    both = f'token_file = "{tmp_path}/slack"'
    with pytest.raises(ConfigErrors, match="beside a bot's token"):
        parse(site.toml.replace(both, f'{both}\nwebhook_url_env = "HOOK"'))
    with pytest.raises(ConfigErrors, match="token_file"):
        parse(site.toml.replace(both, ""))
    assert parse(site.toml.replace(both, 'webhook_url_env = "HOOK"')).notifier.slack
