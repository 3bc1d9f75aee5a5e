"""What the notifier watches besides its queue: the Watchdog, reminders, Alertmanager's own view, the dead-man's switch."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable

import requests

from notifier.dispatch import Dispatcher
from notifier.model import Alert
from notifier.store import Store
from zads.config import Config

_LOG = logging.getLogger(__name__)
_EVERY = 10.0
_PING_EVERY = 30.0
_RECONCILE_EVERY = 30.0
_ABSENT_FOR = 300.0
BLIND_AFTER = 120.0
_BLIND = "zads-notifier-blind"


class Watch:
    """A thread that looks every ten seconds."""

    def __init__(
        self,
        config: Config,
        store: Store,
        dispatcher: Dispatcher,
        dead_man_url: str | None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self._store, self._dispatcher = config, store, dispatcher
        self._dead_man, self._clock = dead_man_url, clock
        self._began = clock()
        self._heard: float | None = None
        self._blind_since: float | None = None
        self._absent: dict[int, float] = {}
        self._pinged = self._reconciled = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(5)

    def heard(self) -> None:
        """Note Alertmanager's Watchdog."""
        self._heard = self._clock()

    @property
    def last_heard(self) -> float | None:
        """When the Watchdog was last heard, since the start."""
        return self._heard

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            try:
                self.look()
            except sqlite3.Error as error:
                _LOG.error("the record cannot be used: %s", error)
            except Exception:  # the loop's edge
                _LOG.exception("watching failed")

    def look(self) -> None:
        """Look once at everything that is due."""
        now = self._clock()
        self._store.return_leases()
        self._dispatcher.wake(self._store.remind(self._config.notifier.reminder))
        blind = now - (self._heard or self._began) > BLIND_AFTER
        self._watchdog(blind, now)
        if now - self._reconciled >= _RECONCILE_EVERY:
            self._reconciled = now
            self._reconcile(now, blind)
        if self._dead_man and now - self._pinged >= _PING_EVERY:
            self._pinged = now
            self._ping(blind)

    def _watchdog(self, blind: bool, now: float) -> None:
        """Raise "monitoring is blind" when Prometheus or Alertmanager went silent."""
        if blind and self._blind_since is None:
            self._blind_since = now
            self._dispatcher.wake(self._store.take([self._blind_alert("firing", now)]))
        elif not blind and self._blind_since is not None:
            self._dispatcher.wake(self._store.take([self._blind_alert("resolved", now)]))
            self._blind_since = None
        elif not blind:
            # One that was open when this process began: it is heard again.
            for incident in self._store.open_incidents():
                if incident.fingerprint == _BLIND:
                    self._dispatcher.wake(self._store.close_incident(incident.id))

    def _blind_alert(self, status: str, now: float) -> Alert:
        return Alert(
            _BLIND,
            "firing" if status == "firing" else "resolved",
            self._blind_since or now,
            now if status == "resolved" else None,
            {"alertname": "MonitoringBlind", "severity": "page", "headline": "MONITORING BLIND", "source": "notifier"},
            {
                "summary": f"Monitoring is blind: Alertmanager's Watchdog has not been heard for {BLIND_AFTER / 60:.0f} min",
                "impact": "Trouble would go unseen. Alerts themselves may flow well.",
                "first": "systemctl status prometheus prometheus-alertmanager on the monitor machine",
                "runbook_url": "docs/runbook.md#monitoringblind",
            },
        )

    def _reconcile(self, now: float, blind: bool) -> None:
        """Close what Alertmanager has not known for 5 minutes, while it and Prometheus were well throughout."""
        incidents = [i for i in self._store.open_incidents() if i.fingerprint != _BLIND]
        if not incidents or blind:
            self._absent.clear()
            return
        try:
            base = f"http://{self._config.alertmanager.address}"
            answer = requests.get(f"{base}/api/v2/alerts", timeout=5)
            answer.raise_for_status()
            known = {str(alert["fingerprint"]) for alert in answer.json()}
            requests.get(f"http://{self._config.prometheus.address}/-/ready", timeout=5).raise_for_status()
        except (requests.RequestException, ValueError, KeyError):
            self._absent.clear()
            return
        absent = {i.id for i in incidents if i.fingerprint not in known}
        self._absent = {number: self._absent.get(number, now) for number in absent}
        for number, since in list(self._absent.items()):
            if now - since >= _ABSENT_FOR:
                _LOG.info("incident %d closed: its source has not known it for 5 minutes", number)
                self._dispatcher.wake(self._store.close_incident(number))
                del self._absent[number]

    def _ping(self, blind: bool) -> None:
        """Beat outside only while all that a page needs is there: sight, record, channels."""
        well = not blind and self._store.writable() and any(book.healthy for book in self._dispatcher.books.values())
        if well and self._dead_man:
            try:
                requests.post(self._dead_man, timeout=5)
            except requests.RequestException as error:
                _LOG.warning("the outside dead-man's switch does not answer: %s", type(error).__name__)
