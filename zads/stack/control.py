"""What trouble was asked for: one JSON file, replaced whole, read by the supervisor, simulator and communities."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Control = dict[str, dict[str, Any]]
POLL_SECONDS = 0.3
_PARTS = ("services", "communities", "simulator", "providers")


def read(path: Path) -> Control:
    """Return what is asked for; empty where nothing is."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    parts = data if isinstance(data, dict) else {}
    return {key: dict(part) if isinstance(part := parts.get(key), dict) else {} for key in _PARTS}


def change(path: Path, edit: Callable[[Control], None]) -> Control:
    """Apply `edit` under a lock, so that two commands at once are both obeyed."""
    with (path.parent / "control.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        control = read(path)
        edit(control)
        partial = path.with_suffix(".new")
        partial.write_text(json.dumps(control, indent=1), encoding="utf-8")
        partial.replace(path)
    return control


class Watch:
    """Give the control's newest content, reading the file at most every `POLL_SECONDS`."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._stamp = path, 0.0, (0, 0)
        self._content: Control = read(path)

    def __call__(self) -> Control:
        """Return the content; the file is only parsed when it changed."""
        now = time.monotonic()
        if now - self._at >= POLL_SECONDS:
            self._at = now
            try:
                stat = self._path.stat()
                stamp = (stat.st_mtime_ns, stat.st_ino)
            except OSError:
                stamp = (0, 0)
            if stamp != self._stamp:
                self._stamp, self._content = stamp, read(self._path)
        return self._content
