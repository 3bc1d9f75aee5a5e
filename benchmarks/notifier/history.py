"""A record with a long history."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path


def fill(store: Path, rows: int) -> None:
    """Add incidents that are over, with two deliveries and one attempt each: `rows` rows of them in all, a quarter of each."""
    count, now = rows // 4, time.time()
    notes = json.dumps({"summary": "Kafka down: no community gets alerts", "impact": "alerts wait at IPAC"})
    with sqlite3.connect(store) as db:
        db.executemany(
            "INSERT INTO incidents (id, fingerprint, state, severity, labels, annotations, starts_at, opened_at, resolved_at)"
            " VALUES (?,?,'resolved','ticket',?,?,?,?,?)",
            (
                (n, f"{n:016x}", json.dumps({"alertname": "ServiceDown", "service": f"s{n % 50}"}), notes, at, at, at + 600)
                for n in range(1, count + 1)
                for at in [now - (count - n) * 300.0 - 86400]
            ),
        )
        for name in ("email", "slack"):
            db.executemany(
                "INSERT INTO deliveries (incident, channel, kind, state, next_at, created_at, sent_at)"
                f" SELECT id, '{name}', 'firing', 'sent', opened_at, opened_at, opened_at+1 FROM incidents WHERE ?",
                [(1,)],
            )
        db.execute(
            "INSERT INTO attempts (delivery, at, outcome, detail) SELECT id, sent_at, 'sent', '' FROM deliveries WHERE id%2=0"
        )
