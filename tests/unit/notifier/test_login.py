"""Who may act: only who may, whatever text comes, and nobody is locked out by somebody else."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

import pytest

from notifier.login import Login, is_loopback
from tests.unit.notifier.record import Clock
from tests.unit.notifier.site import Site, alert, wait


@pytest.mark.parametrize("text", ["é", "²", "", "1.é", "²." + "0" * 64, "9" * 30 + ".x", "\udcff"])
def test_any_text_is_a_wrong_session_and_a_wrong_form(text: str) -> None:
    """No exception, which would be an internal error to the reader."""
    login = Login("secret")
    assert not login.valid(text)
    assert not login.form_valid(text, text)
    assert login.try_password(text, "192.0.2.1") is None


def test_odd_tokens_and_cookies_are_refused_over_http(site: Site) -> None:
    """403, never 500."""
    site.post(alert())
    wait(lambda: site.got("slack", "firing"))
    assert site.form("/incident/1/acknowledge", by="eve", token="é") == 403
    request = urllib.request.Request(f"http://127.0.0.1:{site.own}/incident/1", headers={"Cookie": "zads_session=\xb2.\xe9"})
    assert urllib.request.urlopen(request, timeout=5).status == 200


def test_five_wrong_passwords_lock_out_their_own_address_only() -> None:
    """The operator gets in while somebody else guesses; the guesser not even with the right one, for a minute."""
    clock = Clock(0.0)
    login = Login("secret", clock=clock)
    for _ in range(5):
        assert login.try_password("guess", "192.0.2.66") is None
    assert login.try_password("secret", "192.0.2.66") is None
    assert login.try_password("secret", "192.0.2.1")
    clock.now += 61
    assert login.try_password("secret", "192.0.2.66")


def test_an_attack_from_everywhere_does_not_fill_the_memory() -> None:
    """A thousand addresses are told apart, one network of a subscriber counts as one."""
    login = Login("secret", clock=Clock(0.0))
    for number in range(3000):
        login.try_password("guess", f"10.{number % 200}.{number // 200}.1")
    assert len(login._tries) <= 1001
    other = Login("secret", clock=Clock(0.0))
    for number in range(5):
        other.try_password("guess", f"2001:db8::{number:x}")
    assert other.try_password("secret", "2001:db8::ffff") is None
    assert other.try_password("secret", "2001:db8:1::1")


def test_a_session_ends_with_its_time_and_with_the_process() -> None:
    """Signed with a key of this process."""
    login = Login("secret")
    session = login.try_password("secret", "192.0.2.1")
    assert session and login.valid(session)
    assert not Login("secret").valid(session)
    assert not login.valid("1." + session.partition(".")[2])


@pytest.mark.parametrize(
    ("listen", "may"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)]
)
def test_without_a_password_only_this_machine_may_act(listen: str, may: bool) -> None:
    """A page that others can reach needs one."""
    login = Login(None, open_to_all=is_loopback(listen))
    assert login.valid(None) is may
    assert not login.possible


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
        assert "notifier.password_file" in text
        assert "<button>" not in text
        assert site.form("/incident/1/acknowledge", by="eve", token="x") == 403
        assert site.form("/login", password="") == 403
    finally:
        site.close()


def test_the_page_with_a_password(tmp_path: Path) -> None:
    """Asked for, checked, kept as a cookie; afterwards the form works; the way back stays on this page."""
    (tmp_path / "password").write_text("open sesame")
    site = Site(tmp_path, more=f'password_file = "{tmp_path}/password"')
    try:
        site.start_providers()
        site.start()
        site.post(alert())
        wait(lambda: site.got("slack", "firing"))
        assert "Log in" in site.request("/incident/1")[1]
        base = f"http://127.0.0.1:{site.own}"
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with pytest.raises(urllib.error.HTTPError):
            opener.open(f"{base}/login", b"password=wrong", timeout=5)
        for target in ("//evil.example", "/%5Cevil.example", "https://evil.example"):
            answer = opener.open(f"{base}/login", f"password=open+sesame&next={target}".encode(), timeout=5)
            assert answer.geturl() == f"{base}/"
        text = opener.open(f"{base}/incident/1", timeout=5).read().decode()
        token = text.partition('name="token" value="')[2].partition('"')[0]
        opener.open(f"{base}/incident/1/acknowledge", f"by=ada%0D%0AX&token={token}".encode(), timeout=5)
        assert site.notifier
        incident = site.notifier.store.incident(1)
        assert incident and incident.acknowledged_by == "ada X"
    finally:
        site.close()
