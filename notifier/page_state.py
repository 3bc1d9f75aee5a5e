"""What is so now, gathered once for a page: open incidents, channels, who is on call, what waits, the notifier itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from notifier.dispatch import Dispatcher
from notifier.holds import Window, quiet_until
from notifier.model import PAGE, Incident
from notifier.routing import Router
from notifier.store import Store
from notifier.store.history import HeldBack
from zads.config import QuietHours

_WORKS, _PARTLY, _BROKEN, _STANDS = "works", "works, but not for every recipient", "does not accept messages", "stands still"


@dataclass(frozen=True)
class ChannelNow:
    """One channel: whether it works, since when not, what waits, what was refused for good, what went wrong last."""

    name: str
    state: str
    healthy: bool
    since: float | None
    again_at: float | None
    waiting: int
    oldest: float
    parked: int
    sent: int
    failed_at: float | None
    failure: str


@dataclass(frozen=True)
class Duty:
    """Who is on call, who takes over, and when: local time of `zone`."""

    now: str | None
    next: str | None
    hand_over: datetime | None
    zone: ZoneInfo


@dataclass(frozen=True)
class Now:
    """All of it. `quiet_until`: None outside of quiet hours. `heard`: when the Watchdog was last heard, since the start."""

    at: float
    open: Sequence[Incident]
    noted: Sequence[Incident]
    channels: Sequence[ChannelNow]
    duty: Duty
    held: Sequence[HeldBack]
    quiet_until: float | None
    windows: Sequence[Window]
    heard: float | None
    writable: bool

    @property
    def pages(self) -> int:
        """How many pages are open."""
        return sum(incident.severity == PAGE for incident in self.open)


def gather(
    store: Store,
    dispatcher: Dispatcher,
    router: Router,
    quiet: QuietHours | None,
    *,
    heard: float | None,
    writable: bool,
    now: float,
) -> Now:
    """Return what is so now.

    Raises sqlite3.Error when the record cannot be read.
    """
    everything = store.open_incidents()
    # What is only noted wakes nobody and is no incident to the reader.
    shown = sorted(
        (i for i in everything if i.severity != "info"),
        key=lambda i: (i.severity != PAGE, i.acknowledged_at is not None, -i.id),
    )
    noted = [i for i in reversed(everything) if i.severity == "info"]
    change = router.rota.next(datetime.fromtimestamp(now, UTC))
    duty = Duty(router.on_call(now), change[1].name if change else None, change[0] if change else None, router.rota.zone)
    return Now(
        now,
        shown,
        noted,
        _channels(store, dispatcher, now),
        duty,
        store.held_back(),
        quiet_until(quiet, router.rota.zone, now),
        router.planned(now),
        heard,
        writable,
    )


def _channels(store: Store, dispatcher: Dispatcher, now: float) -> list[ChannelNow]:
    queue, parked, failures, found = store.queue(), store.parked(), store.last_failures(), list[ChannelNow]()
    for name, book in dispatcher.books.items():
        state = _PARTLY if book.complaints else _WORKS
        if not book.works:
            state = _BROKEN
        if not dispatcher.running(name):
            state = _STANDS
        waiting, oldest = queue.get(name, (0, 0.0))
        failed_at, failure = failures.get(name, (None, ""))
        again = book.held_until if book.held_until > now else None
        healthy = dispatcher.healthy(name)
        found.append(
            ChannelNow(
                name,
                state,
                healthy,
                book.broken_since,
                again,
                waiting,
                oldest,
                parked.get(name, 0),
                book.outcomes["sent"],
                failed_at,
                failure,
            )
        )
    return found
