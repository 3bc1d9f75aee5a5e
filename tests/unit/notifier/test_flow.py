"""The notifier against the recording stand-ins, over the wire: nothing lost, nothing twice, order kept."""

from __future__ import annotations

import time
import urllib.error
import urllib.request

import pytest

from notifier.books import backoff
from tests.unit.notifier.site import KEY, TOKEN, Site, alert, wait


def test_a_page_reaches_all_three_and_its_end_too(site: Site) -> None:
    """Within seconds of the webhook; the mail goes to each recipient; markup in labels stays text."""
    assert site.post(alert()) == 200
    wait(lambda: site.all_told("firing"), 3)
    assert "&lt;b&gt;" in site.got("slack", "firing")[0]["raw"]["blocks"][0]["text"]["text"]
    assert "<b>&amp;</b>" not in site.got("email", "firing")[0]["raw"].partition("text/html")[2]
    assert site.post(alert("resolved")) == 200
    wait(lambda: site.all_told("resolved") and len(site.got("slack", "resolved")) == 2, 5)
    edited, reply = site.got("slack", "resolved")
    assert edited["raw"]["edited"] and reply["raw"]["thread_ts"] == edited["raw"]["ts"]
    subjects = {m["title"].removeprefix("Re: ") for m in site.inbox.all() if m["channel"] == "email"}
    assert subjects == {"[ZADS] Kafka down"}
    assert "Kafka back after 9 min" in reply["title"]


def test_repetitions_the_other_alertmanager_and_a_late_firing_tell_nothing_twice(site: Site) -> None:
    """The same event five times, its end twice, and its firing once more after the end."""
    for _ in range(5):
        assert site.post(alert(), alert()) == 200
    wait(lambda: len(site.got("email", "firing")) == 2)
    for status in ("resolved", "resolved", "firing"):
        assert site.post(alert(status)) == 200
    wait(lambda: len(site.got("email", "resolved")) == 2)
    time.sleep(0.5)
    assert len(site.got("pagerduty", "firing")) == 1
    assert len(site.got("slack", "firing")) == 1
    assert len(site.got("pagerduty", "resolved")) == 1


def test_a_ticket_pages_nobody(site: Site) -> None:
    """E-mail and Slack only; info is only recorded."""
    site.post(alert(severity="ticket"), alert(severity="info", mark="b"))
    wait(lambda: site.got("slack", "firing") and len(site.got("email", "firing")) == 2)
    time.sleep(0.3)
    assert not site.got("pagerduty", "firing")
    assert len(site.got("slack", "firing")) == 1


def test_what_was_accepted_survives_a_restart_with_all_providers_away(quiet: Site) -> None:
    """Accepted while nobody could be told; told after the restart, once."""
    quiet.start()
    assert quiet.post(alert()) == 200
    time.sleep(0.5)
    quiet.stop()
    quiet.start_providers()
    quiet.start()
    # What is queued behind a back-off is due at once after the first success; the first tries come within 10 s.
    wait(lambda: quiet.all_told("firing"), 25)
    assert len(quiet.got("pagerduty", "firing")) == 1


def test_a_slack_limit_is_obeyed_and_nothing_is_lost(site: Site) -> None:
    """12 different pages: Slack's ten in ten seconds; the rest after Retry-After; PagerDuty is not delayed."""
    begin = time.monotonic()
    for number in range(12):
        site.post(alert(mark=str(number)))
    wait(lambda: len(site.got("pagerduty", "firing")) == 12, 5)
    assert time.monotonic() - begin < 5
    wait(lambda: len(site.got("slack", "firing")) == 12, 25)


def test_a_storm_is_one_digest(site: Site) -> None:
    """60 alerts in one body: one mail and one Slack message that count them; PagerDuty knows each."""
    site.post(*[alert(mark=str(number)) for number in range(60)])
    wait(lambda: len(site.got("pagerduty", "firing")) == 60, 15)
    wait(lambda: site.got("slack", "firing") and site.got("email", "firing"))
    assert len(site.got("slack", "firing")) == 1
    assert "60 alerts" in site.got("slack", "firing")[0]["title"]


def test_a_revoked_slack_token_parks_the_message_and_the_channel_is_unhealthy(site: Site) -> None:
    """The others are told; the metric says so; replay sends it after the repair."""
    site.slack._token = "another"
    site.post(alert())
    wait(lambda: site.got("pagerduty", "firing"))
    assert site.notifier
    store, dispatcher = site.notifier.store, site.notifier.dispatcher
    wait(lambda: store.parked().get("slack") == 1)
    assert not dispatcher.healthy("slack")
    assert 'zads_channel_healthy{channel="slack"} 0.0' in site.request("/metrics")[1]
    site.slack._token = TOKEN
    assert store.replay() == 1
    dispatcher.wake(["slack"])
    wait(lambda: site.got("slack", "firing"))
    wait(lambda: dispatcher.healthy("slack"))


def test_an_acknowledgement_is_told_to_pagerduty_and_ends_reminders(site: Site) -> None:
    """By the page's form; a form without our token is refused."""
    site.post(alert())
    wait(lambda: site.got("pagerduty", "firing") and site.got("slack", "firing"))
    base = f"http://127.0.0.1:{site.own}"
    text = site.request("/incident/1")[1]
    token = text.partition('name="token" value="')[2].partition('"')[0]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{base}/incident/1/acknowledge", b"by=eve&token=x", timeout=5)
    assert site.form("/incident/1/acknowledge", by="ada", token=token) == 200
    wait(lambda: site.got("pagerduty", "acknowledged") and site.got("slack", "acknowledged"))
    assert site.notifier and site.notifier.store.remind(0.0) == set()
    assert 'acknowledged_by="ada"' in site.request("/metrics")[1]
    assert site.form("/incident/99/acknowledge", by="ada", token=token) == 404


def test_no_secret_reaches_a_page_or_a_metric(site: Site) -> None:
    """Neither key nor token."""
    site.post(alert())
    wait(lambda: site.got("slack", "firing"))
    for path in ("/", "/metrics", "/incident/1"):
        text = site.request(path)[1]
        assert KEY not in text and TOKEN not in text and "bearer-secret" not in text


def test_backoff_is_jittered_and_bounded() -> None:
    """Between 1 s and 15 min."""
    assert all(1.0 <= backoff(n) <= 900.0 for n in range(1, 60))
    assert backoff(1, lambda: 1.0) == 5.0
    assert backoff(30, lambda: 1.0) == 900.0
