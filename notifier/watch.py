"""What the notifier watches besides its queue: the Watchdog, reminders, Alertmanager's own view, the dead-man's switch."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable

import requests

from notifier.acknowledgements import Acknowledgements
from notifier.dispatch import Dispatcher
from notifier.emergency import Emergency
from notifier.model import Alert, Incident
from notifier.routing import Router
from notifier.sight import Sight
from notifier.store import Store
from zads.commands import commands
from zads.config import Config

_LOG = logging.getLogger(__name__)
_EVERY = 10.0
_PING_EVERY = 30.0
_RECONCILE_EVERY = 30.0
_ABSENT_FOR = 300.0
_BROKEN_FOR = 900.0
BLIND_AFTER = 120.0
BLIND, RENEWED = "zads-notifier-blind", "zads-notifier-record"
_OWN = {BLIND, RENEWED}  # what no Alertmanager knows
_TOLD_FOR = 86_400.0


class Watch:
    """A thread that looks every ten seconds."""

    def __init__(
        self,
        config: Config,
        store: Store,
        router: Router,
        dispatcher: Dispatcher,
        sight: Sight,
        emergency: Emergency,
        dead_man_url: str | None,
        *,
        acknowledgements: Acknowledgements | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
    ) -> None:
        # What is waited for here goes by a clock that nobody sets; a test that moves the time moves both.
        self._steady = steady or (time.monotonic if clock is time.time else clock)
        self._config, self._store, self.router, self._dispatcher = config, store, router, dispatcher
        self._sight, self._emergency = sight, emergency
        self._dead_man, self._clock, self.acknowledgements = dead_man_url, clock, acknowledgements
        self._began, self._began_steady = clock(), self._steady()
        self._heard: float | None = None
        self._heard_steady: float | None = None
        self._sources: set[str] = set()  # what our own Alertmanagers call themselves
        self._blind_since: float | None = None
        self._absent: dict[tuple[str, float], float] = {}
        self._pinged = self._reconciled = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def heard(self, source: str = "") -> None:
        """Note Alertmanager's Watchdog, and what this Alertmanager calls itself."""
        self._heard, self._heard_steady = self._clock(), self._steady()
        if source:
            self._sources.add(source)

    def lost(self) -> None:
        """Note that the Watchdog has ended: Alertmanager does not hear Prometheus any more."""
        self._sight.lost()

    def ours(self, source: str | None) -> bool:
        """Tell whether an alert of this source comes from our Prometheus through our Alertmanager, as far as is known.

        Others (Grafana, a script) are neither judged by our Prometheus nor reconciled with our Alertmanager.
        """
        return source is None or source in self._sources

    def disbelieved(self, alerts: Iterable[Alert]) -> set[tuple[str, float]]:
        """Return the ends that are not to be believed, as episodes; until the Watchdog was heard, anybody may be ours."""
        return self._sight.disbelieved(a for a in alerts if not self._sources or self.ours(a.source))

    @property
    def last_heard(self) -> float | None:
        """When the Watchdog was last heard, since the start."""
        return self._heard

    def _run(self) -> None:
        while True:
            self.look()
            if self._stop.wait(_EVERY):
                return

    def look(self) -> None:
        """Look once at everything that is due; what fails does not keep the rest from being done."""
        now, steady = self._clock(), self._steady()
        heard = self._began_steady if self._heard_steady is None else self._heard_steady
        blind = steady - heard > BLIND_AFTER
        for step in (
            self._sight.look,
            self._tend_queue,
            self._read_acknowledgements,
            lambda: self._watchdog(now, blind=blind),
            lambda: self._renewal(now),
            lambda: self._reconcile(now, steady, blind=blind),
            lambda: self._ping(steady, blind=blind),
        ):
            try:
                step()
            except sqlite3.Error as error:
                _LOG.error("the record cannot be used: %s", error)
            except Exception:  # the loop's edge
                _LOG.exception("watching failed")

    def _tend_queue(self) -> None:
        self._store.return_leases()
        self._emergency.works()
        settings = self._config.notifier
        self._dispatcher.wake(self._store.escalate())
        self._dispatcher.wake(self._store.forget_acknowledgements(settings.acknowledged_for))
        self._dispatcher.wake(self._store.remind(settings.reminder))

    def _read_acknowledgements(self) -> None:
        """Take over what persons said at PagerDuty; the other channels are told."""
        for answer in self.acknowledgements.look() if self.acknowledgements else ():
            if answer.who:
                _LOG.info("incident %d is acknowledged at PagerDuty by %s", answer.number, answer.who)
                self._dispatcher.wake(self._store.acknowledge(answer.number, answer.who, answer.when or None))
            else:
                _LOG.info("incident %d is no longer acknowledged at PagerDuty", answer.number)
                why = "no longer acknowledged at PagerDuty"
                self._dispatcher.wake(self._store.unacknowledge(answer.number, why, answer.when))

    def _watchdog(self, now: float, *, blind: bool) -> None:
        """Raise "monitoring is blind" when Prometheus or Alertmanager went silent; end it when one is heard."""
        if blind and self._blind_since is None:
            self._say(self._blind_alert())
            self._blind_since = now
        elif not blind and self._heard is not None:
            # Also one that was open when this process began: not before the Watchdog is really heard.
            for incident in self._emergency.open():
                if incident.fingerprint == BLIND:
                    self._emergency.over(incident, now)
            for incident in self._store.open_incidents():
                if incident.fingerprint == BLIND:
                    self._dispatcher.wake(self._store.close_incident(incident.id, now, ""))
            self._blind_since = None

    def _say(self, alert: Alert) -> None:
        """Record an alert of our own.

        Raises sqlite3.Error when that fails; the page is sent from memory then, and still has to be recorded.
        """
        try:
            channels = self._store.take([alert], told=self._emergency.told([alert]))
        except sqlite3.Error as error:
            self._emergency.failed([alert], error)
            raise
        self._emergency.recorded([alert])
        self._dispatcher.wake(channels)

    def _blind_alert(self) -> Alert:
        return Alert(
            BLIND,
            "firing",
            (self._heard or self._began) + BLIND_AFTER,  # the same at each try
            None,
            {"alertname": "MonitoringBlind", "severity": "page", "headline": "MONITORING BLIND", "source": "notifier"},
            {
                "pending": f"{BLIND_AFTER:.0f}",
                "summary": "Monitoring is blind: Alertmanager's Watchdog is not heard, so Prometheus or Alertmanager stands still",
                "impact": "Trouble at Kafka, MirrorMaker or the communities would go unseen. Alerts themselves may flow well.",
                "first": commands(self._config)["monitoring"].status,
                "runbook_url": "docs/runbook.md#monitoringblind",
            },
            "notifier",
        )

    def _renewal(self, now: float) -> None:
        """Say for a day that the record was damaged or gone and begun anew: what only it knew, nobody else tells."""
        at = self._store.renewed_at
        fresh = at is not None and abs(now - at) < _TOLD_FOR
        said = [one for one in self._store.open_incidents() if one.fingerprint == RENEWED]
        if fresh and at is not None and not said:
            self._say(_renewed_alert(at))
        elif said and not fresh:
            for incident in said:
                self._dispatcher.wake(self._store.close_incident(incident.id, now, ""))

    def _reconcile(self, now: float, steady: float, *, blind: bool) -> None:
        """Close what Alertmanager has not known for 5 minutes, while it and Prometheus were well throughout."""
        if not self._sight.well or blind:
            self._absent.clear()
            return
        if steady - self._reconciled < _RECONCILE_EVERY:
            return
        self._reconciled = steady
        incidents = [i for i in self._store.open_incidents() if i.fingerprint not in _OWN and self.ours(i.source)]
        memory = [i for i in self._emergency.open() if i.fingerprint not in _OWN and self.ours(i.source)]
        known = self._known() if incidents or memory else None
        if known is None:
            self._absent.clear()
            return
        absent = {(i.fingerprint, i.starts_at): i for i in (*memory, *incidents) if i.fingerprint not in known}
        self._absent = {key: self._absent.get(key, steady) for key in absent}
        for key, since in list(self._absent.items()):
            if steady - since >= _ABSENT_FOR:
                self._forget(absent[key], now - (steady - since))
                del self._absent[key]

    def _forget(self, incident: Incident, since: float) -> None:
        _LOG.info("incident %d (%s) closed: its source has not known it for 5 minutes", incident.id, incident.fingerprint)
        if incident.id:
            self._dispatcher.wake(self._store.close_incident(incident.id, since))
        else:
            self._emergency.over(incident, since)

    def _known(self) -> set[str] | None:
        """Return the fingerprints that Alertmanager holds; None when it does not say."""
        try:
            answer = requests.get(f"http://{self._config.alertmanager.address}/api/v2/alerts", timeout=5)
            answer.raise_for_status()
            return {str(alert["fingerprint"]) for alert in answer.json()}
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return None

    def _ping(self, steady: float, *, blind: bool) -> None:
        """Beat outside only while all that a page needs is there: sight, record, channels."""
        if not self._dead_man or steady - self._pinged < _PING_EVERY:
            return
        self._pinged = steady
        if blind or not self._store.writable() or not self._pages_arrive(self._clock()):
            return
        try:
            requests.post(self._dead_man, timeout=5)
        except requests.RequestException as error:
            _LOG.warning("the outside dead-man's switch does not answer: %s", type(error).__name__)

    def _pages_arrive(self, now: float) -> bool:
        """Tell whether the channels of a page work.

        A provider that is away for some minutes while another tells everything wakes nobody; a worker that is
        dead, or a channel that stays broken, does.
        """
        names = [name for name in self.router.page_channels() if name in self._dispatcher.channels]
        books = self._dispatcher.books
        if not all(self._dispatcher.running(name) for name in names):
            return False
        broken = [books[name].broken_since or now for name in names if not books[name].works]
        return len(broken) < max(1, len(names)) and all(now - since < _BROKEN_FOR for since in broken)


def _renewed_alert(at: float) -> Alert:
    return Alert(
        RENEWED,
        "firing",
        at,
        None,
        {"alertname": "RecordRenewed", "severity": "ticket", "headline": "RECORD RENEWED", "source": "notifier"},
        {
            "summary": "The notifier's record was damaged or gone: it was moved aside and a new one was begun",
            "impact": "What was under way was carried over as far as it could be read. A page that was not yet sent may be lost.",
            "first": "Compare what Prometheus says is firing with the notifier's page; then check the disk: runbook step 2",
            "runbook_url": "docs/runbook.md#recordrenewed",
        },
        "notifier",
    )
