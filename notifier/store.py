"""The durable record: incidents, events, deliveries, attempts, heartbeats. SQLite, WAL, synchronous=FULL.

What was accepted survives kill -9: the webhook is answered after the commit, and a delivery is marked
as sent after the provider took it. Claims are conditional updates with a lease that comes back.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from notifier.model import Alert, Delivery, Incident

_LOG = logging.getLogger(__name__)
REOPEN_WITHIN = 1800.0
_LEASE = 120.0
_BUSY = 2.0  # seconds: the webhook must be answered well before its sender gives up
_MIGRATIONS = (
    """
    CREATE TABLE incidents (
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
        labels TEXT NOT NULL, annotations TEXT NOT NULL, starts_at REAL NOT NULL, opened_at REAL NOT NULL,
        resolved_at REAL, acknowledged_at REAL, acknowledged_by TEXT NOT NULL DEFAULT '', reminded_at REAL NOT NULL DEFAULT 0);
    CREATE INDEX incidents_open ON incidents (fingerprint, state);
    CREATE TABLE events (
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, starts_at REAL NOT NULL, status TEXT NOT NULL,
        at REAL NOT NULL, incident INTEGER, note TEXT NOT NULL DEFAULT '',
        UNIQUE (fingerprint, starts_at, status));
    CREATE INDEX events_incident ON events (incident);
    CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY, incident INTEGER NOT NULL REFERENCES incidents, channel TEXT NOT NULL,
        kind TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, doubtful INTEGER NOT NULL DEFAULT 0,
        next_at REAL NOT NULL, lease_until REAL NOT NULL DEFAULT 0, created_at REAL NOT NULL, sent_at REAL,
        error TEXT NOT NULL DEFAULT '', fallback_for TEXT NOT NULL DEFAULT '');
    CREATE INDEX deliveries_due ON deliveries (channel, state, next_at);
    CREATE INDEX deliveries_incident ON deliveries (incident, channel);
    CREATE TABLE attempts (
        id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL REFERENCES deliveries, at REAL NOT NULL,
        outcome TEXT NOT NULL, detail TEXT NOT NULL);
    CREATE INDEX attempts_delivery ON attempts (delivery);
    CREATE TABLE refs (
        incident INTEGER NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (incident, channel, name));
    CREATE TABLE heartbeats (name TEXT PRIMARY KEY, at REAL NOT NULL);
    """,
)
Routes = Callable[[str], Iterable[str]]


class Store:
    """All of the record; one writer at a time, safe to use from several threads.

    `owner`: this process sends what is queued, so what was claimed when its predecessor ended is claimed by
    nobody now. A tool that looks at the file of a running notifier is no owner.
    A file that cannot be opened (full disk, read-only) is tried again at each use, which raises sqlite3.Error
    until then: the notifier must start all the same, since it can still page from memory.
    """

    def __init__(self, file: Path, routes: Routes, *, owner: bool = True, clock: Callable[[], float] = time.time) -> None:
        self._file, self._routes, self._owner, self._clock = file, routes, owner, clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        try:
            self._open()
        except sqlite3.OperationalError as error:
            _LOG.error("%s cannot be used, pages are sent from memory until it can: %s", file, error)

    def _open(self) -> sqlite3.Connection:
        """Return the connection; open it first where it is not."""
        if self._connection is not None:
            return self._connection
        if self._closed:
            raise sqlite3.OperationalError("the record is closed")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise sqlite3.OperationalError(f"{self._file.parent}: {error.strerror}") from None
        db = sqlite3.connect(self._file, check_same_thread=False, isolation_level=None, timeout=_BUSY)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_MIGRATIONS):
                raise sqlite3.OperationalError(f"{self._file} was written by a newer version ({version})")
            for number, script in enumerate(_MIGRATIONS[version:], version + 1):
                db.executescript(f"BEGIN; {script} PRAGMA user_version={number}; COMMIT;")
            if self._owner:
                db.execute("UPDATE deliveries SET state='pending', doubtful=1 WHERE state='claimed'")
        except BaseException:
            db.close()
            raise
        self._connection = db
        return db

    def close(self) -> None:
        """Close the file for good."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # A full disk ends the transaction by itself; a COMMIT that failed leaves it open.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._open().execute(query, values).fetchall()

    # -- taking in ---------------------------------------------------------------------------

    def take(self, alerts: Iterable[Alert]) -> set[str]:
        """Record the alerts of one body in one transaction and return the channels that got something to do.

        Raises sqlite3.Error when it cannot be committed: the sender must not be told that all is well.
        """
        channels: set[str] = set()
        with self._write() as db:
            for alert in alerts:
                channels |= self._take_one(db, alert)
        return channels

    def _take_one(self, db: sqlite3.Connection, alert: Alert) -> set[str]:
        now = self._clock()
        known = {
            row["status"]
            for row in db.execute(
                "SELECT status FROM events WHERE fingerprint=? AND starts_at=?", (alert.fingerprint, alert.starts_at)
            )
        }
        open_row = db.execute(
            "SELECT * FROM incidents WHERE fingerprint=? AND state!='resolved' ORDER BY id DESC LIMIT 1",
            (alert.fingerprint,),
        ).fetchone()
        # Closed because its source had forgotten it, not because it ended: the same episode may come back.
        forgotten = alert.status == "firing" and known == {"firing"} and open_row is None
        if not forgotten and (alert.status in known or (alert.status == "firing" and "resolved" in known)):
            # A repetition, the other Alertmanager's copy, or a firing that was overtaken by its end.
            if alert.status == "firing" and open_row is not None:
                values = (json.dumps(dict(alert.annotations)), open_row["id"])
                db.execute("UPDATE incidents SET annotations=? WHERE id=?", values)
            return set()
        incident: int | None
        if alert.status == "firing":
            incident, channels = self._fire(db, alert, open_row, now)
        else:
            incident, channels = self._resolve(db, open_row, now, alert)
        db.execute(
            "INSERT OR IGNORE INTO events (fingerprint, starts_at, status, at, incident) VALUES (?,?,?,?,?)",
            (alert.fingerprint, alert.starts_at, alert.status, now, incident),
        )
        return channels

    def _fire(self, db: sqlite3.Connection, alert: Alert, open_row: sqlite3.Row | None, now: float) -> tuple[int, set[str]]:
        content = (json.dumps(dict(alert.labels)), json.dumps(dict(alert.annotations)))
        if open_row is not None:
            db.execute("UPDATE incidents SET labels=?, annotations=? WHERE id=?", (*content, open_row["id"]))
            return int(open_row["id"]), set()
        recent = db.execute(
            "SELECT id FROM incidents WHERE fingerprint=? AND state='resolved' AND resolved_at>? ORDER BY id DESC LIMIT 1",
            (alert.fingerprint, now - REOPEN_WITHIN),
        ).fetchone()
        if recent is not None:
            incident = int(recent["id"])
            db.execute(
                "UPDATE incidents SET state='firing', labels=?, annotations=?, severity=?, starts_at=?, resolved_at=NULL,"
                " acknowledged_at=NULL, acknowledged_by='', reminded_at=? WHERE id=?",
                (*content, alert.severity, alert.starts_at, now, incident),
            )
        else:
            cursor = db.execute(
                "INSERT INTO incidents (fingerprint, state, severity, labels, annotations, starts_at, opened_at, reminded_at)"
                " VALUES (?,'firing',?,?,?,?,?,?)",
                (alert.fingerprint, alert.severity, *content, alert.starts_at, now, now),
            )
            incident = int(cursor.lastrowid or 0)
        return incident, self._queue(db, incident, "firing", self._routes(alert.severity), now)

    def _resolve(
        self, db: sqlite3.Connection, open_row: sqlite3.Row | None, now: float, alert: Alert | None = None
    ) -> tuple[int | None, set[str]]:
        if open_row is None:
            return None, set()  # never heard of: kept as an event, told to nobody
        if alert is not None and open_row["starts_at"] > alert.starts_at:
            return int(open_row["id"]), set()  # the end of an older episode
        incident = int(open_row["id"])
        at = (alert.ends_at if alert else None) or now
        db.execute("UPDATE incidents SET state='resolved', resolved_at=? WHERE id=?", (min(at, now), incident))
        told = db.execute("SELECT DISTINCT channel FROM deliveries WHERE incident=?", (incident,)).fetchall()
        return incident, self._queue(db, incident, "resolved", [row["channel"] for row in told], now)

    @staticmethod
    def _queue(
        db: sqlite3.Connection, incident: int, kind: str, channels: Iterable[str], now: float, fallback_for: str = ""
    ) -> set[str]:
        channels = set(channels)
        db.executemany(
            "INSERT INTO deliveries (incident, channel, kind, state, next_at, created_at, fallback_for) VALUES (?,?,?,?,?,?,?)",
            [(incident, channel, kind, "pending", now, now, fallback_for) for channel in sorted(channels)],
        )
        return channels

    def acknowledge(self, incident: int, by: str) -> set[str]:
        """Acknowledge a firing incident; return the channels that have to tell it."""
        now = self._clock()
        with self._write() as db:
            changed = db.execute(
                "UPDATE incidents SET state='acknowledged', acknowledged_at=?, acknowledged_by=? WHERE id=? AND state='firing'",
                (now, by, incident),
            )
            if not changed.rowcount:
                return set()
            told = db.execute(
                "SELECT DISTINCT channel FROM deliveries WHERE incident=? AND channel IN ('slack', 'pagerduty')", (incident,)
            ).fetchall()
            return self._queue(db, incident, "acknowledged", [row["channel"] for row in told], now)

    def close_incident(self, incident: int) -> set[str]:
        """Resolve an incident that its source no longer knows."""
        with self._write() as db:
            row = db.execute("SELECT * FROM incidents WHERE id=? AND state!='resolved'", (incident,)).fetchone()
            return self._resolve(db, row, self._clock())[1]

    def remind(self, every: float) -> set[str]:
        """Queue a reminder for each page that nobody has acknowledged for `every` seconds."""
        now = self._clock()
        channels: set[str] = set()
        with self._write() as db:
            rows = db.execute(
                "SELECT id, severity FROM incidents WHERE state='firing' AND severity='page' AND reminded_at<?",
                (now - every,),
            ).fetchall()
            for row in rows:
                db.execute("UPDATE incidents SET reminded_at=? WHERE id=?", (now, row["id"]))
                channels |= self._queue(db, row["id"], "reminder", self._routes(row["severity"]), now)
        return channels

    # -- sending ---------------------------------------------------------------------------

    def claim(self, channel: str) -> Delivery | None:
        """Claim the channel's next delivery that is due, first in first out per incident."""
        now = self._clock()
        with self._write() as db:
            row = db.execute(
                "SELECT * FROM deliveries d WHERE channel=? AND state='pending' AND next_at<=? AND NOT EXISTS ("
                " SELECT 1 FROM deliveries e WHERE e.incident=d.incident AND e.channel=d.channel AND e.id<d.id"
                " AND e.state IN ('pending','claimed')) ORDER BY id LIMIT 1",
                (channel, now),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE deliveries SET state='claimed', attempts=attempts+1, lease_until=? WHERE id=? AND state='pending'",
                (now + _LEASE, row["id"]),
            )
            incident = self._incident(db.execute("SELECT * FROM incidents WHERE id=?", (row["incident"],)).fetchone())
            refs = db.execute("SELECT name, value FROM refs WHERE incident=? AND channel=?", (incident.id, channel))
            return Delivery(
                row["id"],
                incident,
                channel,
                row["kind"],
                row["attempts"] + 1,
                row["created_at"],
                bool(row["doubtful"]),
                row["fallback_for"],
                {ref["name"]: ref["value"] for ref in refs},
            )

    def next_due(self, channel: str) -> float | None:
        """Return the seconds until the channel has something to do; None when nothing waits."""
        rows = self._read("SELECT MIN(next_at) AS at FROM deliveries WHERE channel=? AND state='pending'", channel)
        at = rows[0]["at"]
        return None if at is None else max(0.0, at - self._clock())

    def sent(self, delivery: Delivery, references: Mapping[str, str]) -> None:
        """Record that the provider took it."""
        now = self._clock()
        with self._write() as db:
            db.execute("UPDATE deliveries SET state='sent', sent_at=?, error='' WHERE id=?", (now, delivery.id))
            self._attempt(db, delivery, now, "sent", "")
            for name, value in references.items():
                db.execute(
                    "INSERT OR REPLACE INTO refs VALUES (?,?,?,?)", (delivery.incident.id, delivery.channel, name, value)
                )
            # The provider is back: what waits behind a long back-off goes at once.
            db.execute(
                "UPDATE deliveries SET next_at=? WHERE channel=? AND state='pending' AND next_at>?",
                (now, delivery.channel, now),
            )

    def failed(
        self, delivery: Delivery, error: str, again_in: float | None, *, doubtful: bool, fallback: str | None
    ) -> None:
        """Record a failure: try again after `again_in` seconds, or park it and let `fallback` tell."""
        now = self._clock()
        state = "parked" if again_in is None else "pending"
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state=?, next_at=?, error=?, doubtful=MAX(doubtful, ?) WHERE id=?",
                (state, now + (again_in or 0.0), error, int(doubtful), delivery.id),
            )
            self._attempt(db, delivery, now, "parked" if again_in is None else "retry", error)
            if again_in is None and fallback:
                self._queue(db, delivery.incident.id, delivery.kind, [fallback], now, fallback_for=delivery.channel)

    def fold(self, delivery: Delivery) -> bool:
        """Drop a firing that is late and over: its resolved message tells both. Tell whether it was folded."""
        now = self._clock()
        with self._write() as db:
            later = db.execute(
                "SELECT id FROM deliveries WHERE incident=? AND channel=? AND kind='resolved' AND state='pending' AND id>?",
                (delivery.incident.id, delivery.channel, delivery.id),
            ).fetchone()
            if later is None:
                return False
            db.execute("UPDATE deliveries SET state='folded' WHERE id=?", (delivery.id,))
            self._attempt(db, delivery, now, "folded", "over before the channel came back")
            return True

    def storm(self, channel: str, least: int) -> list[Delivery]:
        """Claim all first messages that wait when there are at least `least`: they become one digest.

        What the provider already shows (a Slack message to edit) is left to its own turn.
        """
        now = self._clock()
        with self._write() as db:
            rows = db.execute(
                "SELECT i.*, d.id AS delivery, d.kind, d.attempts, d.created_at FROM deliveries d"
                " JOIN incidents i ON i.id=d.incident WHERE d.channel=? AND d.state='pending' AND d.next_at<=?"
                " AND d.kind IN ('firing','resolved') AND NOT EXISTS ("
                " SELECT 1 FROM refs r WHERE r.incident=d.incident AND r.channel=d.channel) ORDER BY d.id LIMIT 20000",
                (channel, now),
            ).fetchall()
            if len(rows) < least:
                return []
            db.executemany(
                "UPDATE deliveries SET state='claimed', attempts=attempts+1, lease_until=? WHERE id=?",
                [(now + _LEASE, row["delivery"]) for row in rows],
            )
        return [
            Delivery(row["delivery"], self._incident(row), channel, row["kind"], row["attempts"] + 1, row["created_at"])
            for row in rows
        ]

    def sent_many(self, deliveries: Iterable[Delivery]) -> None:
        """Record that a digest told all of these."""
        now = self._clock()
        with self._write() as db:
            for delivery in deliveries:
                db.execute("UPDATE deliveries SET state='sent', sent_at=?, error='digest' WHERE id=?", (now, delivery.id))
                self._attempt(db, delivery, now, "sent", "in a digest")

    def release_many(self, deliveries: Iterable[Delivery], error: str, again_in: float) -> None:
        """Give back what a digest could not tell."""
        with self._write() as db:
            rows = [(self._clock() + again_in, error, delivery.id) for delivery in deliveries]
            db.executemany("UPDATE deliveries SET state='pending', next_at=?, error=? WHERE id=?", rows)

    def return_leases(self) -> None:
        """Give back what was claimed and never finished."""
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state='pending', doubtful=1 WHERE state='claimed' AND lease_until<?", (self._clock(),)
            )

    def replay(self) -> int:
        """Put parked deliveries back into the queue; return how many.

        Of an incident that is over only its end is told: a late trigger would open it at PagerDuty for ever.
        """
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state='folded' WHERE state='parked' AND kind!='resolved'"
                " AND incident IN (SELECT id FROM incidents WHERE state='resolved')"
            )
            return db.execute(
                "UPDATE deliveries SET state='pending', next_at=? WHERE state='parked'", (self._clock(),)
            ).rowcount

    @staticmethod
    def _attempt(db: sqlite3.Connection, delivery: Delivery, at: float, outcome: str, detail: str) -> None:
        db.execute(
            "INSERT INTO attempts (delivery, at, outcome, detail) VALUES (?,?,?,?)", (delivery.id, at, outcome, detail[:500])
        )

    # -- looking ---------------------------------------------------------------------------

    @staticmethod
    def _incident(row: sqlite3.Row) -> Incident:
        return Incident(
            row["id"],
            row["fingerprint"],
            row["state"],
            row["severity"],
            json.loads(row["labels"]),
            json.loads(row["annotations"]),
            row["starts_at"],
            row["opened_at"],
            row["resolved_at"],
            row["acknowledged_at"],
            row["acknowledged_by"],
        )

    def open_incidents(self) -> list[Incident]:
        """Return what fires, newest last."""
        return [self._incident(row) for row in self._read("SELECT * FROM incidents WHERE state!='resolved' ORDER BY id")]

    def recent_incidents(self, limit: int = 50) -> list[Incident]:
        """Return the newest incidents, newest first."""
        return [self._incident(row) for row in self._read("SELECT * FROM incidents ORDER BY id DESC LIMIT ?", limit)]

    def incident(self, number: int) -> Incident | None:
        """Return one incident."""
        rows = self._read("SELECT * FROM incidents WHERE id=?", number)
        return self._incident(rows[0]) if rows else None

    def timeline(self, number: int) -> list[tuple[float, str]]:
        """Return what happened to an incident: (when, what in words)."""
        rows = [
            (row["at"], f"{row['status']} (reported)")
            for row in self._read("SELECT at, status FROM events WHERE incident=?", number)
        ]
        rows += [
            (row["at"], f"{row['channel']}: {row['kind']} {row['outcome']}{': ' + row['detail'] if row['detail'] else ''}")
            for row in self._read(
                "SELECT a.at, d.channel, d.kind, a.outcome, a.detail FROM attempts a JOIN deliveries d ON d.id=a.delivery"
                " WHERE d.incident=?",
                number,
            )
        ]
        incident = self.incident(number)
        if incident and incident.acknowledged_at:
            rows.append((incident.acknowledged_at, f"acknowledged by {incident.acknowledged_by}"))
        return sorted(rows)

    def queue(self) -> dict[str, tuple[int, float]]:
        """Return by channel how many deliveries wait and how old the oldest is, in seconds."""
        now = self._clock()
        return {
            row["channel"]: (row["n"], now - row["oldest"])
            for row in self._read(
                "SELECT channel, COUNT(*) AS n, MIN(created_at) AS oldest FROM deliveries"
                " WHERE state IN ('pending','claimed') GROUP BY channel"
            )
        }

    def parked(self) -> dict[str, int]:
        """Return by channel how many deliveries are parked."""
        rows = self._read("SELECT channel, COUNT(*) AS n FROM deliveries WHERE state='parked' GROUP BY channel")
        return {row["channel"]: row["n"] for row in rows}

    def states(self) -> dict[str, int]:
        """Return how many incidents there are in each state."""
        rows = self._read("SELECT state, COUNT(*) AS n FROM incidents WHERE state!='resolved' GROUP BY state")
        return {"firing": 0, "acknowledged": 0} | {row["state"]: row["n"] for row in rows}

    def beat(self, name: str) -> None:
        """Note a heartbeat."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO heartbeats VALUES (?,?)", (name, self._clock()))

    def last_beat(self, name: str) -> float | None:
        """Return when the heartbeat was last heard."""
        rows = self._read("SELECT at FROM heartbeats WHERE name=?", name)
        return rows[0]["at"] if rows else None

    def writable(self) -> bool:
        """Tell whether something can be committed now."""
        try:
            self.beat("self")
        except sqlite3.Error:
            return False
        return True
