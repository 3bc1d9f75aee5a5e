"""The outside dead-man's switch: pages by itself when the heartbeat stops.

It stands for a service like healthchecks.io or PagerDuty's heartbeat: outside, so that it also notices when
everything of ours is gone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zads.stack.inbox_store import Inbox

_LOG = logging.getLogger(__name__)
_SILENT_AFTER = 90.0
# After a restart of the stand-in the monitor may be starting too; the real service would not have been away.
_RESTART_GRACE = 300.0
_SOURCE = "outside dead-man's switch"


class DeadMan:
    """Page when no heartbeat came for `silent_after` seconds, and again when it is heard.

    A switch that never heard anything has nothing to miss. `file`, whose existence says that a heartbeat was
    once heard, arms it again after a restart; whether it has already paged is read from the inbox.
    """

    def __init__(
        self,
        inbox: Inbox,
        silent_after: float = _SILENT_AFTER,
        *,
        clock: Callable[[], float] = time.monotonic,
        file: Path | None = None,
        grace: float = _RESTART_GRACE,
    ) -> None:
        self._inbox, self._after, self._clock, self._file = inbox, silent_after, clock, file
        self._lock = threading.Lock()
        said = [m["state"] for m in inbox.all() if isinstance(m["raw"], dict) and m["raw"].get("source") == _SOURCE]
        self._fired = bool(said) and said[-1] == "firing"
        self._armed_on_disk = bool(said) or (file is not None and file.exists())
        self._deadline = clock() + max(grace, silent_after) if self._armed_on_disk else None

    def beat(self) -> None:
        """Note a heartbeat."""
        with self._lock:
            self._deadline = self._clock() + self._after
            if not self._armed_on_disk and self._file is not None:
                self._armed_on_disk = True
                with suppress(OSError):
                    self._file.touch()
            heard_again, self._fired = self._fired, False
        if heard_again:
            self._say("resolved", "ZADS Monitor is heard again")

    def check(self) -> None:
        """Page when the heartbeat has stopped; once for each silence."""
        with self._lock:
            if self._deadline is None or self._fired or self._clock() <= self._deadline:
                return
            self._fired = True
        self._say("firing", f"ZADS Monitor is silent: no heartbeat for {round(self._after)} s, nobody watches ZADS")

    def _say(self, state: str, title: str) -> None:
        _LOG.warning("dead-man's switch: %s", title)
        self._inbox.add("pagerduty", state, title, title, {"source": _SOURCE})
