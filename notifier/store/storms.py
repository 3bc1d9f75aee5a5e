"""Many messages as one: which deliveries a digest takes, and what becomes of them."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping

from notifier.model import Delivery, Receipt
from notifier.store.queue import LEASE, Queue

_ROWS = (
    "SELECT i.*, d.id AS delivery, d.channel, d.kind, d.attempts, d.created_at, d.next_at, d.doubtful, d.target, d.batch,"
    " d.not_before, d.held,"
    " d.state AS waits, EXISTS (SELECT 1 FROM refs r WHERE r.incident=d.incident AND r.channel=d.channel) AS shown"
    " FROM deliveries d JOIN incidents i ON i.id=d.incident WHERE d.channel=? AND d.state IN ('pending','claimed')"
    " ORDER BY d.id LIMIT 20000"
)
_KINDS = ("firing", "resolved", "reminder")


class Storms(Queue):
    """Digests: told once, recorded for each delivery."""

    def storm(self, channel: str, least: int) -> list[Delivery]:
        """Claim what one digest shall tell: all that waits for the same recipients when at least `least` are due.

        A digest that may have arrived is claimed again as exactly the same set, under the same name: the
        receiving side can tell. What the provider already shows (a Slack message to edit) is left to its turn,
        and nothing is taken whose incident has an earlier message that stays behind: the order is kept.
        """
        now = self._clock()
        due = "SELECT COUNT(*) AS n FROM deliveries WHERE channel=? AND state='pending' AND next_at<=?"
        again = "SELECT 1 FROM deliveries WHERE channel=? AND state='pending' AND batch!='' AND next_at<=? LIMIT 1"
        with self._write() as db:
            if db.execute(due, (channel, now)).fetchone()["n"] < least and not db.execute(again, (channel, now)).fetchone():
                return []
            waiting = db.execute(_ROWS, (channel,)).fetchall()
            rows = _same_again(waiting, now)
            if not rows:
                rows = self._true(db, _fresh(waiting, least, now), channel, now)
                if len(rows) < least:
                    return []
            # The first delivery and its tries name the set: no two digests share them.
            name = rows[0]["batch"] or f"digest-{rows[0]['delivery']}-{rows[0]['attempts']}-{int(rows[0]['created_at'])}"
            db.executemany(
                "UPDATE deliveries SET state='claimed', attempts=attempts+1, lease_until=?, batch=? WHERE id=?",
                [(now + LEASE, name, row["delivery"]) for row in rows],
            )
        return [
            Delivery(
                row["delivery"],
                self._incident(row),
                channel,
                row["kind"],
                row["attempts"] + 1,
                row["created_at"],
                bool(row["doubtful"]),
                name=name,
                target=row["target"],
                held=row["held"],
            )
            for row in rows
        ]

    def _true(self, db: sqlite3.Connection, rows: Iterable[sqlite3.Row], channel: str, now: float) -> list[sqlite3.Row]:
        """Return what is still true of what a digest would tell; fold the rest."""
        kept: list[sqlite3.Row] = []
        for row in rows:
            reason = self._untrue(db, row, row["delivery"], self._incident(row), now)
            if reason:
                self._fold(db, [row["delivery"]], channel, reason, now)
            else:
                kept.append(row)
        return kept

    def sent_many(self, deliveries: Iterable[Delivery], receipt: Receipt, again_in: Mapping[str, float]) -> None:
        """Record that a digest told all of these; recipients that missed it get the same digest of their own."""
        now, channel = self._clock(), ""
        with self._write() as db:
            for delivery in deliveries:
                db.execute("UPDATE deliveries SET state='sent', sent_at=?, error='digest' WHERE id=?", (now, delivery.id))
                self._attempt(db, delivery, now, "sent", "in a digest")
                for target, error in receipt.missed.items():
                    self._split(db, delivery, target, error, again_in.get(target, 0.0), now, batch=delivery.name)
                channel = delivery.channel
            db.execute(
                "UPDATE deliveries SET next_at=MAX(not_before, ?) WHERE channel=? AND state='pending' AND next_at>? AND target=''",
                (now, channel, now),
            )

    def release_many(self, deliveries: Iterable[Delivery], error: str, again_in: float, *, doubtful: bool) -> None:
        """Give back what a digest could not tell; one that certainly did not arrive is made anew next time."""
        at = self._clock() + again_in
        with self._write() as db:
            db.executemany(
                "UPDATE deliveries SET state='pending', next_at=?, error=?, doubtful=MAX(doubtful, ?),"
                " batch=CASE WHEN MAX(doubtful, ?) THEN batch ELSE '' END, name=CASE WHEN MAX(doubtful, ?) THEN name ELSE '' END"
                " WHERE id=?",
                [(at, error[:500], *[int(doubtful)] * 3, delivery.id) for delivery in deliveries],
            )


def _same_again(waiting: Iterable[sqlite3.Row], now: float) -> list[sqlite3.Row]:
    """Return the set of a digest that is to be tried again, unless something earlier has to go before it."""
    first: dict[tuple[int, str], sqlite3.Row] = {}  # by incident and recipient
    sets: dict[tuple[str, str], list[sqlite3.Row]] = defaultdict(list)
    for row in waiting:
        first.setdefault((row["id"], row["target"]), row)
        if row["batch"]:
            sets[row["batch"], row["target"]].append(row)

    def turn(row: sqlite3.Row) -> bool:
        before = (first[row["id"], row["target"]], first.get((row["id"], ""), row))
        mine = row["batch"], row["target"]
        return all((one["batch"], one["target"]) == mine or one["delivery"] > row["delivery"] for one in before)

    for rows in sets.values():
        if all(row["waits"] == "pending" and row["next_at"] <= now and turn(row) for row in rows):
            return rows
    return []


def _fresh(waiting: Iterable[sqlite3.Row], least: int, now: float) -> list[sqlite3.Row]:
    """Return what a new digest can tell, whether or not each is due; nothing while fewer than `least` are."""
    stays: set[tuple[int, str]] = set()  # incidents whose turn is not the digest's, by recipient
    everybody: set[int] = set()  # incidents that the digest to all recipients tells of
    sets: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in waiting:
        incident, target = row["id"], row["target"]
        behind = (incident, "") in stays or (incident, target) in stays or (target != "" and incident in everybody)
        fits = row["waits"] == "pending" and row["kind"] in _KINDS and row["not_before"] <= now
        fits = fits and not (row["batch"] or row["doubtful"] or row["shown"])
        if behind or not fits:
            stays.add((incident, target))
        else:
            sets[target].append(row)
            everybody |= {incident} if target == "" else set()
    return next((rows for rows in sets.values() if sum(row["next_at"] <= now for row in rows) >= least), [])
