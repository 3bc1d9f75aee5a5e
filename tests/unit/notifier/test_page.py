"""The page over HTTP: what it shows to whom, what its buttons do, what programs read, and that nothing odd is an internal error."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from notifier.site import Site as Web
from notifier.site_answers import form_of, guarded
from tests.unit.notifier.browser import Reader, guarded_site
from tests.unit.notifier.site import TOKEN, Site, alert, free_port, wait

_READ = ("/", "/incident/1", "/history", "/statistics", "/runbook", "/wall", "/api/v1/incidents.json", "/login")
_MORE = """
[[notifier.oncall]]
name = "Ada"
[[notifier.oncall]]
name = "grace@example.org"
[notifier.quiet_hours]
begins = "00:00"
ends = "23:59"
[[notifier.maintenance]]
begins = 2020-01-01T10:00:00
ends = 2099-12-01T12:00:00
match = ['service="planned"']
why = "new disks"
"""


def _alert(mark: str, *, severity: str = "page", **labels: str) -> dict[str, Any]:
    one = alert(severity=severity, mark=mark)
    one["labels"] |= labels
    return one


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give a site where Slack refuses, quiet hours and planned work hold things back, and labels hold secrets and markup."""
    site = guarded_site(tmp_path_factory.mktemp("busy"), _MORE)
    try:
        site.slack._token = "another"
        site.start_providers()
        site.start()
        site.heartbeat()
        secret = _alert(
            "a",
            api_token="hunter2",
            mail="boss@example.org",
            hook="https://hooks.example.org/T0/B0",
            odd="<script>x</script>",
        )
        secret["annotations"]["summary"] = "Kafka down, ask boss@example.org <img src=x onerror=alert(1)>"
        site.post(secret)
        site.post(_alert("b", severity="ticket"))
        site.post(_alert("c", service="planned"))
        site.post(_alert("d", severity="info", headline="DISK FILLS"))
        site.post(body=b'{"password": "hunter2"}')
        assert site.notifier
        store = site.notifier.store
        wait(lambda: store.parked().get("slack") == 1 and not store.queue())
        yield site
    finally:
        site.close()


# -- looking ---------------------------------------------------------------------------------------


def test_the_first_page_says_what_is_open_who_is_on_call_and_what_waits_and_why(busy: Site) -> None:
    """Pages first; who takes over and when in local time; quiet hours and planned work with what they hold."""
    text = Reader(busy).get("/").text
    assert "2 pages and 1 ticket open" in text
    assert text.index('class="card page"') < text.index('class="card ticket"')
    assert "Nobody has acknowledged any of the pages" in text
    assert re.search(r"takes over <time [^>]*>Mon \d\d \w+ 09:00 P[SD]T</time>", text)
    assert "Quiet hours" in text and "tickets wait, pages do not" in text
    assert "Planned work" in text and "new disks" in text
    assert text.count("message about 1 incident held until") + text.count("messages about 1 incident held until") == 2
    assert "1 note, told to nobody" in text
    assert ">heard</span>" in text and ">writable</span>" in text


def test_a_broken_channel_says_since_when_why_and_what_is_parked(busy: Site) -> None:
    """In words; the others are said to work."""
    text = Reader(busy).get("/").text
    channel = text.partition("<b>Slack</b>")[2].partition("</li>")[0]
    assert "does not accept messages" in channel and "since <time" in channel
    assert "1 message parked: refused for good" in channel and "invalid_auth" in channel
    assert ">works</span>" in text.partition("<b>PagerDuty</b>")[2].partition("</li>")[0]


def test_anonymous_readers_see_no_address_secret_or_link_and_no_button(busy: Site) -> None:
    """On no page, in no JSON, in no search by them; who is logged in sees the labels as they are."""
    anonymous, known = Reader(busy), Reader(busy)
    known.log_in()
    for path in (*_READ, "/history?q=boss", "/history?about=kafka-public"):
        text = anonymous.get(path).text
        for secret in ("hunter2", "boss@example.org", "grace@example.org", "hooks.example.org", TOKEN, "bearer-secret"):
            assert secret not in text.replace('value="boss"', ""), (path, secret)
        assert "/acknowledge" not in text and "/test" not in text and "/replay" not in text
    for secret in ("hunter2", "boss@example.org", "hooks.example.org"):
        assert secret in known.get("/incident/1").text
    assert anonymous.get("/refused/1").status == 403
    assert '{"password": "hunter2"}' in known.get("/refused/1").text
    assert known.get("/refused/99").status == 404


def test_what_labels_hold_is_text_never_markup(busy: Site) -> None:
    """Escaped on each page, for each reader."""
    known = Reader(busy)
    known.log_in()
    for path in _READ[:-2]:
        text = known.get(path).text
        assert "<script" not in text and "<img" not in text, path
    assert "&lt;script&gt;x&lt;/script&gt;" in known.get("/incident/1").text


def test_a_timeline_shows_each_attempt(busy: Site) -> None:
    """Who took it, who refused it and why; what is held back and until when."""
    known = Reader(busy)
    known.log_in()
    text = known.get("/incident/1").text
    assert ">sent</span> PagerDuty, first message" in text
    assert ">refused for good: parked</span> Slack, first message" in text and "invalid_auth" in text
    held = known.get("/incident/2").text
    assert ">held back</span> E-mail, first message" in held
    assert re.search(r"quiet hours · goes out <time", held)
    assert "planned work: new disks" in known.get("/incident/3").text


def test_the_search_finds_and_has_an_address_of_its_own(busy: Site) -> None:
    """The form comes back as it was sent; the link says the same; what makes no sense is said with 400."""
    text = Reader(busy).get("/history?q=disk&severity=info&state=open&from=&to=&night=&about=").text
    assert "1 found" in text and "Disk fills" in text
    assert 'value="disk"' in text and '<option value="info" selected>' in text
    assert 'href="/history?q=disk&amp;severity=info&amp;state=open"' in text
    assert "Nothing was found" in Reader(busy).get("/history?q=nonesuch").text
    wrong = Reader(busy).get("/history?night=tonight")
    assert wrong.status == 400 and "write 20260401" in wrong.text


def test_statistics_have_three_periods(busy: Site) -> None:
    """As words and as a table; another one is said with 400."""
    for days in (7, 30, 90):
        answer = Reader(busy).get(f"/statistics?days={days}")
        assert answer.status == 200 and f"The last {days} days" in answer.text
    assert Reader(busy).get("/statistics?days=1000").status == 400


def test_programs_read_what_is_open(busy: Site) -> None:
    """JSON, with numbers as text."""
    answer = Reader(busy).get("/api/v1/incidents.json")
    assert answer.headers["Content-Type"] == "application/json"
    content = json.loads(answer.text)
    assert (content["version"], content["open"], content["truncated"]) == (1, 3, False)
    first = next(one for one in content["incidents"] if one["id"] == "1")
    assert (first["severity"], first["state"], first["about"]) == ("page", "firing", "kafka-public")
    assert first["labels"]["api_token"] == "(hidden)"
    assert first["url"] == f"http://127.0.0.1:{busy.own}/incident/1"
    assert {one["name"]: one["works"] for one in content["channels"]} == {"pagerduty": True, "slack": False, "email": True}
    assert content["on_call"]["hand_over"].endswith("Z")


def test_every_answer_has_the_headers_that_keep_others_out(busy: Site) -> None:
    """No script, no frame, no guessing of types, no copy in a cache; also for what there is not."""
    for path in (*_READ, "/refused/1", "/incident/99", "/-/healthy", "/-/ready", "/dashboard/x"):
        headers = Reader(busy).get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy, path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "same-origin"


def test_head_answers_as_get_does_without_the_body(busy: Site) -> None:
    """Same status, same length."""
    for path in ("/runbook", "/login", "/incident/99", "/-/healthy"):
        head = Reader(busy).get(path, "HEAD")
        assert head.text == ""
        assert head.status == Reader(busy).get(path).status
    assert int(Reader(busy).get("/runbook", "HEAD").headers["Content-Length"]) == len(
        Reader(busy).get("/runbook").text.encode()
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_a_method_that_is_not_taken_is_405_with_those_that_are(method: str, busy: Site) -> None:
    """As RFC 9110 asks."""
    answer = Reader(busy).get("/history", method)
    assert answer.status == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert Reader(busy).get("/incident/1/acknowledge", "GET").headers["Allow"] == "POST"


def test_what_there_is_not_is_said_on_a_page_of_ours(busy: Site) -> None:
    """404 and 405 have our headers too."""
    port = free_port()
    busy.serve(Starlette(exception_handlers=Web.handlers()), port)
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/nowhere", timeout=10)
    assert error.value.code == 404 and "There is no such page" in error.value.read().decode()
    assert error.value.headers["Cache-Control"] == "no-store"


# -- acting ----------------------------------------------------------------------------------------


@pytest.fixture
def site_with_password(tmp_path: Path) -> Iterator[Site]:
    site = guarded_site(tmp_path)
    try:
        site.start_providers()
        site.start_monitoring()
        site.start()
        yield site
    finally:
        site.close()


def test_one_press_on_the_first_page_acknowledges(site_with_password: Site) -> None:
    """By the name of the log-in, and back to the first page."""
    site = site_with_password
    site.post(alert())
    reader = Reader(site)
    reader.log_in(name="Ada")
    text = reader.get("/").text
    assert 'aria-label="Acknowledge: Kafka down"' in text
    answer = reader.post("/incident/1/acknowledge", {"token": reader.token(), "back": "overview", "by": "eve"})
    assert answer.headers["Location"] == "/"
    assert "acknowledged by Ada" in reader.get("/").text
    assert reader.post("/incident/99/acknowledge", {"token": reader.token()}).status == 404


@pytest.mark.parametrize("channel", ["slack", "email", "pagerduty"])
def test_a_test_message_arrives_and_the_page_says_so(channel: str, site_with_password: Site) -> None:
    """Sent at once; a second one has to wait; for a channel that there is not it is 404."""
    site = site_with_password
    reader = Reader(site)
    reader.log_in()
    answer = reader.post(f"/channel/{channel}/test", {"token": reader.token()})
    assert answer.status == 200 and "accepted the test message" in answer.text
    wait(lambda: any("Test" in message["title"] or "TEST" in message["title"].upper() for message in site.inbox.all()))
    again = reader.post(f"/channel/{channel}/test", {"token": reader.token()})
    assert again.status == 429 and int(again.headers["Retry-After"]) <= 20
    assert reader.post("/channel/fax/test", {"token": reader.token()}).status == 404


def test_a_test_message_that_is_refused_says_why(site_with_password: Site) -> None:
    """In the provider's words, as an alert to screen readers."""
    site = site_with_password
    site.slack._token = "another"
    reader = Reader(site)
    reader.log_in()
    answer = reader.post("/channel/slack/test", {"token": reader.token()})
    assert 'role="alert"' in answer.text and "did not arrive: invalid_auth" in answer.text


def test_what_was_parked_is_sent_again_by_a_button(site_with_password: Site) -> None:
    """After the repair; the button goes when nothing is parked."""
    site = site_with_password
    site.slack._token = "another"
    site.post(alert())
    assert site.notifier
    store = site.notifier.store
    wait(lambda: store.parked().get("slack") == 1)
    reader = Reader(site)
    reader.log_in()
    assert "Send what was parked again (1)" in reader.get("/").text
    site.slack._token = TOKEN
    assert "1 parked message is queued again" in reader.post("/replay", {"token": reader.token()}).text
    wait(lambda: site.got("slack", "firing"))
    wait(lambda: "Send what was parked" not in reader.get("/").text)


def test_a_silence_is_made_at_alertmanager_or_its_refusal_is_said(site_with_password: Site) -> None:
    """By whom and why; with 502 when it is away."""
    site = site_with_password
    site.post(alert())
    reader = Reader(site)
    reader.log_in(name="Ada")
    site.stop_port(site.alertmanager)
    answer = reader.post("/incident/1/silence", {"token": reader.token(), "hours": "4", "why": "x"})
    assert answer.status == 502 and "Nothing was silenced" in answer.text


def test_a_record_that_cannot_be_read_is_said_with_503(site_with_password: Site) -> None:
    """Each page, and what programs read."""
    site = site_with_password
    assert site.notifier
    site.notifier.dispatcher.stop()
    site.notifier.store.close()
    for path in ("/", "/incident/1", "/wall", "/api/v1/incidents.json"):
        answer = Reader(site).get(path)
        assert answer.status == 503 and "The record cannot be used now" in answer.text, path


# -- oddities --------------------------------------------------------------------------------------

_ODD_PATHS = [
    "/incident/" + "9" * 5000,
    "/incident/-1",
    "/incident/%C2%B2",
    "/incident/1.5",
    "/incident/0x1",
    "/incident/%00",
    "/incident/999999999999999999",
    "/incident/9223372036854775808",
    "/refused/" + "9" * 5000,
    "/history?before=" + "9" * 5000,
    "/history?" + "q=a&" * 3000,
    "/history?q=" + "%22*" * 900,
    "/history?q=%00&about=%00&severity=page&night=20260401&before=0",
    "/history?%",
    "/statistics?days=%F0%9F%92%A9",
    "/statistics?days=7&days=30",
    "/login?next=//evil",
    "/dashboard/..%2F..%2Fetc",
    "//",
    "/wall/",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/channel/email/test",
    "/logout",
]


@pytest.mark.parametrize("path", _ODD_PATHS, ids=range(len(_ODD_PATHS)))
def test_no_odd_address_is_an_internal_error(path: str, busy: Site) -> None:
    """Whatever stands in it."""
    known = Reader(busy)
    known.log_in()
    for reader in (Reader(busy), known):
        assert reader.get(path).status < 500


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"=" * 9000,
        b"&" * 9000,
        b"a=1&" * 30,
        b"x" * 200_000,
        b"\xff\xfe\x00",
        b"token=%FF%FE&by=%00",
        b"token=" + b"9" * 9000,
        b'{"token": 1}',
        b"next=%0d%0aSet-Cookie:x=1&password=%ed%a0%80",
    ],
    ids=range(10),
)
def test_no_odd_form_is_an_internal_error(body: bytes, busy: Site) -> None:
    """Nor does one that is too large get further than its limit."""
    known = Reader(busy)
    known.log_in()
    for path in ("/login", "/logout", "/incident/1/acknowledge", "/incident/1/silence", "/channel/x/test", "/replay"):
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", ""):
            answer = known.post(path, body, **{"Content-Type": kind})
            assert 400 <= answer.status < 500, (path, kind)
    assert known.post("/replay", b"x" * 200_000).status == 413


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(
        ["/", "/incident/", "/history?", "/statistics?days=", "/refused/", "/login?next=", "/channel/", "/api/"]
    ),
    rest=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=40),
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "FOO"]),
    cookie=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=60),
    body=st.binary(max_size=200),
)
def test_random_requests_are_no_internal_errors(
    busy: Site, path: str, rest: str, method: str, cookie: str, body: bytes
) -> None:
    """Raw bytes in address, cookie and body, as no browser sends them."""
    connection = http.client.HTTPConnection("127.0.0.1", busy.own, timeout=20)
    try:
        connection.putrequest(method, "/", skip_accept_encoding=True)
        connection._buffer[0] = f"{method} {path}{rest} HTTP/1.1".encode("latin-1")  # type: ignore[attr-defined]
        connection.putheader("Cookie", f"zads_session={cookie}; zads_visit={cookie}".encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        try:
            answer = connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            return  # the server closed on what is no HTTP
        assert answer.status < 500 or answer.status == 501
    finally:
        connection.close()


def test_a_form_that_ends_too_early_is_no_internal_error() -> None:
    """The reader is gone in the middle of it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def read(request: Request) -> Response:
        await form_of(request)
        raise AssertionError

    request = Request({"type": "http", "method": "POST", "path": "/login", "headers": [], "query_string": b""}, receive)
    assert asyncio.run(guarded(read)(request)).status_code == 400


def test_the_record_of_the_busy_site_is_whole(busy: Site) -> None:
    """After all that."""
    assert busy.notifier
    db = sqlite3.connect(busy.notifier.config.notifier.store)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.execute("INSERT INTO incident_text(incident_text) VALUES ('integrity-check')")
    db.close()
