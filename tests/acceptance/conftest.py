"""The whole stack, started as a user would, and words to talk to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ZADS = [str(Path(sys.executable).parent / "zads")]
# Slow machines: every wait is scaled by this.
PATIENCE = float(os.environ.get("ZADS_TEST_PATIENCE", "1"))


@dataclass
class Stack:
    """The running stack and its command."""

    root: Path

    def zads(self, *words: str, check: bool = True) -> str:
        done = subprocess.run([*ZADS, *words], cwd=self.root, capture_output=True, text=True, timeout=400, check=False)
        assert not check or done.returncode == 0, f"zads {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def inbox(self) -> list[dict[str, Any]]:
        return json.loads(self.zads("stack", "inbox", "--json"))

    def status(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in json.loads(self.zads("stack", "status", "--json"))["services"]}

    def query(self, expression: str) -> list[dict[str, Any]]:
        url = "http://127.0.0.1:29090/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def value(self, expression: str) -> float:
        rows = self.query(expression)
        assert rows, f"{expression} is empty"
        return float(rows[0]["value"][1])

    def book(self, name: str) -> dict[str, Any]:
        return json.loads((self.root / ".stack" / "data" / f"{name}.json").read_text(encoding="utf-8"))

    def wait(self, seconds: float, what: str, found: Callable[[], Any]) -> Any:
        """Wait until `found` returns something true; fail with all that was sent meanwhile."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds * PATIENCE:
            result = found()
            if result:
                return result
            time.sleep(0.5)
        sent = [(m["channel"], m["at"], m["state"], m["title"]) for m in self.inbox()[-12:]]
        firing = [row["metric"] for row in self.query('ALERTS{severity!="info"}')]
        pytest.fail(f"not within {seconds:.0f} s: {what}\nlast messages: {sent}\nalerts: {firing}")

    def messages(self, after: int, words: str, state: str, channels: set[str]) -> dict[str, dict[str, Any]] | None:
        """Return the newest message with the words in each of the channels, None while one is missing."""
        found = {
            m["channel"]: m
            for m in self.inbox()[after:]
            if m["state"] == state and words.lower() in (m["title"] + m["text"]).lower()
        }
        return found if channels <= found.keys() else None


@pytest.fixture(scope="session")
def stack(root: Path) -> Iterator[Stack]:
    stack = Stack(root)
    # A stack that the user had running makes room for the tests' and is started again after them.
    running = (
        subprocess.run([*ZADS, "stack", "status", "--json"], cwd=root, capture_output=True, check=False).returncode == 0
    )
    if running:
        print(stack.zads("stack", "down"))
    print(stack.zads("stack", "up"))
    yield stack
    stack.zads("stack", "down")
    if running:
        stack.zads("stack", "up")


@pytest.fixture
def calm(stack: Stack) -> Iterator[int]:
    """Begin without trouble and end without it; gives the number of messages before the test."""

    def nothing_fires() -> bool:
        return not stack.query('ALERTS{severity=~"page|ticket"} and timestamp(ALERTS) > time() - 20')

    stack.zads("sim", "heal")
    stack.wait(200, "nothing fires before the test", nothing_fires)
    yield len(stack.inbox())
    stack.zads("sim", "heal")
