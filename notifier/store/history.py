"""Looking: open incidents, their timelines with every attempt, what waits and why, what was refused."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from notifier.model import Incident
from notifier.store.statistics import Statistics
from notifier.words import channel

_HELD = "reported as over, not believed: Prometheus was not to be seen"
_WORDS = {"firing": "reported as firing", "resolved": "reported as over", "held": _HELD}
_ATTEMPTS = (
    "SELECT a.at, d.channel, d.kind, d.target, a.outcome, a.detail, d.state, d.next_at, d.created_at, d.fallback_for,"
    " a.id=(SELECT MAX(id) FROM attempts WHERE delivery=d.id) AS last"
    " FROM attempts a JOIN deliveries d ON d.id=a.delivery WHERE d.incident=? ORDER BY a.id DESC LIMIT ?"
)
_UNTRIED = (
    "SELECT d.channel, d.kind, d.target, d.state, d.next_at, d.created_at, d.sent_at, d.error, d.held, d.fallback_for FROM deliveries d"
    " WHERE d.incident=? AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.delivery=d.id) ORDER BY d.id DESC LIMIT ?"
)
_ENTRIES_MOST = 1000
_FAILURES_SEEN = 5000


@dataclass(frozen=True)
class Kept:
    """A refused alert or body, as it came."""

    id: int
    at: float
    reason: str
    body: str


@dataclass(frozen=True)
class Entry:
    """One line of a timeline: something that happened, or one attempt to tell it.

    `channel` is "" for what happened; then `words` says it. An attempt has its kind, its one recipient ("" is all of the
    channel's), its outcome, its error, the time of the next try where there will be one, and by how many seconds it
    was late. `waits`: nothing was tried yet.
    """

    at: float
    words: str = ""
    channel: str = ""
    kind: str = ""
    target: str = ""
    outcome: str = ""
    detail: str = ""
    next_at: float | None = None
    took: float = 0.0
    fallback_for: str = ""
    waits: bool = False


@dataclass(frozen=True)
class HeldBack:
    """What waits by decision: why, how many messages of how many incidents, until when (the first of them)."""

    why: str
    messages: int
    incidents: int
    until: float


class History(Statistics):
    """What pages and metrics read."""

    def open_incidents(self) -> list[Incident]:
        """Return what fires, newest last."""
        query = "SELECT * FROM incidents INDEXED BY incidents_now WHERE state!='resolved' ORDER BY id"
        return [self._incident(row) for row in self._read(query)]

    def pagerduty_keys(self) -> dict[str, int]:
        """Return the open incidents that PagerDuty was told of, by the key it knows them by."""
        rows = self._read(
            "SELECT r.value AS key, i.id AS id FROM incidents i JOIN refs r ON r.incident=i.id"
            " AND r.channel='pagerduty' AND r.name='key' WHERE i.state!='resolved'"
        )
        return {row["key"]: row["id"] for row in rows}

    def recent_incidents(self, limit: int = 50) -> list[Incident]:
        """Return the newest incidents, newest first."""
        return [self._incident(row) for row in self._read("SELECT * FROM incidents ORDER BY id DESC LIMIT ?", limit)]

    def ended_incidents(self, limit: int = 10) -> list[Incident]:
        """Return the newest incidents that are over, newest first."""
        query = "SELECT * FROM incidents WHERE state='resolved' ORDER BY id DESC LIMIT ?"
        return [self._incident(row) for row in self._read(query, limit)]

    def incident(self, number: int) -> Incident | None:
        """Return one incident."""
        rows = self._read("SELECT * FROM incidents WHERE id=?", number)
        return self._incident(rows[0]) if rows else None

    def entries(self, number: int) -> list[Entry]:
        """Return what happened to an incident, oldest first: reports, people's deeds, each attempt, what waits.

        The newest thousand attempts; an incident that had more of them has had the same one again and again.
        """
        found = [
            Entry(row["at"], _WORDS.get(status := row["status"].partition("#")[0], status))
            for row in self._read(
                "SELECT at, status FROM events WHERE incident=? ORDER BY id DESC LIMIT ?", number, _ENTRIES_MOST
            )
        ]
        found.reverse()
        found += [_tried(row) for row in reversed(self._read(_ATTEMPTS, number, _ENTRIES_MOST))]
        found += [_untried(row) for row in reversed(self._read(_UNTRIED, number, _ENTRIES_MOST))]
        incident = self.incident(number)
        if incident and incident.acknowledged_at and not any(one.at == incident.acknowledged_at for one in found):
            found.append(Entry(incident.acknowledged_at, f"acknowledged by {incident.acknowledged_by}"))
        if incident and incident.resolved_at and incident.ending == "unseen":
            found.append(Entry(incident.resolved_at, "no longer known to its source; closed five minutes later"))
        return sorted(found, key=lambda entry: (entry.waits, entry.at))

    def timeline(self, number: int) -> list[tuple[float, str]]:
        """Return what happened to an incident: (when, what in words)."""
        return [
            (entry.at, entry.words or _in_words(entry)) for entry in self.entries(number) if entry.words or entry.outcome
        ]

    def queue(self) -> dict[str, tuple[int, float]]:
        """Return by channel how many deliveries wait for their provider and how old the oldest is, in seconds.

        What waits by decision, until a time to come, is not counted. What waits for one recipient whom the channel's
        others have outrun counts, and ages nothing.
        """
        now = self._clock()
        return {
            row["channel"]: (row["n"], max(0.0, now - row["oldest"]) if row["oldest"] is not None else 0.0)
            for row in self._read(
                "SELECT channel, COUNT(*) AS n, MIN(CASE WHEN target='' THEN MAX(created_at, not_before) END) AS oldest"
                " FROM deliveries WHERE state IN ('pending','claimed') AND not_before<=? GROUP BY channel",
                now,
            )
        }

    def held_back(self) -> list[HeldBack]:
        """Return what waits by decision now (quiet hours, planned work), by reason."""
        rows = self._read(
            "SELECT held, COUNT(*) AS n, COUNT(DISTINCT incident) AS incidents, MIN(not_before) AS until FROM deliveries"
            " WHERE state IN ('pending','claimed') AND not_before>? GROUP BY held ORDER BY until",
            self._clock(),
        )
        return [HeldBack(row["held"], row["n"], row["incidents"], row["until"]) for row in rows]

    def parked(self) -> dict[str, int]:
        """Return by channel how many deliveries are parked."""
        rows = self._read(
            "SELECT channel, COUNT(*) AS n FROM deliveries INDEXED BY deliveries_parked WHERE state='parked' GROUP BY channel"
        )
        return {row["channel"]: row["n"] for row in rows}

    def last_failures(self) -> dict[str, tuple[float, str]]:
        """Return by channel when an attempt last failed, and the provider's words; of the last 5,000 failures."""
        rows = self._read(
            "SELECT channel, at, detail, MAX(id) FROM (SELECT a.id, a.at, a.detail, d.channel FROM attempts a"
            " JOIN deliveries d ON d.id=a.delivery WHERE a.outcome IN ('retry','parked','refused') ORDER BY a.id DESC LIMIT ?)"
            " GROUP BY channel",
            _FAILURES_SEEN,
        )
        return {row["channel"]: (row["at"], row["detail"]) for row in rows}

    def states(self) -> dict[str, int]:
        """Return how many incidents there are in each state."""
        rows = self._read("SELECT state, COUNT(*) AS n FROM incidents WHERE state!='resolved' GROUP BY state")
        return {"firing": 0, "acknowledged": 0} | {row["state"]: row["n"] for row in rows}

    def refused(self, limit: int = 20) -> list[Kept]:
        """Return what webhooks brought that could not be understood, newest first."""
        rows = self._read("SELECT id, at, reason, body FROM refused ORDER BY id DESC LIMIT ?", limit)
        return [Kept(row["id"], row["at"], row["reason"], row["body"]) for row in rows]


def _tried(row: sqlite3.Row) -> Entry:
    again = row["next_at"] if row["last"] and row["state"] == "pending" else None
    return Entry(
        row["at"],
        channel=row["channel"],
        kind=row["kind"],
        target=row["target"],
        outcome=row["outcome"],
        detail=row["detail"],
        next_at=again,
        took=max(0.0, row["at"] - row["created_at"]) if row["outcome"] == "sent" else 0.0,
        fallback_for=row["fallback_for"],
    )


def _untried(row: sqlite3.Row) -> Entry:
    """Return a message that was sent from memory, or that nobody has tried to send yet."""
    waits = row["state"] in ("pending", "claimed", "parked")
    return Entry(
        row["created_at"] if waits or row["sent_at"] is None else row["sent_at"],
        channel=row["channel"],
        kind=row["kind"],
        target=row["target"],
        outcome="" if waits else row["state"],
        detail=row["held"] if waits else row["error"],
        next_at=row["next_at"] if row["state"] == "pending" else None,
        fallback_for=row["fallback_for"],
        waits=waits,
    )


def _in_words(entry: Entry) -> str:
    """Return an attempt in words: which channel, what, how it went, for whom where not for all, why."""
    words, detail = f"{channel(entry.channel)}: {entry.kind} {entry.outcome}", entry.detail
    if entry.target and not detail.startswith(entry.target):
        detail = f"{entry.target}: {detail}" if detail else entry.target
    return f"{words}: {detail}" if detail else words
