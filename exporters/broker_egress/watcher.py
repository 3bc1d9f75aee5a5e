"""Keep the ledger up to date: a thread that reads the kernel every second, one that hears of connections' ends."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Protocol

from exporters.broker_egress.ledger import Connection, Ledger
from zads.fault_log import Seldom

_LOG = logging.getLogger(__name__)
_LOOK_EVERY = 1.0
_WATCH_AGAIN = 5.0
_KEEP_AFTER, _KEEP_AT_MOST_EVERY = 0.02, 0.2  # seconds: a client's connections end one after the other
_BLIND_AFTER = 3.5  # seconds without a good look
_ADVICE = (
    "egress comes from committed offsets alone. To measure the wire, run broker-egress on Kafka's host, in its "
    "network namespace, with netlink sockets allowed (systemd: RestrictAddressFamilies with AF_NETLINK)"
)


class WireSource(Protocol):
    """What reads the kernel's figures."""

    events_lost: int

    @property
    def ports(self) -> frozenset[int]:
        """The ports that are watched."""

    def start_with(self, ports: Iterable[int]) -> None:
        """Watch these ports, before the first look."""

    def watch_also(self, ports: Iterable[int]) -> list[Connection]:
        """Watch these ports too; return the connections that are open there by now."""

    def look(self) -> list[Connection]:
        """Return all open connections to Kafka."""

    def watch(self, closed: Callable[[Connection], None], stop: threading.Event) -> None:
        """Report connections that end."""

    def close(self) -> None:
        """Let go of the kernel's socket."""


class Watcher:
    """Feed a ledger; `lock` guards the ledger and the errors.

    `keep` writes the ledger down. It is called soon after a connection ended: of those that are open the kernel still
    knows everything after a kill of this process, of one that ended only the ledger does.
    """

    def __init__(
        self,
        wire: WireSource,
        ledger: Ledger,
        keep: Callable[[], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire, self.ledger, self._keep, self._monotonic = wire, ledger, keep, monotonic
        self._ended = threading.Event()
        self.lock = threading.Lock()
        self._looking = threading.Lock()  # the kernel's socket is for one at a time
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._good_at = float("-inf")
        self._failing = ""
        self._deaf = Seldom(monotonic=monotonic)
        self._errors: Counter[str] = Counter()
        self._lost = 0

    @property
    def readable(self) -> bool:
        """Whether the kernel could be read just now; a thread that hangs makes it false too."""
        return not self._failing and self._monotonic() - self._good_at < _BLIND_AFTER

    def start(self) -> None:
        """Look once and go on in the background; later calls do nothing."""
        if self._threads:
            return
        # Events first: what ends between the first look and the first event would be lost.
        self._begin(self._watch, "wire-events")
        self._begin(self._write, "wire-totals")
        self.look()
        self._begin(self._poll, "wire")

    def _begin(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        """End the threads."""
        self._stop.set()
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=3)
        self._wire.close()

    def look(self) -> None:
        """Read the kernel once; whatever fails is logged once, counted, and tried again."""
        with self._looking:
            self._look()

    def _look(self) -> None:
        try:
            connections = self._wire.look()
        except Exception as error:  # the loop's edge: whatever comes, the next look is tried
            with self.lock:
                self._errors[type(error).__name__] += 1
            if self._failing != type(error).__name__:
                _LOG.warning("connections cannot be read: %s; %s", error, _ADVICE)
            self._failing = type(error).__name__
            return
        with self.lock:
            self.ledger.look(connections)
        if self._failing:
            _LOG.info("connections can be read again")
        self._failing, self._good_at = "", self._monotonic()

    def watch_also(self, ports: Iterable[int]) -> None:
        """Watch these ports too: from now on, whatever was sent there before. A failure is tried again at the next call."""
        if not set(ports) - self._wire.ports:
            return
        with self._looking:
            try:
                found = self._wire.watch_also(ports)
            except OSError as error:
                _LOG.debug("more ports: %s", error)  # the look fails alike, and says it
                return
            with self.lock:
                self.ledger.adopt(found)

    def taken_errors(self) -> Counter[str]:
        """Return the errors since the last call."""
        with self.lock:
            errors, self._errors = self._errors, Counter()
        lost = self._wire.events_lost
        if lost > self._lost:
            errors["EventsLost"], self._lost = lost - self._lost, lost
        return errors

    def _poll(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            self.look()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._wire.watch(self._on_closed, self._stop)
            except Exception as error:  # the loop's edge, as above
                with self.lock:
                    self._errors["EventsUnreadable"] += 1
                if self._deaf.due(type(error).__name__):
                    _LOG.warning("events of closed connections cannot be read: %s; short connections may be missed", error)
            self._stop.wait(_WATCH_AGAIN)

    def _write(self) -> None:
        while self._ended.wait() and not self._stop.is_set():
            self._stop.wait(_KEEP_AFTER)
            self._ended.clear()
            self._keep()
            self._stop.wait(_KEEP_AT_MOST_EVERY)

    def _on_closed(self, connection: Connection) -> None:
        with self.lock:
            self.ledger.closed(connection)
        self._ended.set()
