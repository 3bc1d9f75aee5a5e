"""Count a service's restarts, over restarts of the exporter itself."""

from __future__ import annotations

import json
import logging
from pathlib import Path

_LOG = logging.getLogger(__name__)


class Restarts:
    """A restart is a start time that is newer than the one known. Kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._unsaved = False
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
            self._counts = {str(k): int(v) for k, v in state["counts"].items()}
            self._started = {str(k): float(v) for k, v in state["started"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._counts, self._started = {}, {}  # the first run, or a file that is no good: counting begins anew

    def see(self, name: str, started: float) -> None:
        """Note that the service runs since `started`."""
        known = self._started.get(name)
        # Start times come from the boot time and may wander by a few hundredths of a second.
        if known is not None and abs(started - known) < 1.0:
            if self._unsaved:
                self._save()
            return
        if known is not None:
            self._counts[name] = self._counts.get(name, 0) + 1
        self._started[name] = started
        self._save()

    def count(self, name: str) -> int:
        """Return how many restarts were seen."""
        return self._counts.get(name, 0)

    def seen(self, name: str) -> bool:
        """Tell whether the service's process was ever seen here."""
        return name in self._started

    def _save(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".new")
            partial.write_text(json.dumps({"counts": self._counts, "started": self._started}), encoding="utf-8")
            partial.replace(self._file)
            self._unsaved = False
        except OSError as error:
            if not self._unsaved:
                _LOG.warning("restarts cannot be kept in %s: %s", self._file, error)
            self._unsaved = True
