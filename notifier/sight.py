"""Whether Prometheus sees: an end that is reported while it does not is none.

Prometheus tells Alertmanager again and again that an alert fires, and until when that holds. When it dies or
is cut off, Alertmanager lets the alert time out and reports an end like any other.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import requests

from notifier.intake import BadBodyError, parse_time
from notifier.model import Alert
from notifier.store import Store
from zads.config import Config

_LOG = logging.getLogger(__name__)
_TIMEOUT = 2.0
# What it lost while it was away it has found again after this: alerts wait up to five minutes before they fire.
SETTLED_AFTER = 300.0
# While it does not answer, it is not waited for again and again.
_AGAIN_AFTER = 10.0
_SEEN, _UNWELL = "prometheus seen", "prometheus unwell"


@dataclass(frozen=True)
class _View:
    """What one look saw: whether it is ready, since when it runs, the labels of what fires."""

    began: float  # monotonic: what happened before it is in it
    at: float
    ready: bool = False
    started: float | None = None
    firing: tuple[Mapping[str, str], ...] | None = None


class Sight:
    """Looks at Prometheus, and judges the ends of alerts by it.

    When it was seen and when it was not is kept in the record, so that a restart of the notifier does not
    make believe. Where it was never seen at all (another address, no Prometheus), every end is believed.
    """

    def __init__(self, config: Config, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._url, self._store, self._clock = f"http://{config.prometheus.address}", store, clock
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._seen = False
        self._unwell_at: float | None = None  # the last moment at which it was not well
        self._restored = False

    @property
    def well(self) -> bool:
        """Tell whether it was well at the last look; before the first one it may be asked."""
        return self._view is None or self._view.ready

    def look(self) -> bool:
        """Look, remember, and tell whether it is ready to be asked; many callers share one look."""
        asked = time.monotonic()
        with self._lock:
            view = self._view
            if view is None or view.began < asked:
                view = self._see()
            return view.ready

    def lost(self) -> None:
        """Note that Alertmanager does not hear it any more: the Watchdog has ended."""
        with self._lock:
            self._restore()
            if self._seen:
                self._unwell_at = self._clock()
            self._keep()

    def disbelieved(self, alerts: Iterable[Alert]) -> set[tuple[str, float]]:
        """Return the ends that are not to be believed, as episodes.

        An end is believed when Prometheus is ready, has been since the alert began (or for five minutes), and
        does not itself say that the alert still fires.
        """
        ends = [alert for alert in alerts if alert.status == "resolved"]
        view = self._view
        if ends and (view is None or view.ready or not 0 <= self._clock() - view.at < _AGAIN_AFTER):
            self.look()
        view = self._view
        if not ends or not self._seen or view is None:
            return set()
        return {alert.episode for alert in ends if self._doubts(alert, view)}

    def _doubts(self, alert: Alert, view: _View) -> bool:
        if not view.ready or view.firing is None:
            return True
        now, unwell = self._clock(), self._unwell_at
        if unwell is not None and alert.starts_at < unwell and 0 <= now - unwell < SETTLED_AFTER:
            return True
        # The sender may add labels of its own; it takes none away.
        return any(labels.items() <= alert.labels.items() for labels in view.firing)

    def _see(self) -> _View:
        self._restore()
        began, now = time.monotonic(), self._clock()
        before = self._view
        view = self._ask(began, now)
        self._view = view
        if view.ready:
            self._seen = True
            if view.started is not None:
                # A restart between two looks: what it knew it had to learn again.
                self._unwell_at = max(self._unwell_at or 0.0, min(view.started, now))
        elif self._seen:
            self._unwell_at = now
        if before is None or before.ready != view.ready:
            _LOG.warning("Prometheus %s", "is ready" if view.ready else "is not ready: ends of alerts are not believed")
        self._keep()
        return view

    def _ask(self, began: float, now: float) -> _View:
        try:
            requests.get(f"{self._url}/-/ready", timeout=_TIMEOUT).raise_for_status()
        except requests.RequestException:
            return _View(began, now)
        return _View(began, now, True, self._started(), self._firing())

    def _started(self) -> float | None:
        try:
            answer = requests.get(f"{self._url}/api/v1/status/runtimeinfo", timeout=_TIMEOUT)
            return parse_time(answer.json()["data"]["startTime"])
        except (requests.RequestException, BadBodyError, ValueError, KeyError, TypeError):
            return None

    def _firing(self) -> tuple[Mapping[str, str], ...] | None:
        """Return the labels of what fires in Prometheus now; None when it does not say."""
        try:
            answer = requests.get(f"{self._url}/api/v1/alerts", timeout=_TIMEOUT)
            return tuple(alert["labels"] for alert in answer.json()["data"]["alerts"] if alert["state"] == "firing")
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return None

    def _restore(self) -> None:
        """Read what the last process knew, once the record can be read."""
        if self._restored:
            return
        with suppress(sqlite3.Error):
            self._seen = self._seen or self._store.last_beat(_SEEN) is not None
            unwell = self._store.last_beat(_UNWELL)
            self._unwell_at = unwell if self._unwell_at is None else self._unwell_at
            self._restored = True

    def _keep(self) -> None:
        """Keep what changed; it is a hint for after a restart, so that a record that fails is no trouble here."""
        with suppress(sqlite3.Error):
            if self._seen and self._store.last_beat(_SEEN) is None:
                self._store.beat(_SEEN)
            if self._unwell_at is not None and self._store.last_beat(_UNWELL) != self._unwell_at:
                self._store.beat(_UNWELL, self._unwell_at)
