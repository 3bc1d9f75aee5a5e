"""What the stand-ins received: kept in order, appended to a file, shown as JSON."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Received:
    """One message as its reader would see it, and as it came over the wire."""

    channel: str
    at: str
    state: str
    title: str
    text: str
    raw: Any


class Inbox:
    """All messages, oldest first; safe to use from the SMTP and the HTTP thread."""

    def __init__(self, file: Path) -> None:
        self._file, self._lock = file, threading.Lock()
        self._messages: list[dict[str, Any]] = []
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            self._messages = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]

    def add(self, channel: str, state: str, title: str, text: str, raw: Any) -> None:
        """Keep one message."""
        at = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = asdict(Received(channel, at, state, title, text, raw))
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(message) + "\n")
            self._messages.append(message)

    def all(self) -> list[dict[str, Any]]:
        """Return all messages, oldest first."""
        with self._lock:
            return list(self._messages)
