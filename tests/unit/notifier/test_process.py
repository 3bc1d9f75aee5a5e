"""Real processes: an orderly end, kill -9 at any moment, the commands beside a running notifier."""

from __future__ import annotations

import http.client
import json
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

import pytest

from tests.unit.notifier.site import KEY, Site, alert, listens, wait
from zads.reload import hang_up, living
from zads.stack.standin_rates import Rate
from zads.stack.standin_smtp import SmtpLimits
from zads.stack.standins import PagerDuty, Slack

# More for a longer look: ZADS_TEST_KILLS=200.
KILLS = int(os.environ.get("ZADS_TEST_KILLS", "12"))
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


@pytest.mark.timeout(240 + 5 * KILLS)
def test_killed_at_random_moments_nothing_is_lost_and_nothing_told_twice(tmp_path: Path) -> None:
    """kill -9 again and again between webhook and provider: every accepted page reaches all, once.

    PagerDuty by key, mail by Message-ID (a mail server drops the second), Slack by looking before a second try.
    """
    site, rng = Site(tmp_path), random.Random(1)
    fast = dict.fromkeys(("chat.postMessage", "chat.update", "conversations.history"), Rate(1000, 1.0))
    site.pagerduty = PagerDuty(site.inbox, KEY, rate=Rate(10_000, 1.0))
    site.slack = Slack(site.inbox, "xoxb-test", "#alerts", rates=fast)
    site.mail_limits = SmtpLimits(messages=Rate(10_000, 1.0))
    accepted: list[str] = []
    stop = threading.Event()

    def report() -> None:
        number = 0
        while not stop.is_set() and number < 60:
            try:
                # Until it is accepted, as Alertmanager does.
                if site.post(alert(mark=str(number), severity="page")) == 200:
                    accepted.append(f"f-{number}")
                    number += 1
            except (urllib.error.URLError, OSError, http.client.HTTPException):
                time.sleep(0.05)
            time.sleep(0.2)

    object.__setattr__(site.config.notifier.slack, "channel", "C0ZADS00001")
    site.toml = site.toml.replace('"#alerts"', '"C0ZADS00001"')
    reporter = threading.Thread(target=report, daemon=True)
    try:
        site.start_providers()
        reporter.start()
        for _ in range(KILLS):
            process = _serve(site)
            time.sleep(rng.uniform(0.05, 0.8))
            process.kill()
            process.wait()
        stop.set()
        reporter.join(10)
        process = _serve(site)
        wanted = set(accepted)

        def everywhere() -> bool:
            pager = {m["raw"]["dedup_key"].removeprefix("zads-").rpartition("-")[0] for m in site.got("pagerduty", "firing")}
            mails = Counter(m["raw"].partition("To: ")[2].partition("\n")[0].strip() for m in site.got("email", "firing"))
            slack = {m["raw"]["metadata"]["event_payload"]["incident"] for m in site.got("slack", "firing")}
            return pager >= wanted and len(slack) >= len(wanted) and min(mails.values(), default=0) >= len(wanted)

        wait(everywhere, 90)
        assert len(accepted) >= 10
        pages = Counter(m["raw"]["dedup_key"] for m in site.got("pagerduty", "firing") if not m["raw"].get("duplicate"))
        assert set(pages.values()) == {1}
        posts = Counter(json.dumps(m["raw"]["metadata"]["event_payload"]) for m in site.got("slack", "firing"))
        assert set(posts.values()) == {1}, posts
        ids = {m["raw"].partition("Message-ID: ")[2].partition("\n")[0].strip() for m in site.got("email", "firing")}
        assert len(ids) == len(pages)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        stop.set()
        site.close()
