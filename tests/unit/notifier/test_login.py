"""Who may act: only who may, whatever text comes; guesses wait longer and longer, and nobody is locked out by somebody else."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifier.login import IDLE, LASTS, Login, is_loopback
from notifier.site_deeds import ours
from tests.unit.notifier.browser import PASSWORD, Reader, guarded_site
from tests.unit.notifier.record import Clock
from tests.unit.notifier.site import Site, alert, wait
from zads.passwords import hash_password


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Site]:
    """Give a running site with a password and one open incident."""
    site = guarded_site(tmp_path)
    try:
        site.start_providers()
        site.start()
        site.post(alert())
        yield site
    finally:
        site.close()


# -- passwords and sessions ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["é", "²", "", "1.é", "²." + "0" * 64, "9" * 30 + ".x", "\udcff", "x" * 100_000])
def test_any_text_is_a_wrong_session_a_wrong_form_and_a_wrong_password(text: str) -> None:
    """No exception, which would be an internal error to the reader."""
    for password in ("secret", hash_password("secret")):
        login = Login(password)
        assert not login.valid(text)
        assert not login.form_valid(text, text)
        assert login.try_password(text, "192.0.2.1") is None


def test_a_hash_lets_its_password_in_and_not_itself() -> None:
    """Who has read the file cannot log in with what stands there."""
    line = hash_password("secret")
    assert Login(line).try_password("secret", "192.0.2.1")
    assert Login(line).try_password(line, "192.0.2.1") is None


def test_a_session_ends_after_an_hour_unused_after_twelve_and_by_logging_out() -> None:
    """A page that renews itself keeps nobody logged in; another process knows it not."""
    clock = Clock(0.0)
    login = Login("secret", clock=clock)
    session = login.try_password("secret", "192.0.2.1", "Ada")
    assert session and login.valid(session) and login.name(session) == "Ada"
    assert not Login("secret", clock=clock).valid(session)
    clock.now += IDLE - 1
    assert login.valid(session, used=False)
    clock.now += 2
    assert not login.valid(session)

    session = login.try_password("secret", "192.0.2.1")
    began = clock.now
    while clock.now - began < LASTS - IDLE:
        clock.now += IDLE - 1
        assert login.valid(session)
    clock.now = began + LASTS
    assert not login.valid(session)

    session = login.try_password("secret", "192.0.2.1")
    login.log_out(session)
    assert not login.valid(session)


def test_sessions_do_not_fill_the_memory() -> None:
    """The oldest make way."""
    login = Login("secret")
    sessions = [login.try_password("secret", "192.0.2.1") for _ in range(300)]
    assert len(login._sessions) == 200
    assert login.valid(sessions[-1]) and not login.valid(sessions[0])


# -- guesses ---------------------------------------------------------------------------------------


def test_each_wrong_password_after_the_fifth_doubles_the_wait() -> None:
    """A minute, two, four, up to an hour; while it lasts the right one is not even looked at; then it works and all is forgotten."""
    clock = Clock(0.0)
    login = Login("secret", clock=clock)
    waits = []
    for _ in range(13):
        assert login.try_password("guess", "192.0.2.66") is None
        waits.append(login.wait("192.0.2.66"))
        clock.now += waits[-1]
    assert waits == [0, 0, 0, 0, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    login.try_password("guess", "192.0.2.66")
    assert login.try_password("secret", "192.0.2.66") is None
    clock.now += 3600
    assert login.try_password("secret", "192.0.2.66")
    login.try_password("guess", "192.0.2.66")
    assert login.wait("192.0.2.66") == 0


def test_a_guesser_locks_out_nobody_else() -> None:
    """Neighbours of an IPv6 subscriber's network and an IPv4 address in IPv6's clothes count as one."""
    login = Login("secret", clock=Clock(0.0))
    for _ in range(5):
        login.try_password("guess", "192.0.2.66")
    assert login.wait("::ffff:192.0.2.66") == 60
    assert login.try_password("secret", "192.0.2.1")
    for number in range(5):
        login.try_password("guess", f"2001:db8::{number:x}")
    assert login.try_password("secret", "2001:db8::ffff") is None
    assert login.try_password("secret", "2001:db8:1::1")


def test_guessing_from_everywhere_slows_down_all_but_who_has_logged_in_before() -> None:
    """Fifty wrong ones of all addresses together; the memory they take is bounded."""
    clock = Clock(0.0)
    login = Login("secret", clock=clock)
    assert login.try_password("secret", "192.0.2.1")
    tried = 0
    for number in range(20_000):
        address = f"10.{number % 200}.{number // 200}.1"
        if login.wait(address) == 0:
            login.try_password("guess", address)
            tried += 1
        clock.now += 1
    assert tried < 200  # in five and a half hours
    assert login.try_password("secret", "192.0.2.1")
    assert login.try_password("secret", "192.0.2.2") is None
    assert len(login._tries) <= 1001


def test_many_addresses_take_bounded_memory() -> None:
    """A thousand are told apart, the rest counts as one."""
    login = Login("secret", clock=Clock(0.0))
    for number in range(3000):
        login._tries_of(f"10.0.{number // 250}.{number % 250}", 0.0).wrong(0.0)
    assert len(login._tries) <= 1001


def test_checking_a_password_keeps_no_page_waiting() -> None:
    """A hash takes a fifth of a second; sessions are told right meanwhile."""
    login = Login(hash_password("secret"))
    session = login.try_password("secret", "192.0.2.1")
    threads = [threading.Thread(target=login.try_password, args=("guess", f"192.0.2.{n}")) for n in range(3)]
    for thread in threads:
        thread.start()
    assert login.valid(session)
    alive = [thread.is_alive() for thread in threads]
    for thread in threads:
        thread.join(30)
    assert any(alive)  # they were still at it when the session was told right


@pytest.mark.parametrize(
    ("listen", "may"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)]
)
def test_without_a_password_only_this_machine_may_act(listen: str, may: bool) -> None:
    """A page that others can reach needs one."""
    login = Login(None, open_to_all=is_loopback(listen))
    assert login.valid(None) is may
    assert not login.possible


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "javascript:alert(1)",
        "/logout",
        "/x\r\nSet-Cookie: a=b",
        "",
        "/incident/1?x=//e\nvil",
    ],
)
def test_a_log_in_leads_to_no_other_site(target: str) -> None:
    """The first page instead."""
    assert ours(target) == "/"


@pytest.mark.parametrize(
    "target", ["/", "/incident/7", "/incident/7#acknowledge", "/history?q=kafka+down&severity=page", "/statistics?days=7"]
)
def test_a_log_in_leads_back(target: str) -> None:
    """To the page from which it was asked."""
    assert ours(target) == target


# -- over the wire ---------------------------------------------------------------------------------


def test_odd_tokens_and_cookies_are_refused_over_http(site: Site) -> None:
    """403, never 500."""
    site.post(alert())
    wait(lambda: site.got("slack", "firing"))
    assert site.form("/incident/1/acknowledge", by="eve", token="é") == 403
    request = urllib.request.Request(f"http://127.0.0.1:{site.own}/incident/1", headers={"Cookie": "zads_session=\xb2.\xe9"})
    assert urllib.request.urlopen(request, timeout=5).status == 200


def test_a_page_that_others_can_reach_is_read_only_without_a_password(tmp_path: Path) -> None:
    """Acknowledging is refused, and the page says what to set."""
    site = Site(tmp_path)
    try:
        object.__setattr__(site.config.notifier, "listen", f"0.0.0.0:{site.own}")
        site.start_providers()
        site.start()
        site.post(alert())
        wait(lambda: site.got("slack", "firing"))
        text = site.request("/incident/1")[1]
        assert "notifier.password_hash_file" in text
        assert "<button" not in text
        assert site.form("/incident/1/acknowledge", by="eve", token="x") == 403
        assert site.form("/login", password="") == 403
        assert "No password is set" in site.request("/login")[1]
    finally:
        site.close()


def test_log_in_acknowledge_log_out(guarded: Site) -> None:
    """The name of the log-in stands beside the incident; afterwards nothing works any more, with the old cookie neither."""
    reader = Reader(guarded)
    assert "Log in to acknowledge" in reader.get("/incident/1").text
    answer = reader.log_in(name="Ada\r\nX", target="/incident/1")
    assert (answer.status, answer.headers["Location"]) == (303, "/incident/1")
    cookie = answer.headers.get_all("Set-Cookie")[0]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Max-Age=43200" in cookie
    token = reader.token("/incident/1")
    session = next(c.value for c in reader.cookies if c.name == "zads_session")
    assert reader.post("/incident/1/acknowledge", {"token": token}).status == 303
    assert guarded.notifier
    incident = guarded.notifier.store.incident(1)
    assert incident and (incident.state, incident.acknowledged_by) == ("acknowledged", "Ada X")
    assert reader.post("/incident/1/unacknowledge", {"token": reader.token("/incident/1")}).status == 303
    assert "Acknowledgement taken back by Ada X" in reader.get("/incident/1").text
    assert reader.post("/logout", {"token": token}).status == 303
    assert reader.post("/incident/1/acknowledge", {"token": token}).status == 403
    old = Reader(guarded)
    assert "Log out" not in old.get("/", Cookie=f"zads_session={session}").text


def test_every_form_needs_its_token(guarded: Site) -> None:
    """None, another one's, one of before the log-in: 403, and nothing is done."""
    reader, other = Reader(guarded), Reader(guarded)
    early = reader.get("/login").token
    reader.log_in()
    other.log_in()
    for path in (
        "/incident/1/acknowledge",
        "/incident/1/silence",
        "/incident/1/unacknowledge",
        "/channel/email/test",
        "/replay",
        "/logout",
    ):
        for token in ("", "x", early, other.token()):
            assert reader.post(path, {"token": token}).status == 403, path
        assert Reader(guarded).post(path, {"token": reader.token()}).status == 403, path
    assert guarded.notifier
    incident = guarded.notifier.store.incident(1)
    assert incident and incident.state == "firing"
    assert Reader(guarded).post("/login", {"password": PASSWORD, "name": "x"}).status == 403
    assert Reader(guarded).post("/login", {"password": PASSWORD, "name": "x", "token": early}).status == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://[", "x" * 3000])
def test_a_form_of_another_site_is_refused_also_with_its_token(origin: str, guarded: Site) -> None:
    """What the browser says of where it comes from counts too."""
    reader = Reader(guarded)
    reader.log_in()
    assert reader.post("/incident/1/acknowledge", {"token": reader.token()}, Origin=origin).status in {400, 403}
    ok = reader.post("/incident/1/acknowledge", {"token": reader.token()}, Origin=f"http://127.0.0.1:{guarded.own}")
    assert ok.status == 303


def test_without_a_password_a_name_that_another_site_gives_this_machine_opens_nothing(site: Site) -> None:
    """DNS rebinding: evil.example becomes 127.0.0.1, reads the token, and still may not act."""
    site.post(alert())
    reader = Reader(site)
    token = reader.token("/incident/1")
    assert token
    evil = {"Host": f"evil.example:{site.own}", "Origin": f"http://evil.example:{site.own}"}
    assert reader.post("/incident/1/acknowledge", {"token": token, "by": "eve"}, **evil).status == 403
    assert reader.post("/incident/1/acknowledge", {"token": token, "by": "ada"}, Host=f"localhost:{site.own}").status == 303


def test_wrong_passwords_over_http_wait(guarded: Site) -> None:
    """403 five times, then 429 with how long; the page stays a page."""
    reader = Reader(guarded)
    assert [reader.log_in("wrong password").status for _ in range(6)] == [403] * 5 + [429]
    answer = reader.log_in()
    assert answer.status == 429
    assert 50 <= int(answer.headers["Retry-After"]) <= 60
    assert "Too many wrong passwords" in answer.text


def test_behind_https_the_cookie_is_secure_and_bound_to_its_host(tmp_path: Path) -> None:
    """__Host-: no other host of the domain can set it."""
    site = guarded_site(tmp_path)
    try:
        object.__setattr__(site.config.notifier, "external_url", "https://zads.example.org")
        site.start_providers()
        site.start()
        reader = Reader(site)
        cookie = reader.get("/login").headers["Set-Cookie"]
        assert (
            cookie.startswith("__Host-zads_visit=") and "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
        )
        # This reader speaks plain HTTP: it has to be told to send it.
        visit, token = cookie.partition(";")[0], ""
        token = reader.get("/login", Cookie=visit).token
        answer = reader.post("/login", {"token": token, "name": "Ada", "password": PASSWORD}, Cookie=visit)
        assert answer.headers.get_all("Set-Cookie")[0].startswith("__Host-zads_session=")
        assert "Secure" in answer.headers.get_all("Set-Cookie")[0]
    finally:
        site.close()
