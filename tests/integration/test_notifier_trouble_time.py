"""The wall clock is set back and forward under a real notifier; the configuration is read again in the middle of a storm."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.notifier_process import TroubleSite, expect
from tests.unit.notifier.site import alert, wait
from zads.reload import hang_up

_HOURS = 3 * 3600.0
_NAMES = ("pagerduty", "slack", "webhook", "email")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TroubleSite]:
    site = TroubleSite(tmp_path, more='reminder = "30m"')
    site.set_clock(0)
    try:
        yield site
    finally:
        site.close()


def test_a_clock_that_is_set_back_holds_no_page_up(site: TroubleSite) -> None:
    """What waits for its next try goes at the new time, a circuit that is open closes as before, and it can be acknowledged."""
    site.start_mail()
    site.set_clock(_HOURS)
    process = site.run(shift=True)
    assert site.post(alert(mark="old")) == 200
    expect(site, lambda: process.log().count("slack: incident") >= 3, 30)
    site.set_clock(0)
    assert site.post(alert(mark="new")) == 200
    expect(site, lambda: len(site.got("email", "firing")) == 4)
    site.start_http()
    expect(site, lambda: set(site.incidents_of("pagerduty")) == {"f-old", "f-new"}, 75)
    expect(site, lambda: len(site.got("slack", "firing")) == 2, 75)
    assert process.beside("ack", "1", "--by", "ada").returncode == 0
    expect(site, lambda: site.got("pagerduty", "acknowledged"), 45)  # its worker looks every half minute
    assert site.post(alert("resolved", mark="old"), alert("resolved", mark="new")) == 200
    expect(site, lambda: len(site.got("pagerduty", "resolved")) == 2, 20)
    assert all(site.twice(name) == {} for name in _NAMES)


def test_a_clock_that_is_set_back_keeps_the_reminders_coming(site: TroubleSite) -> None:
    """Half an hour after it was set back an unacknowledged page is told again, not three and a half hours after."""
    site.start_providers()
    site.set_clock(_HOURS)
    site.run(shift=True)
    assert site.post(alert()) == 200
    expect(site, lambda: site.everywhere("firing"))
    site.set_clock(0)
    time.sleep(11)  # the watch has looked in between
    site.set_clock(1900)
    expect(site, lambda: len(site.got("email", "firing")) == 4, 25)


def test_a_clock_that_is_set_forward_neither_blinds_nor_doubles(site: TroubleSite) -> None:
    """Five hours in a moment, while the Watchdog is heard: no "monitoring is blind"; leases that end at once send nothing twice."""
    site.start_providers()
    process = site.run(shift=True)
    assert site.heartbeat() == 200
    for number in range(3):
        assert site.post(alert(mark=str(number))) == 200
        site.set_clock((number + 1) * 2 * 3600)
    looks = process.log().count("the record cannot be used")
    begun = time.monotonic()
    expect(site, lambda: set(site.incidents_of("pagerduty")) >= {"f-0", "f-1", "f-2"}, 30)
    wait(lambda: time.monotonic() - begun > 12, 20)  # the watch looks every ten seconds
    assert site.heartbeat() == 200
    assert "zads-notifier-blind" not in site.incidents_of("pagerduty")
    assert not [m for m in site.inbox.all() if "blind" in m["title"].lower()]
    assert process.log().count("the record cannot be used") == looks
    assert all(site.twice(name) == {} for name in _NAMES)


def test_the_configuration_is_read_again_in_a_storm_and_nothing_is_lost_or_told_twice(site: TroubleSite) -> None:
    """SIGHUP five times while alerts come, each with a changed file: the same process, each page by each channel, once."""
    site.start_providers()
    process = site.run()
    wanted, stop = list[str](), threading.Event()

    def report() -> None:
        for number in range(400):
            while not stop.is_set():
                try:
                    if site.post(alert(mark=f"r{number}", severity="page" if number % 4 == 0 else "ticket")) == 200:
                        wanted.append(f"f-r{number}")
                        break
                except (urllib.error.URLError, OSError, http.client.HTTPException):
                    time.sleep(0.05)
            if stop.wait(0.02):
                return

    reporter = threading.Thread(target=report, daemon=True)
    reporter.start()
    try:
        for number in range(5):
            words = f'oncall = [{{name = "operator {number}"}}]\n[notifier.email]'
            process.file.write_text(site.toml.replace("[notifier.email]", words))
            assert hang_up(site.folder / "state") == []
            time.sleep(0.3)
    finally:
        stop.set()
        reporter.join(10)
    assert process.running
    assert len(wanted) > 20
    pages = {mark for mark in wanted if int(mark.removeprefix("f-r")) % 4 == 0}
    expect(site, lambda: set(site.incidents_of("pagerduty")) >= pages, 60)
    lines = [f'zads_notifications_queue_length{{channel="{name}"}}' for name in _NAMES[1:]]
    expect(site, lambda: not any(process.metric(line) for line in lines), 90)
    assert process.metric('zads_incidents{state="firing"}') == len(wanted)
    assert process.metric('zads_on_call_info{name="operator 4"}') == 1
    assert all(site.twice(name) == {} for name in _NAMES)
    assert set(site.incidents_of("pagerduty").values()) == {1}
