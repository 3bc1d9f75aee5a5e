"""What time brings to an incident that still fires: the next step, a reminder, an acknowledgement that ends."""

from __future__ import annotations

import json
import sqlite3

from notifier.model import PAGE
from notifier.plan import Plan
from notifier.store.incidents import CLOCKS_DIFFER, Incidents, next_step


class Escalation(Incidents):
    """Looked at every ten seconds."""

    def escalate(self) -> set[str]:
        """Go through the steps that are due while nobody has acknowledged; return the channels that got something to do.

        What waits for quiet hours or planned work to end does not escalate meanwhile.
        """
        now, channels = self._clock(), set[str]()
        with self._write() as db:
            # Told in the future: the clock was put back, and what is due goes by the new time.
            db.execute(
                "UPDATE incidents SET step_at=step_at-(reminded_at-?), reminded_at=?"
                " WHERE state!='resolved' AND state='firing' AND reminded_at>?",
                (now, now, now + CLOCKS_DIFFER),
            )
            for row in db.execute("SELECT * FROM incidents WHERE step_at<=? AND state='firing'", (now,)).fetchall():
                plan, step = self._plan_of(row, now), row["step"]
                if plan.held_until > now:
                    at: float | None = plan.held_until
                elif step < len(plan.steps):
                    channels |= self._queue(db, row["id"], "reminder", plan.steps[step].audience, now)
                    step, at = step + 1, next_step(plan, step + 1, now)
                    db.execute("UPDATE incidents SET reminded_at=? WHERE id=?", (now, row["id"]))
                else:
                    at = None  # the policy has become shorter meanwhile
                db.execute("UPDATE incidents SET step=?, step_at=? WHERE id=?", (step, at, row["id"]))
        return channels

    def remind(self, every: float) -> set[str]:
        """Tell each page that nobody has acknowledged for `every` seconds again, to all that its steps have told."""
        now, channels = self._clock(), set[str]()
        with self._write() as db:
            query = "SELECT * FROM incidents WHERE state!='resolved' AND state='firing' AND severity=? AND reminded_at<?"
            for row in db.execute(query, (PAGE, now - every)).fetchall():
                channels |= self._again(db, row, now)
        return channels

    def forget_acknowledgements(self, after: float) -> set[str]:
        """End the acknowledgement of pages that still fire `after` seconds later: somebody may have gone to bed with it."""
        now, channels = self._clock(), set[str]()
        with self._write() as db:
            query = "SELECT * FROM incidents WHERE state!='resolved' AND state='acknowledged' AND severity=? AND acknowledged_at<?"
            for row in db.execute(query, (PAGE, now - after)).fetchall():
                why = f"acknowledged by {row['acknowledged_by']} long ago, and still firing"
                channels |= self._open_again(db, row, why, now)
        return channels

    def unacknowledge(self, incident: int, why: str, said: float | None = None) -> set[str]:
        """Take an acknowledgement back, unless a newer one was given than what was `said` elsewhere; who was told is told again."""
        now = self._clock()
        with self._write() as db:
            query = "SELECT * FROM incidents WHERE id=? AND state='acknowledged' AND (? IS NULL OR acknowledged_at<=?+?)"
            row = db.execute(query, (incident, said, said, CLOCKS_DIFFER)).fetchone()
            return set() if row is None else self._open_again(db, row, why, now)

    def _open_again(self, db: sqlite3.Connection, row: sqlite3.Row, why: str, now: float) -> set[str]:
        at = next_step(self._plan_of(row, now), row["step"], now)
        db.execute(
            "UPDATE incidents SET state='firing', acknowledged_at=NULL, acknowledged_by='', step_at=? WHERE id=?",
            (at, row["id"]),
        )
        db.execute(
            "INSERT OR IGNORE INTO events (fingerprint, starts_at, status, at, incident) VALUES (?,?,?,?,?)",
            (row["fingerprint"], row["starts_at"], f"{why.replace('#', ' ')}#{now}", now, row["id"]),
        )
        return self._again(db, row, now, why)

    def _again(self, db: sqlite3.Connection, row: sqlite3.Row, now: float, why: str = "") -> set[str]:
        plan = self._plan_of(row, now)
        if plan.held_until > now:
            return set()
        db.execute("UPDATE incidents SET reminded_at=? WHERE id=?", (now, row["id"]))
        return self._queue(db, row["id"], "reminder", plan.audience(row["step"]), now, why=why)

    def _plan_of(self, row: sqlite3.Row, now: float) -> Plan:
        return self._plan(json.loads(row["labels"]), row["severity"], now)
