"""The running stack of this checkout: its command, its Prometheus, its stand-ins, its notifier's record."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drills.letters import Letter, Reader, Record
from zads.ask_prometheus import Prometheus, PrometheusError, Series
from zads.config import load
from zads.runbook import read_rules
from zads.stack import components, up
from zads.stack.paths import Paths
from zads.stack.supervisor import holder

ZADS = str(Path(sys.executable).parent / "zads")


class NoStack(Exception):
    """No stack runs here; the text says what to do."""


@dataclass(frozen=True)
class Fired:
    """One alert as Prometheus saw it: since when its condition held, when it began to fire, until when it did."""

    alert: str
    labels: Mapping[str, str]
    active: float
    fired: float
    until: float


class Stand:
    """Words to talk to the stack with."""

    def __init__(self, root: Path) -> None:
        self.root, self.paths = root, Paths(root)
        if not holder(self.paths):
            raise NoStack("No stack runs here. `make up` starts it; then run this again in the same folder.")
        self.config = load(self.paths.site)
        self.prometheus = Prometheus(self.config, timeout=10)
        http, _ = components.inbox_addresses(self.config)
        self._inbox = f"http://{http}/inbox.json"
        self.rules = read_rules(root / "alertrules")
        self.record = Record(root / self.config.notifier.store)
        self._reader = Reader(self.record, self.rules)

    def sim(self, words: str) -> str:
        """Cause trouble, or undo it; raise RuntimeError with what the command said when it fails."""
        done = subprocess.run([ZADS, "sim", *words.split()], cwd=self.root, capture_output=True, text=True, timeout=120)
        said = (done.stdout + done.stderr).strip()
        if done.returncode != 0:
            raise RuntimeError(f"zads sim {words}: {said}")
        return said

    def inbox(self) -> list[dict[str, Any]]:
        """Return all messages that arrived, oldest first."""
        with urllib.request.urlopen(self._inbox, timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def letters(self, after: int) -> list[Letter]:
        """Return the messages after the first `after` ones."""
        return self._reader.read(self.inbox()[after:])

    def ask(self, expression: str) -> list[Series]:
        """Ask Prometheus; nothing while it does not answer."""
        try:
            return self.prometheus.at(expression)
        except PrometheusError:
            return []

    def not_running(self) -> list[str]:
        """Return the components that do not run."""
        return [f"{row['name']} is {row['state']}" for row in up.services(self.paths) if row["state"] != "running"]

    def fired(self, since: float, now: float) -> list[Fired]:
        """Return the alerts that fired since a time, as Prometheus recorded them; one entry for each time."""
        span = int(now - since) + 15
        begun = {
            _key(one.labels): [(at, value) for at, value in one.samples] for one in self.ask(f"ALERTS_FOR_STATE[{span}s]")
        }
        found = []
        for one in self.ask(f'ALERTS{{alertstate="firing"}}[{span}s]'):
            labels = {k: v for k, v in one.labels.items() if k not in {"__name__", "alertstate"}}
            times = [at for at, _ in one.samples if at >= since]
            before = [at for at, _ in one.samples if at < since]
            for first, last in _stretches(times):
                if before and first - before[-1] < 20:
                    continue  # it fired before the drill
                active = [value for at, value in begun.get(_key(one.labels), ()) if at <= first + 1] or [first]
                found.append(Fired(labels["alertname"], labels, active[-1], first, last))
        return sorted(found, key=lambda one: one.fired)


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in labels.items() if k not in {"__name__", "alertstate"}))


def _stretches(times: list[float], gap: float = 20.0) -> list[tuple[float, float]]:
    """Return first and last of each row of times without a hole: an alert that pauses for an evaluation fires on."""
    result: list[tuple[float, float]] = []
    for at in times:
        if result and at - result[-1][1] <= gap:
            result[-1] = (result[-1][0], at)
        else:
            result.append((at, at))
    return result
