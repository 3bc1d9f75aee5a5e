"""Count a service's restarts, over restarts of the exporter and of the machine."""

from __future__ import annotations

import json
import logging
from pathlib import Path

_LOG = logging.getLogger(__name__)


class Restarts:
    """A restart is another process than the one known. Kept in a file.

    How often a service was restarted while nobody looked is not known: that counts as one.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: dict[str, int] = {}
        self._processes: dict[str, str] = {}
        self._started: dict[str, float] = {}  # of files from before processes had identities
        self._unsaved = False
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
            counts = {str(k): int(v) for k, v in state["counts"].items()}
            self._started = {str(k): float(v) for k, v in state.get("started", {}).items()}
            self._processes = {str(k): str(v) for k, v in state.get("processes", {}).items()}
            self._counts = counts
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # The first run, or a file that is no good: counting begins anew.
            self._counts, self._processes, self._started = {}, {}, {}

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

    def _save(self) -> None:
        state = {"counts": self._counts, "processes": self._processes, "started": self._started}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".new")
            partial.write_text(json.dumps(state), encoding="utf-8")
            partial.replace(self._file)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                _LOG.warning("restarts cannot be kept in %s: %s", self._file, error)
            self._unsaved = True
