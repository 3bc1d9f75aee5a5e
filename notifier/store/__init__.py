"""The durable record: incidents, events, deliveries, attempts, heartbeats. SQLite, WAL, synchronous=FULL.

What was accepted survives kill -9: the webhook is answered after the commit, and a delivery is marked
as sent after the provider took it. Claims are conditional updates with a lease that comes back.
"""

from notifier.store.history import History, Kept
from notifier.store.incidents import REOPEN_WITHIN, Taken


class Store(History):
    """All of the record; one writer at a time, safe to use from several threads."""


__all__ = ["REOPEN_WITHIN", "Kept", "Store", "Taken"]
