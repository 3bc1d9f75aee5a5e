"""Count a service's restarts, over restarts of the exporter and of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zads.state import StateFile


class Restarts:
    """A restart is another process than the one known. Kept in a file.

    How often a service was restarted while nobody looked is not known: that counts as one.
    """

    def __init__(self, file: Path) -> None:
        self._file = StateFile(file, "restarts")
        # The first run, or a file that is no good: counting begins anew.
        # `_started` is of files from before processes had identities.
        self._counts, self._processes, self._started = self._file.load(_books) or ({}, {}, {})
        self._unsaved = False

    def see(self, name: str, process: str, started: float) -> None:
        """Note that the service is this process, which runs since `started`."""
        known = self._processes.get(name)
        if known == process:
            if self._unsaved:
                self._save()
            return
        before = self._started.pop(name, None)
        if known is not None or (before is not None and abs(started - before) >= 1.0):
            self._counts[name] = self._counts.get(name, 0) + 1
        self._processes[name] = process
        self._save()

    def count(self, name: str) -> int:
        """Return how many restarts were seen."""
        return self._counts.get(name, 0)

    def seen(self, name: str) -> bool:
        """Tell whether the service's process was ever seen here."""
        return name in self._processes or name in self._started

    def errors(self) -> dict[str, int]:
        """Return what went wrong with the file since the last call, by reason."""
        return self._file.errors()

    def _save(self) -> None:
        state = {"counts": self._counts, "processes": self._processes, "started": self._started}
        self._unsaved = not self._file.save(state)


def _books(state: Any) -> tuple[dict[str, int], dict[str, str], dict[str, float]]:
    """Return counts, processes and, of old files, start times."""
    return (
        {str(k): int(v) for k, v in state["counts"].items()},
        {str(k): str(v) for k, v in state.get("processes", {}).items()},
        {str(k): float(v) for k, v in state.get("started", {}).items()},
    )
