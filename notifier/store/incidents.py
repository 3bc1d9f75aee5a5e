"""Taking in: what is news, what is a repetition, which episode an end belongs to."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from notifier.intake import Refused
from notifier.model import Alert
from notifier.plan import MAINTENANCE, Audience, Plan
from notifier.store.windows import Windows

REOPEN_WITHIN = 1800.0
# A pair of Alertmanagers may tell a firing after its end; later than this it is a firing again (Prometheus
# was away, the end was none, and the alert kept its startsAt).
OVERTAKEN_WITHIN = 120.0
_REFUSED_KEPT, _REFUSED_MOST = 200, 100_000
CLOCKS_DIFFER = 60.0  # seconds between a provider's clock and ours
# Who hears of an incident, by channel: its own list and persons beside it.
_HEARS = "INSERT OR IGNORE INTO audience (incident, channel, target, listed) VALUES (?,?,?,?)"
# What fires anew is told to those whom it concerns now, and its end also to those whom its last end has not reached.
_FORGET_AUDIENCE = (
    "DELETE FROM audience WHERE incident=? AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.incident=audience.incident"
    " AND d.channel=audience.channel AND d.target=audience.target AND d.kind='resolved' AND d.state IN ('pending','claimed'))"
)
# Not whom the channel's own list reaches anyway, and not whom nothing was told: the last word was not that it fires.
_TO_BE_TOLD_THE_END = (
    "SELECT channel, target FROM audience a WHERE incident=:incident AND NOT (listed AND target!='' AND EXISTS ("
    " SELECT 1 FROM audience b WHERE b.incident=a.incident AND b.channel=a.channel AND b.target=''))"
    " AND IFNULL((SELECT d.kind FROM deliveries d WHERE d.incident=a.incident AND d.channel=a.channel AND d.target=a.target"
    " AND d.state!='folded' ORDER BY d.id DESC LIMIT 1), 'resolved')!='resolved'"
)
Episode = tuple[str, float]
Told = Mapping[Episode, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Taken:
    """One webhook's alerts, the ends among them that are not believed, and what was told of them from memory."""

    alerts: tuple[Alert, ...]
    held: Collection[Episode] = ()
    told: Told | None = None


class Incidents(Windows):
    """Alerts become events, incidents and deliveries, all of a body in one transaction."""

    def take(self, alerts: Iterable[Alert], *, held: Collection[Episode] = (), told: Told | None = None) -> set[str]:
        """Record the alerts of one body and return the channels that got something to do.

        `held`: ends that are not believed, since who reports them may have lost sight; reconciliation closes
        those incidents. `told`: what went out from memory while the record could not be written, by channel
        with what is to be remembered; it is not sent again.
        Raises sqlite3.Error when it cannot be committed: the sender must not be told that all is well.
        """
        with self._write() as db:
            return self._take(db, Taken(tuple(alerts), held, told))

    def take_all(self, bodies: Iterable[Taken]) -> set[str]:
        """Record several bodies in one commit: all of them or, raising sqlite3.Error, none."""
        with self._write() as db:
            return set().union(*(self._take(db, body) for body in bodies))

    def _take(self, db: sqlite3.Connection, body: Taken) -> set[str]:
        channels: set[str] = set()
        for alert in body.alerts:
            if alert.status == "firing":
                channels |= self._firing(db, alert, (body.told or {}).get(alert.episode, {}))
            else:
                channels |= self._end(db, alert, held=alert.episode in body.held)
        return channels

    def keep_refused(self, refused: Iterable[Refused]) -> None:
        """Keep what could not be understood, for inspection; the newest 200."""
        with self._write() as db:
            db.executemany(
                "INSERT INTO refused (at, reason, body) VALUES (?,?,?)",
                [(self._clock(), one.reason, one.text[:_REFUSED_MOST]) for one in list(refused)[-_REFUSED_KEPT:]],
            )
            db.execute("DELETE FROM refused WHERE id<=(SELECT MAX(id) FROM refused)-?", (_REFUSED_KEPT,))

    @staticmethod
    def _opened(db: sqlite3.Connection, fingerprint: str) -> sqlite3.Row | None:
        query = "SELECT * FROM incidents WHERE fingerprint=? AND state!='resolved' ORDER BY id DESC LIMIT 1"
        row: sqlite3.Row | None = db.execute(query, (fingerprint,)).fetchone()
        return row

    def _event(self, db: sqlite3.Connection, alert: Alert, status: str, incident: int | None) -> None:
        db.execute(
            "INSERT OR IGNORE INTO events (fingerprint, starts_at, status, at, incident) VALUES (?,?,?,?,?)",
            (alert.fingerprint, alert.starts_at, status, self._clock(), incident),
        )

    def _firing(self, db: sqlite3.Connection, alert: Alert, told: Mapping[str, Mapping[str, str]]) -> set[str]:
        now, opened = self._clock(), self._opened(db, alert.fingerprint)
        ended = db.execute(
            "SELECT MAX(at) AS at FROM events WHERE fingerprint=? AND starts_at>=? AND status='resolved'", alert.episode
        ).fetchone()["at"]
        if ended is not None and abs(now - ended) < OVERTAKEN_WITHIN:
            return set()  # overtaken by its end
        known = {
            row["status"]
            for row in db.execute("SELECT status FROM events WHERE fingerprint=? AND starts_at=?", alert.episode)
        }
        notes = json.dumps(dict(alert.annotations))
        if "firing" in known and opened is not None:
            # A repetition or the other Alertmanager's copy; its numbers may be newer.
            if alert.starts_at >= opened["latest_starts_at"]:
                db.execute("UPDATE incidents SET annotations=? WHERE id=?", (notes, opened["id"]))
            return set()
        # The same episode is back: its first events are history, so that its next end counts.
        db.execute(
            "UPDATE events SET status=status || '#' || id WHERE fingerprint=? AND starts_at=? AND status IN ('firing', 'resolved')",
            alert.episode,
        )
        if opened is not None:
            db.execute(
                "UPDATE incidents SET labels=?, annotations=?, latest_starts_at=MAX(latest_starts_at, ?) WHERE id=?",
                (json.dumps(dict(alert.labels)), notes, alert.starts_at, opened["id"]),
            )
            self._event(db, alert, "firing", opened["id"])
            return set()
        plan = self._plan(alert.labels, alert.severity, now)
        incident = self._begin(db, alert, notes, plan, now)
        self._event(db, alert, "firing", incident)
        self._note_told(db, incident, told, now)
        return self._queue(db, incident, "firing", [one for one in plan.first if one.channel not in told], now, plan=plan)

    @staticmethod
    def _begin(db: sqlite3.Connection, alert: Alert, notes: str, plan: Plan, now: float) -> int:
        """Open an incident, or the last one again when it ended not long ago."""
        labels, starts_at = json.dumps(dict(alert.labels)), alert.starts_at
        step_at = next_step(plan, 1, max(now, plan.held_until))
        recent = db.execute(
            "SELECT id FROM incidents WHERE fingerprint=? AND state='resolved' AND resolved_at>? ORDER BY id DESC LIMIT 1",
            (alert.fingerprint, now - REOPEN_WITHIN),
        ).fetchone()
        if recent is not None:
            db.execute(
                "UPDATE incidents SET state='firing', labels=?, annotations=?, severity=?, starts_at=?, latest_starts_at=?,"
                " source=?, resolved_at=NULL, ending='', acknowledged_at=NULL, acknowledged_by='', reminded_at=?, fired_at=?, step=1,"
                " step_at=? WHERE id=?",
                (labels, notes, alert.severity, starts_at, starts_at, alert.source, now, now, step_at, recent["id"]),
            )
            db.execute(_FORGET_AUDIENCE, (recent["id"],))
            return int(recent["id"])
        cursor = db.execute(
            "INSERT INTO incidents (fingerprint, state, severity, labels, annotations, starts_at, latest_starts_at, source,"
            " opened_at, reminded_at, fired_at, step_at) VALUES (?,'firing',?,?,?,?,?,?,?,?,?,?)",
            (alert.fingerprint, alert.severity, labels, notes, starts_at, starts_at, alert.source, now, now, now, step_at),
        )
        return int(cursor.lastrowid or 0)

    @staticmethod
    def _note_told(db: sqlite3.Connection, incident: int, told: Mapping[str, Mapping[str, str]], now: float) -> None:
        for channel, references in told.items():
            db.execute(
                "INSERT INTO deliveries (incident, channel, kind, state, next_at, created_at, sent_at, error)"
                " VALUES (?,?,'firing','sent',?,?,?,'from memory')",
                (incident, channel, now, now, now),
            )
            db.execute(_HEARS, (incident, channel, "", 0))
            db.executemany(
                "INSERT OR REPLACE INTO refs (incident, channel, name, value) VALUES (?,?,?,?)",
                [(incident, channel, name, value) for name, value in references.items()],
            )

    def _end(self, db: sqlite3.Connection, alert: Alert, *, held: bool) -> set[str]:
        query = "SELECT 1 FROM events WHERE fingerprint=? AND starts_at=? AND status='resolved'"
        if db.execute(query, alert.episode).fetchone():
            return set()  # a repetition
        opened = self._opened(db, alert.fingerprint)
        if opened is None:
            self._event(db, alert, "resolved", None)
            return set()  # never heard of: kept as an event, told to nobody
        ours = opened["latest_starts_at"] <= alert.starts_at  # else the end of an older episode
        if ours and held:
            self._event(db, alert, "held", opened["id"])
            return set()
        self._event(db, alert, "resolved", opened["id"])
        return self._resolve(db, opened, alert.ends_at or self._clock()) if ours else set()

    def _resolve(self, db: sqlite3.Connection, opened: sqlite3.Row, at: float, ending: str = "") -> set[str]:
        now, incident = self._clock(), int(opened["id"])
        at = max(min(at, now), opened["starts_at"])
        query = "UPDATE incidents SET state='resolved', resolved_at=?, ending=?, step_at=NULL WHERE id=?"
        db.execute(query, (at, ending, incident))
        self._fold_held(db, incident, now)
        told = [Audience(row["channel"], row["target"]) for row in db.execute(_TO_BE_TOLD_THE_END, {"incident": incident})]
        plan = self._plan(json.loads(opened["labels"]), opened["severity"], now)
        return self._queue(db, incident, "resolved", told, now, plan=plan)

    @staticmethod
    def _fold_held(db: sqlite3.Connection, incident: int, now: float) -> None:
        """Fold what never went out and is over: planned work is nobody's trouble, and PagerDuty would ring for a moment."""
        rows = db.execute(
            "SELECT id, held, channel FROM deliveries WHERE incident=? AND state='pending' AND not_before>? AND kind='firing'",
            (incident, now),
        ).fetchall()
        for row in rows:
            if row["held"].startswith(MAINTENANCE) or row["channel"] == "pagerduty":
                reason = f"over within the {row['held'].partition(':')[0]}"
                db.execute("UPDATE deliveries SET state='folded', error=? WHERE id=?", (reason, row["id"]))
                values = (row["id"], now, reason)
                db.execute("INSERT INTO attempts (delivery, at, outcome, detail) VALUES (?,?,'folded',?)", values)

    @staticmethod
    def _queue(
        db: sqlite3.Connection,
        incident: int,
        kind: str,
        audience: Iterable[Audience],
        now: float,
        *,
        fallback_for: str = "",
        plan: Plan | None = None,
        why: str = "",
    ) -> set[str]:
        """Queue one message for each of an audience, at once or when the plan no longer holds it back; `why` it goes again."""
        people = sorted(set(audience), key=lambda one: (one.channel, one.target))
        held_until, held = (plan.held_until, plan.held) if plan and plan.held_until > now else (0.0, why)
        db.executemany(
            "INSERT INTO deliveries (incident, channel, kind, state, next_at, created_at, fallback_for, target, not_before, held)"
            " VALUES (?,?,?,'pending',?,?,?,?,?,?)",
            [
                (incident, one.channel, kind, max(now, held_until), now, fallback_for, one.target, held_until, held)
                for one in people
            ],
        )
        if kind in {"firing", "reminder"}:
            db.executemany(_HEARS, [(incident, one.channel, one.target, int(one.listed)) for one in people])
        return {one.channel for one in people}

    # -- what people and the watch do --------------------------------------------------------

    def acknowledge(self, incident: int, by: str, said: float | None = None) -> set[str]:
        """Acknowledge a firing incident; return the channels that have to tell it.

        `said`: when it was said elsewhere. What was said before the incident last fired anew is about its past; what
        is said here is said now, whatever the clock did since then.
        """
        now = self._clock()
        with self._write() as db:
            changed = db.execute(
                "UPDATE incidents SET state='acknowledged', acknowledged_at=?, acknowledged_by=? WHERE id=? AND state='firing'"
                " AND (? IS NULL OR ? >= MAX(fired_at, IFNULL((SELECT MAX(at) FROM events e WHERE e.incident=incidents.id"
                " AND e.status LIKE 'acknowledged by%'), 0))-?)",
                (now, by, incident, said, said, CLOCKS_DIFFER),
            )
            if not changed.rowcount:
                return set()
            # Kept beside the incident's own columns, which the next episode uses anew.
            db.execute(
                "INSERT OR IGNORE INTO events (fingerprint, starts_at, status, at, incident)"
                " SELECT fingerprint, starts_at, ? || '#' || ?, ?, id FROM incidents WHERE id=?",
                (f"acknowledged by {by.replace('#', ' ')}", now, now, incident),
            )
            told = db.execute(
                "SELECT DISTINCT channel FROM audience WHERE incident=? AND channel IN ('slack', 'pagerduty', 'webhook')",
                (incident,),
            ).fetchall()
            return self._queue(db, incident, "acknowledged", [Audience(row["channel"]) for row in told], now)

    def close_incident(self, incident: int, at: float, ending: str = "unseen") -> set[str]:
        """Resolve an incident that nobody reports as ended: its source no longer knows it, first seen so `at`."""
        with self._write() as db:
            row = db.execute("SELECT * FROM incidents WHERE id=? AND state!='resolved'", (incident,)).fetchone()
            return set() if row is None else self._resolve(db, row, at, ending)


def next_step(plan: Plan, step: int, now: float) -> float | None:
    """Return when the step after the first `step` ones is due; None where none is left."""
    if not 0 < step < len(plan.steps):
        return None
    return now + plan.steps[step].after - plan.steps[step - 1].after
