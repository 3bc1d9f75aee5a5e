"""A real `zads notify serve` and its providers, each of which can go and come back; a disk of its own that can fill up."""

from __future__ import annotations

import base64
import os
import resource
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from tests.unit.notifier.site import KEY, TOKEN, Site, listens, wait
from zads.stack.inbox import DeadMan, application
from zads.stack.standin_rates import Rate
from zads.stack.standin_smtp import SmtpLimits, SmtpServer
from zads.stack.standin_webhook import Webhook
from zads.stack.standins import PagerDuty, Slack

ROOT = Path(__file__).resolve().parents[2]
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
CHANNEL = "C0ZADS00001"
_PLENTY = Rate(100_000, 1.0)


class TroubleSite(Site):
    """All four channels, with stand-ins that are never in the way by their rates."""

    def __init__(self, folder: Path, *, more: str = "", record: Path | None = None, **words: Any) -> None:
        super().__init__(folder, more=more, **words)
        (folder / "webhook").write_text(SECRET)
        self.toml = self.toml.replace('"#alerts"', f'"{CHANNEL}"') + (
            f'[notifier.webhook]\nurl = "http://127.0.0.1:{self.http}/webhook"\nsecret_file = "{folder}/webhook"\n'
        )
        self.record = record or folder / "notifier.sqlite3"
        self.toml = self.toml.replace(f'"{folder}/notifier.sqlite3"', f'"{self.record}"')
        self.pagerduty = PagerDuty(self.inbox, KEY, rate=_PLENTY)
        rates = dict.fromkeys(("chat.postMessage", "chat.update", "conversations.history", "conversations.replies"), _PLENTY)
        self.slack = Slack(self.inbox, TOKEN, "#alerts", rates=rates)
        self.ahead = 0.0
        self.webhook = Webhook(self.inbox, SECRET, rate=_PLENTY, clock=lambda: time.time() + self.ahead)
        self.shift = folder / "shift"
        self.mail_limits = SmtpLimits(messages=_PLENTY)
        self.processes: list[Process] = []

    def set_clock(self, seconds: float) -> None:
        """Set how far the wall clock is ahead, for a notifier that was started with `shift`, and for the receiver of webhooks."""
        self.shift.write_text(str(seconds))
        self.ahead = seconds

    def start_providers(self) -> None:
        self.start_mail()
        self.start_http()

    def start_http(self) -> uvicorn.Server:
        parts = application(self.inbox, self.slack, self.pagerduty, DeadMan(self.inbox), webhook=self.webhook)
        return self.serve(parts, self.http)

    def start_mail(self, **words: Any) -> None:
        self._mail = SmtpServer(self.inbox, "127.0.0.1", self.smtp, limits=self.mail_limits, **words)
        self._mail.start()

    def stop_mail(self) -> None:
        if self._mail:
            self._mail.stop()
        self._mail = None

    def run(self, **words: Any) -> Process:
        """Start the notifier as a process of its own."""
        process = Process(self, **words)
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        super().close()

    def everywhere(self, state: str, count: int = 1) -> bool:
        """Tell whether each channel has told so many messages of a state; mail goes to two."""
        enough = all(len(self.got(name, state)) >= count for name in ("pagerduty", "slack", "webhook"))
        return enough and len(self.got("email", state)) >= 2 * count

    def numbers(self, state: str) -> dict[str, int]:
        """Return how many messages of a state each channel has."""
        return {name: len(self.got(name, state)) for name in ("pagerduty", "slack", "webhook", "email")}

    # -- by the name that the receiving side knows a delivery by ---------------------------------

    def twice(self, channel: str) -> dict[str, int]:
        """Return what a channel's receiving side has had more than once by its name for it."""
        found = Counter(name for m in self.inbox.all() if m["channel"] == channel and (name := name_of(channel, m)))
        return {name: count for name, count in found.items() if count > 1}

    def incidents_of(self, channel: str, state: str = "firing") -> Counter[str]:
        """Return how often each incident's state was told, by the fingerprint that the message carries."""
        return Counter(fingerprint_of(channel, m) for m in self.got(channel, state))


def _header(message: dict[str, Any], name: str) -> str:
    return str(message["raw"].partition(f"\n{name}: ")[2].partition("\n")[0].strip())


def name_of(channel: str, message: dict[str, Any]) -> str:
    """Return what the receiving side knows a message by, "" for one that is no new message to people."""
    raw = message["raw"]
    if channel == "email":
        return f"{_header(message, 'Message-ID')} to {_header(message, 'To')}"
    if channel == "pagerduty":
        # A repetition of an open alert's event reaches nobody; the stand-in lists what reaches people.
        return "" if raw.get("duplicate") else f"{raw['dedup_key']} {raw['event_action']} {raw.get('incident', '')}"
    if channel == "slack":
        payload = (raw.get("metadata") or {}).get("event_payload") or {}
        return "" if raw.get("edited") else f"{payload.get('delivery')} {payload.get('state')} {bool(raw.get('thread_ts'))}"
    return str(raw["id"])


def fingerprint_of(channel: str, message: dict[str, Any]) -> str:
    """Return the fingerprint of the alert that a message is about; at Slack the incident's number."""
    raw = message["raw"]
    if channel == "pagerduty":
        return str(raw["dedup_key"].removeprefix("zads-").rpartition("-")[0])
    if channel == "email":
        return _header(message, "Message-ID").partition("@")[0].split("-", 4)[-1]
    if channel == "webhook":
        return str(raw["incident"]["key"].removeprefix("zads-").rpartition("-")[0])
    payload = (raw.get("metadata") or {}).get("event_payload") or {}
    return str(payload.get("incident"))


class Process:
    """`zads notify serve`; its output is in a file.

    `shift`: its wall clock is the one that `site.set_clock` sets. `prefix`: what runs it (a namespace). `environment`: more
    variables. `wait_for_it`: until it listens.
    """

    def __init__(
        self,
        site: TroubleSite,
        *,
        shift: bool = False,
        prefix: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        wait_for_it: bool = True,
    ) -> None:
        self.site, self.file = site, site.folder / "zads.toml"
        self.file.write_text(site.toml)
        self._log = site.folder / f"notifier-{len(site.processes)}.log"
        program = [sys.executable, "-m", "tests.support.shifted_clock", str(site.shift)] if shift else [_zads()]
        command = [*prefix, *program, "--config", str(self.file), "notify", "serve"]
        with self._log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env={**os.environ, **(environment or {})}
            )
        self.pid = self._process.pid
        if not wait_for_it:
            return
        wait(lambda: listens(site.own) or self._process.poll() is not None, 30)
        assert self._process.poll() is None, self.log()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def metric(self, line: str) -> float | None:
        """Return a sample's value, None where there is none; `line` is its name with its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.site.own}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = [one for one in text.splitlines() if one.startswith(f"{line} ")]
        return float(found[0].rpartition(" ")[2]) if found else None

    def kill(self) -> None:
        """End it at once: SIGKILL."""
        self._process.kill()
        self._process.wait(20)

    def terminate(self) -> int:
        """End it in an orderly way, and return the exit code."""
        self._process.terminate()
        return self._process.wait(30)

    def beside(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `zads notify` with some words beside it."""
        command = [_zads(), "--config", str(self.file), "notify", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def file_sizes(self, most: int | None) -> None:
        """Let no file of the process grow beyond so many bytes: what a full quota is to it; None lifts it."""
        limit = resource.RLIM_INFINITY if most is None else most
        hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit, hard))


def _zads() -> str:
    return str(Path(sys.executable).parent / "zads")


def may_mount() -> bool:
    """Tell whether this user may make a mount namespace of its own."""
    return subprocess.run(_namespace("true"), capture_output=True, check=False).returncode == 0


def _namespace(script: str) -> list[str]:
    return ["unshare", "-m", *([] if os.geteuid() == 0 else ["-r"]), "sh", "-ec", script, "sh"]


def small_disk(folder: Path, size: str) -> tuple[str, ...]:
    """Return what runs a command with an own disk of this size at a folder."""
    folder.mkdir()
    return (*_namespace(f'mount -t tmpfs -o size={size} zads "{folder}"; exec "$@"'),)


def read_only(path: Path) -> tuple[str, ...]:
    """Return what runs a command that can only read a path, as on a disk that was mounted so."""
    return (*_namespace(f'mount --bind "{path}" "{path}"; mount -o remount,bind,ro "{path}"; exec "$@"'),)


def in_namespace(process: Process, *command: str) -> None:
    """Run a command among the mounts of a process."""
    user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
    subprocess.run(["nsenter", "-t", str(process.pid), "-m", *user, *command], check=True, capture_output=True)


def seen_by(process: Process, path: Path) -> Path:
    """Return a path among the mounts of a process as we can reach it."""
    return Path(f"/proc/{process.pid}/root{path}")


def expect(site: TroubleSite, found: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Wait for something; where it does not come, say what there is instead."""
    try:
        return wait(found, seconds)
    except AssertionError:
        told = {state: site.numbers(state) for state in ("firing", "resolved")}
        raise AssertionError(f"not within {seconds} s: {told}\n{site.processes[-1].log()[-3000:]}") from None
