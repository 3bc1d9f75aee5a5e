"""Pages straight from memory while the record cannot be written: nobody sleeps through an outage because a disk is full.

Who reports an alert is told 503 and comes again, so a channel that does not take a page now is tried again
with the next report. What memory has told is handed to the record once that can be written, and is not told
twice; what ends before is ended from memory.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from notifier.dispatch import Dispatcher, unforeseen
from notifier.model import PAGE, Alert, Delivery, DeliveryError, Incident
from notifier.plain import written

_LOG = logging.getLogger(__name__)
_LOCKED = {5, 6}  # SQLITE_BUSY, SQLITE_LOCKED: another process, for a moment
_LOCKED_FOR = 10.0
_TRIES = 5
_STORM = 20
Episode = tuple[str, float]


@dataclass
class _Page:
    incident: Incident
    trying: set[str] = field(default_factory=set)
    told: dict[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Item:
    episode: Episode
    delivery: Delivery


class Emergency:
    """Remembers which pages went out without the record, and sends them: one thread per channel."""

    def __init__(self, dispatcher: Dispatcher, channels: Sequence[str], *, clock: Callable[[], float] = time.time) -> None:
        self._dispatcher, self._clock = dispatcher, clock
        self._channels = [name for name in channels if name in dispatcher.channels]
        self._queues: dict[str, queue.SimpleQueue[_Item]] = {name: queue.SimpleQueue() for name in self._channels}
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._pages: dict[Episode, _Page] = {}
        self._ended: dict[Episode, Incident] = {}  # since then a page that was under way may still arrive
        self._failing_since: float | None = None
        self._reason = ""
        self._stop = threading.Event()

    def stop(self) -> None:
        """End the threads."""
        self._stop.set()

    def failed(self, alerts: Iterable[Alert], error: sqlite3.Error) -> None:
        """Send the pages among these alerts, which could not be recorded.

        A record that another process has locked for a moment is no emergency: the sender comes again.
        """
        now = self._clock()
        with self._lock:
            since = self._failing_since = self._failing_since or now
            locked = getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKED
            if locked and now - since < _LOCKED_FOR:
                return
            self._reason = str(error)
            for alert in alerts:
                if alert.severity == PAGE and alert.status == "firing":
                    self._page(alert, now)
                elif alert.status == "resolved":
                    self._end(alert.episode, alert.ends_at or now)

    def told(self, alerts: Iterable[Alert]) -> dict[Episode, dict[str, Mapping[str, str]]]:
        """Return which channels have these pages already, with what is to be remembered there."""
        with self._lock:
            known = ((alert.episode, self._pages.get(alert.episode)) for alert in alerts)
            return {episode: dict(page.told) for episode, page in known if page and page.told}

    def recorded(self, alerts: Iterable[Alert]) -> None:
        """Take note that the record works again and has these alerts: it tells what follows.

        The end of a page that only memory knows means nothing to the record, and is told from here.
        """
        self.works()
        with self._lock:
            for alert in alerts:
                if alert.status == "firing":
                    self._pages.pop(alert.episode, None)
                else:
                    self._end(alert.episode, alert.ends_at or self._clock())

    def works(self) -> None:
        """Take note that the record can be written."""
        with self._lock:
            self._failing_since = None

    def open(self) -> list[Incident]:
        """Return the pages that only memory knows."""
        with self._lock:
            return [page.incident for page in self._pages.values()]

    def over(self, incident: Incident, at: float) -> None:
        """End a page that its source no longer knows: the record never had it, so nobody else will."""
        with self._lock:
            self._end((incident.fingerprint, incident.starts_at), at)

    # -- with the lock held --------------------------------------------------------------------

    def _page(self, alert: Alert, now: float) -> None:
        page = self._pages.get(alert.episode)
        if page is None:
            incident = Incident(
                0,
                alert.fingerprint,
                "firing",
                PAGE,
                alert.labels,
                alert.annotations,
                alert.starts_at,
                now,
                source=alert.source,
            )
            page = self._pages[alert.episode] = _Page(incident)
        for name in self._channels:
            if name not in page.told and name not in page.trying:
                page.trying.add(name)
                self._put(name, alert.episode, page.incident, "firing", now)

    def _end(self, episode: Episode, at: float) -> None:
        page = self._pages.pop(episode, None)
        if page is None:
            return
        incident = replace(page.incident, state="resolved", resolved_at=max(at, page.incident.starts_at))
        if page.trying:
            self._ended[episode] = incident
        for name, references in page.told.items():
            self._put(name, episode, incident, "resolved", self._clock(), references)

    def _put(
        self,
        name: str,
        episode: Episode,
        incident: Incident,
        kind: str,
        now: float,
        references: Mapping[str, str] | None = None,
    ) -> None:
        delivery = Delivery(
            0,
            incident,
            name,
            "resolved" if kind == "resolved" else "firing",
            1,
            now,
            references=references or {},
            # The same for each try, and after a restart too: mail servers know a repetition by it.
            name=f"memory-{kind}-{int(episode[1])}",
        )
        self._queues[name].put(_Item(episode, delivery))
        if name not in self._threads:
            thread = threading.Thread(target=self._work, args=(name,), name=f"emergency-{name}", daemon=True)
            self._threads[name] = thread
            thread.start()

    # -- in the threads ------------------------------------------------------------------------

    def _work(self, name: str) -> None:
        while not self._stop.is_set():
            items = [self._queues[name].get()]
            while name != "pagerduty" and not self._queues[name].empty() and len(items) < 10_000:
                items.append(self._queues[name].get())
            firing = [item for item in items if item.delivery.kind == "firing"]
            if len(firing) >= _STORM:
                self._send(name, firing)
                items = [item for item in items if item.delivery.kind != "firing"]
            for item in items:
                self._send(name, [item])

    def _send(self, name: str, items: Sequence[_Item]) -> None:
        """Try a few times; then the next report of the alert begins anew."""
        for attempt in range(1, _TRIES + 1):
            if items[0].delivery.kind == "firing" and not any(self._wanted(name, item) for item in items):
                return
            try:
                references = self._once(name, items)
            except DeliveryError as error:
                _LOG.warning("from memory by %s, try %d: %s", name, attempt, error)
                self._dispatcher.books[name].outcomes["failed"] += 1
                if error.permanent or self._stop.wait(error.retry_after or min(2.0**attempt, 30.0)):
                    break
            else:
                self._dispatcher.books[name].outcomes["emergency"] += len(items)
                self._note(name, items, references)
                return
        with self._lock:
            for item in items:
                if page := self._pages.get(item.episode):
                    page.trying.discard(name)

    def _wanted(self, name: str, item: _Item) -> bool:
        with self._lock:
            page = self._pages.get(item.episode)
            return page is not None and name in page.trying

    def _once(self, name: str, items: Sequence[_Item]) -> Mapping[str, str]:
        renderer, delivery = self._dispatcher.renderer, items[0].delivery
        try:
            if len(items) > 1:
                message = written(renderer, delivery, [item.delivery for item in items])
                key = f"memory-digest-{len(items)}-{int(delivery.created_at)}"
                delivery = replace(delivery, kind="digest", name=key, references={})
            else:
                message = written(renderer, delivery)
            note = f"Sent from memory: the notifier's record cannot be written ({self._reason})."
            receipt = self._dispatcher.channels[name].send(delivery, message.noting(note))
        except DeliveryError:
            raise
        except Exception as error:  # the edge: a defect must not end what is left of paging
            _LOG.exception("from memory by %s: it failed in a way it should not", name)
            raise unforeseen(error) from error
        return receipt.references if len(items) == 1 else {}

    def _note(self, name: str, items: Iterable[_Item], references: Mapping[str, str]) -> None:
        with self._lock:
            for item in items:
                firing = item.delivery.kind == "firing"
                if page := self._pages.get(item.episode):
                    page.trying.discard(name)
                    if firing:
                        page.told[name] = references
                elif firing and (ended := self._ended.get(item.episode)):
                    self._put(name, item.episode, ended, "resolved", self._clock(), references)
