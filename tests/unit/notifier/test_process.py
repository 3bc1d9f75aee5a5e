"""Real processes: an orderly end, kill -9 at any moment, the commands beside a running notifier."""

from __future__ import annotations

import http.client
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.notifier_process import Process, TroubleSite, expect, fingerprint_of, name_of
from tests.unit.notifier.site import Site, alert, listens, wait
from zads.reload import hang_up, living

# As many as fit in a minute; for a longer look ZADS_TEST_KILLS=200.
KILLS = int(os.environ.get("ZADS_TEST_KILLS", "20"))
_NAMES = ("pagerduty", "slack", "webhook", "email")
_ZADS = [str(Path(sys.executable).parent / "zads")]


def _command(site: Site, *words: str) -> list[str]:
    file = site.folder / "zads.toml"
    file.write_text(site.toml)
    return [*_ZADS, "--config", str(file), "notify", *words]


def _serve(site: Site) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(_command(site, "serve"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=site.folder)
    wait(lambda: listens(site.own) or process.poll() is not None, 30)
    assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
    return process


def _run(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(site, *words), capture_output=True, text=True, timeout=60, cwd=site.folder, check=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(quiet: Site, number: signal.Signals) -> None:
    """What was accepted a moment before is sent; the exit code is that of an orderly end."""
    quiet.start_providers()
    process = _serve(quiet)
    assert quiet.post(alert()) == 200
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out.decode()
    assert quiet.got("pagerduty", "firing")
    assert b"Traceback" not in out
    # The record was closed: nothing is left for the next start to clean up.
    assert not (quiet.folder / "notifier.sqlite3-wal").exists()


def test_sighup_takes_a_new_file_and_refuses_one_without_its_secrets(quiet: Site) -> None:
    """The same process begins anew with it; what was accepted before is sent once; a bad one changes nothing."""
    quiet.start_providers()
    process, state = _serve(quiet), quiet.folder / "state"
    wait(lambda: [entry.name for entry in living(state)] == ["notifier"])
    quiet.post(alert())
    wait(lambda: quiet.got("pagerduty", "firing"))
    (quiet.folder / "slack").rename(quiet.folder / "slack.away")
    assert [error.path for error in hang_up(state)] == ["notifier"]
    (quiet.folder / "slack.away").rename(quiet.folder / "slack")
    file = quiet.folder / "zads.toml"
    file.write_text(quiet.toml.replace("[notifier.email]", 'oncall = [{name = "operator 7"}]\n[notifier.email]'))
    assert hang_up(state) == []
    wait(lambda: listens(quiet.own))
    assert process.poll() is None
    assert [entry.pid for entry in living(state)] == [process.pid]
    with urllib.request.urlopen(f"http://127.0.0.1:{quiet.own}/metrics", timeout=5) as answer:
        assert b'zads_on_call_info{name="operator 7"} 1.0' in answer.read()
    time.sleep(1)
    assert len(quiet.got("pagerduty", "firing")) == 1
    process.terminate()
    assert process.wait(30) == 0


def test_an_address_that_is_taken_is_said_and_is_no_success(quiet: Site) -> None:
    """Exit 1 and a sentence, not a traceback; what the running one is sending is not taken from it."""
    notifier = quiet.start()
    notifier.dispatcher.stop()
    quiet.post(alert())
    assert notifier.store.claim("slack")
    done = subprocess.run(
        _command(quiet, "serve"), capture_output=True, text=True, timeout=60, cwd=quiet.folder, check=False
    )
    assert done.returncode == 1
    assert "address already in use" in done.stderr
    assert "Traceback" not in done.stderr
    assert notifier.store.claim("slack") is None


def test_replay_beside_a_running_notifier(quiet: Site) -> None:
    """What it sends is not taken from it; what was parked goes out; where nothing ever ran the command says so."""
    quiet.start_providers()
    done = _run(quiet, "replay")
    assert done.returncode == 1 and "never run here" in done.stderr
    quiet.slack._token = "another"
    notifier = quiet.start()
    quiet.post(alert())
    wait(lambda: notifier.store.parked().get("slack") == 1)
    quiet.slack._token = "xoxb-test"
    done = _run(quiet, "replay")
    assert (done.returncode, done.stdout.split()[0]) == (0, "1"), done.stderr
    notifier.dispatcher.wake(["slack"])
    wait(lambda: quiet.got("slack", "firing"))


def test_a_damaged_record_is_not_moved_by_a_tool(quiet: Site) -> None:
    """Only the notifier itself begins a new one."""
    (quiet.folder / "notifier.sqlite3").write_bytes(b"x" * 8192)
    done = _run(quiet, "replay")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (quiet.folder / "notifier.sqlite3").read_bytes() == b"x" * 8192


@pytest.mark.parametrize("channel", ["email", "slack", "pagerduty"])
def test_a_test_message_arrives_and_leaves_nothing_open(quiet: Site, channel: str) -> None:
    """The command says so; PagerDuty's test incident is ended."""
    quiet.start_providers()
    done = _run(quiet, "test", "--channel", channel)
    assert done.returncode == 0, done.stderr
    assert "accepted the test message" in done.stdout
    assert "nothing is wrong" in quiet.got(channel, "firing")[0]["title"] + quiet.got(channel, "firing")[0]["text"]
    assert all(one.status == "resolved" for one in quiet.pagerduty.incidents.all())


def test_a_test_message_that_does_not_arrive_says_so(quiet: Site) -> None:
    """Exit 1 and the reason."""
    done = _run(quiet, "test", "--channel", "slack")
    assert done.returncode == 1
    assert "did not arrive" in done.stderr and "refused" in done.stderr


class _Reporter(threading.Thread):
    """Reports alerts one by one, each until it is accepted, as Alertmanager does; ends every third of them."""

    def __init__(self, site: TroubleSite) -> None:
        super().__init__(daemon=True)
        self.site, self.stop = site, threading.Event()
        self.accepted: list[str] = []
        self.ended: list[str] = []

    def run(self) -> None:
        for number in range(10_000):
            if not self._report(alert(mark=str(number))):
                return
            self.accepted.append(f"f-{number}")
            if number % 3 == 2:
                if not self._report(alert("resolved", mark=str(number - 1))):
                    return
                self.ended.append(f"f-{number - 1}")
            # Slack takes one a second; a storm of them would become a digest.
            if self.stop.wait(1.3):
                return

    def _report(self, one: dict[str, Any]) -> bool:
        while not self.stop.is_set():
            try:
                if self.site.post(one) == 200:
                    return True
            except (urllib.error.URLError, OSError, http.client.HTTPException):
                pass
            self.stop.wait(0.03)
        return False


@pytest.mark.timeout(300 + 6 * KILLS)
@pytest.mark.parametrize(("may_look", "kills"), [(True, KILLS - KILLS // 4), (False, KILLS // 4)], ids=["looks", "blind"])
def test_killed_at_random_moments_nothing_is_lost_and_nothing_told_twice(tmp_path: Path, may_look: bool, kills: int) -> None:
    """kill -9 again and again, at start-up and between webhook and provider: every accepted alert and end reaches all, once.

    PagerDuty by key, mail by Message-ID, the webhook by its id, Slack by looking before a second try; where the bot may
    not look, Slack has a message at most once more, and that says so.
    """
    site, rng = TroubleSite(tmp_path), random.Random(1)
    if not may_look:
        site.slack._scopes = frozenset({"chat:write"})
    reporter = _Reporter(site)
    try:
        site.start_providers()
        reporter.start()
        for number in range(kills):
            # One in five before it listens, when the record is taken over; the others while it works.
            process = site.run(wait_for_it=number % 5 != 0)
            time.sleep(rng.uniform(0.0, 0.8))
            process.kill()
        process = site.run()
        reporter.stop.set()
        reporter.join(20)
        assert len(reporter.accepted) >= kills // 3
        _all_told(site, process, reporter)
        for name in ("pagerduty", "webhook"):
            assert site.twice(name) == {}, name
        # A mail server knows a second one by its Message-ID; never are there two of an incident's state.
        assert max(Counter(_mails(site)).values()) == 1
        posts = site.twice("slack")
        assert posts == {} if may_look else max(posts.values(), default=0) <= 2, posts
        for repeated in _repetitions(site):
            assert "Perhaps a repeat" in repeated["text"], repeated
        assert process.terminate() == 0
    finally:
        reporter.stop.set()
        site.close()


def _all_told(site: TroubleSite, process: Process, reporter: _Reporter) -> None:
    """Wait until nothing waits any more, then look for each alert and each end at each channel."""
    expect(
        site, lambda: not any(process.metric(f'zads_notifications_queue_length{{channel="{name}"}}') for name in _NAMES), 120
    )
    for name in _NAMES:
        if name != "slack":  # which tells an end by editing the message, and by a reply
            assert set(site.incidents_of(name)) >= set(reporter.accepted), name
            assert set(site.incidents_of(name, "resolved")) >= set(reporter.ended), name
    slack = {m["raw"]["metadata"]["event_payload"]["incident"] for m in site.inbox.all() if m["channel"] == "slack"}
    assert len(slack) >= len(reporter.accepted)
    assert len(site.got("slack", "resolved")) >= len(reporter.ended)


def _mails(site: TroubleSite) -> list[tuple[str, str]]:
    """Return who read which incident's state, a repeated Message-ID counting once."""
    found = {
        (name_of("email", m), m["state"], fingerprint_of("email", m)) for m in site.inbox.all() if m["channel"] == "email"
    }
    return [(f"{fingerprint} {name.partition(' to ')[2]}", state) for name, state, fingerprint in found]


def _repetitions(site: TroubleSite) -> list[dict[str, Any]]:
    """Return Slack's messages that came a second time."""
    seen, again = set[str](), list[dict[str, Any]]()
    for message in site.inbox.all():
        if message["channel"] == "slack" and (name := name_of("slack", message)):
            again += [message] if name in seen else []
            seen.add(name)
    return again
