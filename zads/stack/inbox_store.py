"""What the stand-ins received: kept in order, appended to a file, shown as JSON.

The file is what survives: a full disk or a `kill -9` may leave half a line in it, which is skipped and
counted, and a disk that takes nothing more costs no message, since the providers do not forget either.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LOG = logging.getLogger(__name__)
STATES = ("firing", "acknowledged", "resolved")
CHANNELS = ("email", "slack", "pagerduty", "webhook")


@dataclass(frozen=True)
class Received:
    """One message as its reader would see it, and as it came over the wire."""

    channel: str
    at: str
    state: str
    title: str
    text: str
    raw: Any


def printable(value: Any) -> Any:
    """Return the value with half surrogate pairs replaced, which can be kept in a string but not be written."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {printable(key): printable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [printable(child) for child in value]
    return value


def no_constant(name: str) -> Any:
    """Refuse NaN and Infinity, which Python reads and a browser does not."""
    raise ValueError(f"{name} is no JSON")


class Inbox:
    """All messages, oldest first; safe to use from the SMTP and the HTTP thread.

    `skipped` counts the file's lines that could not be read, `unsaved` the messages that are only in memory.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file, self._clock, self._lock = file, clock, threading.Lock()
        self._messages: list[dict[str, Any]] = []
        self._pending: list[bytes] = []
        self.skipped = 0
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.exists():
                self._load(file.read_bytes())
        except OSError as error:
            _LOG.error("%s can not be read, what was received before is not shown: %s", file, error)
        if self.skipped:
            _LOG.warning("%s: %d damaged lines were skipped, %d messages read", file, self.skipped, len(self._messages))

    @property
    def unsaved(self) -> int:
        """How many messages wait for the disk."""
        return len(self._pending)

    def _load(self, content: bytes) -> None:
        for line in content.split(b"\n"):
            if not line.strip():
                continue
            try:
                message = printable(asdict(Received(**json.loads(line, parse_constant=no_constant))))
                if message["channel"] not in CHANNELS or message["state"] not in STATES:
                    raise ValueError("not a message")
                if not all(isinstance(message[name], str) for name in ("at", "title", "text")):
                    raise ValueError("not a message")
            except (ValueError, TypeError, RecursionError):
                self.skipped += 1
            else:
                self._messages.append(message)

    def add(self, channel: str, state: str, title: str, text: str, raw: Any) -> None:
        """Keep one message; when the disk refuses it is kept in memory and written with the next one."""
        at = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message: dict[str, Any] = printable(asdict(Received(channel, at, state, title, text, raw)))
        with self._lock:
            self._messages.append(message)
            self._pending.append(json.dumps(message).encode() + b"\n")
            try:
                self._append(b"".join(self._pending))
            except OSError as error:
                _LOG.error("%s can not be written, %d messages are only in memory: %s", self._file, self.unsaved, error)
            else:
                self._pending.clear()

    def _append(self, data: bytes) -> None:
        """Append all or nothing: what was written of a line that does not fit is taken back."""
        with self._file.open("a+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":  # half a line of the last run: the new one must not become its end
                    data = b"\n" + data
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):
                    file.truncate(size)
                raise

    def all(self) -> list[dict[str, Any]]:
        """Return all messages, oldest first."""
        with self._lock:
            return list(self._messages)
