"""Looking: open incidents, their timelines, what waits, what was refused."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from notifier.model import Incident
from notifier.store.storms import Storms
from notifier.words import channel

_HELD = "reported as over, not believed: Prometheus was not to be seen"


@dataclass(frozen=True)
class Kept:
    """A refused alert or body, as it came."""

    id: int
    at: float
    reason: str
    body: str


class History(Storms):
    """What pages and metrics read."""

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
        words = {"firing": "reported as firing", "resolved": "reported as over", "held": _HELD}
        rows = [
            (row["at"], words.get(status := row["status"].partition("#")[0], status))
            for row in self._read("SELECT at, status FROM events WHERE incident=?", number)
        ]
        rows += [
            (row["at"], _attempt(row))
            for row in self._read(
                "SELECT a.at, d.channel, d.kind, d.target, a.outcome, a.detail FROM attempts a"
                " JOIN deliveries d ON d.id=a.delivery WHERE d.incident=? ORDER BY a.id",
                number,
            )
        ]
        incident = self.incident(number)
        if incident and incident.acknowledged_at:
            rows.append((incident.acknowledged_at, f"acknowledged by {incident.acknowledged_by}"))
        if incident and incident.resolved_at and incident.ending == "unseen":
            rows.append((incident.resolved_at, "no longer known to its source; closed five minutes later"))
        return sorted(rows, key=lambda row: row[0])

    def queue(self) -> dict[str, tuple[int, float]]:
        """Return by channel how many deliveries wait and how old the oldest is, in seconds.

        What waits for one recipient whom the channel's others have outrun counts, and ages nothing.
        """
        now = self._clock()
        return {
            row["channel"]: (row["n"], max(0.0, now - row["oldest"]) if row["oldest"] is not None else 0.0)
            for row in self._read(
                "SELECT channel, COUNT(*) AS n, MIN(CASE WHEN target='' THEN created_at END) AS oldest FROM deliveries"
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

    def refused(self, limit: int = 20) -> list[Kept]:
        """Return what webhooks brought that could not be understood, newest first."""
        rows = self._read("SELECT id, at, reason, body FROM refused ORDER BY id DESC LIMIT ?", limit)
        return [Kept(row["id"], row["at"], row["reason"], row["body"]) for row in rows]


def _attempt(row: sqlite3.Row) -> str:
    """Return an attempt in words: which channel, what, how it went, for whom where not for all, why."""
    words = f"{channel(row['channel'])}: {row['kind']} {row['outcome']}"
    detail = row["detail"]
    if row["target"] and not detail.startswith(row["target"]):
        detail = f"{row['target']}: {detail}" if detail else row["target"]
    return f"{words}: {detail}" if detail else words
