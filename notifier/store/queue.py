"""What goes out: claimed with a lease, sent or tried again, folded when another message tells the truth of it.

First in, first out per incident, channel and recipient. A claim is a conditional update; what was claimed and
never finished comes back as doubtful.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from notifier.model import LONGEST_PAUSE, Delivery, DeliveryError, Incident, Receipt
from notifier.plan import Audience, Planner
from notifier.store.escalation import Escalation
from notifier.store.incidents import CLOCKS_DIFFER

LEASE = 120.0
_FOLD_AFTER = 120.0
# Nothing earlier waits for the same recipient: what is for all of a channel's recipients is for each of them.
_NEXT = (
    "SELECT * FROM deliveries d INDEXED BY deliveries_turn WHERE channel=? AND state='pending' AND next_at<=? AND batch='' AND NOT EXISTS ("
    " SELECT 1 FROM deliveries e WHERE e.incident=d.incident AND e.channel=d.channel AND e.id<d.id"
    " AND e.state IN ('pending','claimed') AND e.target IN ('', d.target)) ORDER BY id LIMIT 1"
)
# The same for pages while nothing can be claimed; what is claimed was not finished by the channel's one worker.
_PAGES = (
    "SELECT d.* FROM deliveries d JOIN incidents i ON i.id=d.incident WHERE d.channel=? AND d.state IN ('pending','claimed')"
    " AND d.next_at<=? AND d.not_before<=d.next_at AND d.batch='' AND d.kind='firing' AND i.severity='page' AND i.state='firing'"
    " ORDER BY d.id LIMIT 1000"
)
# What a recipient was told or will be: its own deliveries, and those to all that it did not miss.
_REACHES = (
    " FROM deliveries e WHERE e.incident=:incident AND e.channel=:channel AND (e.target=:target OR (e.target='' AND NOT EXISTS ("
    " SELECT 1 FROM audience a WHERE a.incident=e.incident AND a.channel=e.channel AND a.target=:target AND :target!=''"
    " AND NOT a.listed) AND NOT EXISTS ("
    " SELECT 1 FROM deliveries s WHERE s.incident=e.incident AND s.channel=e.channel AND s.kind=e.kind"
    " AND s.created_at=e.created_at AND s.target=:target)))"
)
_ENDED = (
    "SELECT e.state" + _REACHES + " AND e.kind='resolved' AND e.id!=:id AND e.state IN ('pending', 'sent')"
    " AND (e.created_at>:created_at OR (e.created_at=:created_at AND :kind='firing')) ORDER BY e.state DESC LIMIT 1"
)
_TOLD = "SELECT e.kind" + _REACHES + " AND e.state='sent' ORDER BY e.created_at, e.id"


class Queue(Escalation):
    """One delivery at a time."""

    def __init__(self, file: Path, plan: Planner, *, owner: bool = True, clock: Callable[[], float] = time.time) -> None:
        self.folded: Counter[str] = Counter()  # by channel, since the start
        super().__init__(file, plan, owner=owner, clock=clock)

    def claim(self, channel: str) -> Delivery | None:
        """Claim the channel's next delivery that is due, first in first out per incident.

        On the way there, what is no longer true is folded: a reminder after the acknowledgement, an end after
        which it fires again, a firing that is late and over.
        """
        now = self._clock()
        with self._write() as db:
            while True:
                row = db.execute(_NEXT, (channel, now)).fetchone()
                if row is None:
                    return None
                incident = self._incident(db.execute("SELECT * FROM incidents WHERE id=?", (row["incident"],)).fetchone())
                reason = self._untrue(db, row, row["id"], incident, now)
                if not reason:
                    break
                self._fold(db, [row["id"]], channel, reason, now)
            if row["kind"] == "firing" and incident.state != "resolved" and channel != "pagerduty":
                self._fold_later(db, row, now)
            db.execute(
                "UPDATE deliveries SET state='claimed', attempts=attempts+1, lease_until=? WHERE id=? AND state='pending'",
                (now + LEASE, row["id"]),
            )
            return self._delivery(db, row, incident)

    def page_that_waits(self, channel: str, beside: Collection[int]) -> Delivery | None:
        """Return the next page that is due on a channel, without claiming it: the record can be read but not written.

        `beside`: deliveries of which more is known than the record says.
        """
        for row in self._read(_PAGES, channel, self._clock()):
            if row["id"] not in beside:
                with self._lock:
                    db = self._open()
                    incident = self._incident(
                        db.execute("SELECT * FROM incidents WHERE id=?", (row["incident"],)).fetchone()
                    )
                    return self._delivery(db, row, incident)
        return None

    @staticmethod
    def _untrue(db: sqlite3.Connection, row: sqlite3.Row, number: int, incident: Incident, now: float) -> str:
        """Return why a delivery's message must not be sent any more, "" when it may.

        PagerDuty gets every event of an episode in its order: what counts there is the sequence, not the words.
        """
        kind, state = row["kind"], incident.state
        if kind == "reminder" and state != "firing":
            return "acknowledged or over meanwhile"
        if row["channel"] == "pagerduty":
            return ""
        if kind == "resolved" and state != "resolved":
            return "it fires again"
        if kind == "acknowledged" and state != "acknowledged":
            return "no longer so"
        if kind in ("firing", "resolved") and state == "resolved":
            ended = db.execute(
                _ENDED, _place(row, incident) | {"id": number, "created_at": row["created_at"], "kind": kind}
            ).fetchone()
            late = now - row["created_at"] > _FOLD_AFTER
            if ended and (late or (kind == "firing" and ended["state"] == "sent")):
                return "over before the channel came back: its last end tells both"
        return ""

    def _fold_later(self, db: sqlite3.Connection, row: sqlite3.Row, now: float) -> None:
        """Fold what waits behind a firing that is sent only now, with the words of now."""
        later = db.execute(
            "SELECT id FROM deliveries WHERE incident=? AND channel=? AND target=? AND id>? AND state='pending' AND batch=''"
            " AND kind IN ('firing', 'resolved', 'reminder')",
            (row["incident"], row["channel"], row["target"], row["id"]),
        ).fetchall()
        self._fold(db, [one["id"] for one in later], row["channel"], "told by an earlier message that was late", now)

    def _fold(self, db: sqlite3.Connection, numbers: Sequence[int], channel: str, reason: str, now: float) -> None:
        db.executemany("UPDATE deliveries SET state='folded', error=? WHERE id=?", [(reason, number) for number in numbers])
        db.executemany(
            "INSERT INTO attempts (delivery, at, outcome, detail) VALUES (?,?,'folded',?)",
            [(number, now, reason) for number in numbers],
        )
        self.folded[channel] += len(numbers)

    @staticmethod
    def _delivery(db: sqlite3.Connection, row: sqlite3.Row, incident: Incident) -> Delivery:
        channel, target = row["channel"], row["target"]
        refs = db.execute("SELECT name, value FROM refs WHERE incident=? AND channel=?", (incident.id, channel))
        told = [one["kind"] for one in db.execute(_TOLD, _place(row, incident))]
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
            row["name"],
            target,
            bool(told) and told[-1] != "resolved",
            "resolved" in told,
            row["held"],
        )

    def next_due(self, channel: str) -> float | None:
        """Return the seconds until the channel has something to do; None when nothing waits."""
        rows = self._read("SELECT MIN(next_at) AS at FROM deliveries WHERE channel=? AND state='pending'", channel)
        at = rows[0]["at"]
        return None if at is None else max(0.0, at - self._clock())

    def sent(self, delivery: Delivery, receipt: Receipt, again_in: Mapping[str, float] | None = None) -> None:
        """Record that the provider took it.

        Recipients that did not take it get a delivery of their own, tried again after `again_in` seconds or
        parked: the others are neither delayed nor told twice.
        """
        now = self._clock()
        with self._write() as db:
            db.execute("UPDATE deliveries SET state='sent', sent_at=?, error='' WHERE id=?", (now, delivery.id))
            self._attempt(db, delivery, now, "sent", "")
            for name, value in receipt.references.items():
                db.execute(
                    "INSERT OR REPLACE INTO refs VALUES (?,?,?,?)", (delivery.incident.id, delivery.channel, name, value)
                )
            for target, error in receipt.missed.items():
                self._split(db, delivery, target, error, (again_in or {}).get(target, 0.0), now)
            # The provider is back: what waits behind a long back-off goes at once.
            db.execute(
                "UPDATE deliveries SET next_at=MAX(not_before, ?) WHERE channel=? AND state='pending' AND next_at>? AND target=''",
                (now, delivery.channel, now),
            )

    def _split(
        self,
        db: sqlite3.Connection,
        delivery: Delivery,
        target: str,
        error: DeliveryError,
        again_in: float,
        now: float,
        batch: str = "",
    ) -> None:
        state, words = "parked" if error.permanent else "pending", str(error)
        cursor = db.execute(
            "INSERT INTO deliveries (incident, channel, kind, state, attempts, doubtful, next_at, created_at, error, fallback_for,"
            " name, target, batch) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                *(delivery.incident.id, delivery.channel, delivery.kind, state, delivery.attempts, int(error.doubtful)),
                *(now + again_in, delivery.created_at, words, delivery.fallback_for, delivery.key, target, batch),
            ),
        )
        outcome = "refused" if error.permanent else "retry"
        values = (cursor.lastrowid, now, outcome, words[:500])
        db.execute("INSERT INTO attempts (delivery, at, outcome, detail) VALUES (?,?,?,?)", values)

    def failed(
        self, delivery: Delivery, error: str, again_in: float | None, *, doubtful: bool, fallback: str | None
    ) -> None:
        """Record a failure: try again after `again_in` seconds, or park it and let `fallback` tell."""
        now = self._clock()
        state = "parked" if again_in is None else "pending"
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state=?, next_at=?, error=?, doubtful=MAX(doubtful, ?),"
                " name=CASE WHEN batch='' THEN name ELSE '' END, batch='' WHERE id=?",
                (state, now + (again_in or 0.0), error, int(doubtful), delivery.id),
            )
            self._attempt(db, delivery, now, "parked" if again_in is None else "retry", error)
            if again_in is not None or not fallback:
                return
            # The other channel may tell this already, for having stood in for the first message.
            tells = db.execute(
                "SELECT 1 FROM deliveries WHERE incident=? AND channel=? AND kind=? AND created_at>=?",
                (delivery.incident.id, fallback, delivery.kind, delivery.created_at),
            ).fetchone()
            if not tells:
                self._queue(
                    db, delivery.incident.id, delivery.kind, [Audience(fallback)], now, fallback_for=delivery.channel
                )

    def release(self, channel: str, error: str, again_in: float) -> None:
        """Give back all that the channel's worker had claimed when it failed in a way that nobody foresaw."""
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state='pending', doubtful=1, next_at=?, error=? WHERE channel=? AND state='claimed'",
                (self._clock() + again_in, error[:500], channel),
            )

    def return_leases(self) -> None:
        """Give back what was claimed and never finished; and what waits for a time that a wrong clock has set."""
        now = self._clock()
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state='pending', doubtful=1 WHERE state='claimed' AND state IN ('pending','claimed')"
                " AND (lease_until<? OR lease_until>?)",
                (now, now + LEASE + CLOCKS_DIFFER),
            )
            # Queued in the future, or due later than any provider is waited for: the clock was put back meanwhile.
            db.execute(
                "UPDATE deliveries SET next_at=MAX(not_before, ?) WHERE state='pending' AND state IN ('pending','claimed')"
                " AND next_at>MAX(not_before, ?) AND (created_at>? OR next_at>?)",
                (now, now + CLOCKS_DIFFER, now + CLOCKS_DIFFER, now + LONGEST_PAUSE + CLOCKS_DIFFER),
            )

    def replay(self) -> int:
        """Put parked deliveries back into the queue; return how many.

        Of an incident that is over only its end is told: a late trigger would open it at PagerDuty for ever. Of one that
        fires again the former end is not: it would close it there.
        """
        with self._write() as db:
            db.execute(
                "UPDATE deliveries SET state='folded' WHERE state='parked' AND (kind='resolved')!="
                "(incident IN (SELECT id FROM incidents WHERE state='resolved'))"
            )
            return db.execute(
                "UPDATE deliveries SET state='pending', next_at=? WHERE state='parked'", (self._clock(),)
            ).rowcount


def _place(row: sqlite3.Row, incident: Incident) -> dict[str, object]:
    return {"incident": incident.id, "channel": row["channel"], "target": row["target"]}
