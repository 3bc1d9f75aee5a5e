"""Planned work that was entered by hand: what it concerns waits until its end."""

from __future__ import annotations

import json
from collections.abc import Sequence

from notifier.holds import Window
from notifier.plan import MAINTENANCE
from notifier.store.record import Record


class Windows(Record):
    """The table of planned work."""

    def windows(self) -> list[Window]:
        """Return the planned work that is not over."""
        rows = self._read("SELECT * FROM maintenance WHERE ends>? ORDER BY begins", self._clock())
        return [
            Window(row["begins"], row["ends"], tuple(json.loads(row["match"])), row["why"], row["id"], row["made_by"])
            for row in rows
        ]

    def add_window(self, begins: float, ends: float, match: Sequence[str], why: str, by: str) -> int:
        """Enter planned work and return its number; what was queued before is told all the same."""
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO maintenance (begins, ends, match, why, made_by, made_at) VALUES (?,?,?,?,?,?)",
                (begins, ends, json.dumps(list(match)), why, by, self._clock()),
            )
        return int(cursor.lastrowid or 0)

    def end_window(self, number: int) -> bool:
        """End planned work now: what waits for its end goes out. Return whether there was any."""
        now = self._clock()
        start = f"{MAINTENANCE} {number}:"
        with self._write() as db:
            changed = db.execute("UPDATE maintenance SET ends=? WHERE id=? AND ends>?", (now, number, now)).rowcount
            db.execute(
                "UPDATE deliveries SET not_before=0, next_at=MIN(next_at, ?) WHERE state='pending' AND not_before>?"
                " AND substr(held, 1, ?)=?",
                (now, now, len(start), start),
            )
        return bool(changed)
