"""The tables of the record and how an older file becomes a newer one: `user_version` counts the steps taken."""

from __future__ import annotations

import sqlite3

_FIRST = (
    """CREATE TABLE incidents (
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL,
        labels TEXT NOT NULL, annotations TEXT NOT NULL, starts_at REAL NOT NULL, opened_at REAL NOT NULL,
        resolved_at REAL, acknowledged_at REAL, acknowledged_by TEXT NOT NULL DEFAULT '', reminded_at REAL NOT NULL DEFAULT 0)""",
    "CREATE INDEX incidents_open ON incidents (fingerprint, state)",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL, starts_at REAL NOT NULL, status TEXT NOT NULL,
        at REAL NOT NULL, incident INTEGER, note TEXT NOT NULL DEFAULT '',
        UNIQUE (fingerprint, starts_at, status))""",
    "CREATE INDEX events_incident ON events (incident)",
    """CREATE TABLE deliveries (
        id INTEGER PRIMARY KEY, incident INTEGER NOT NULL REFERENCES incidents, channel TEXT NOT NULL,
        kind TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, doubtful INTEGER NOT NULL DEFAULT 0,
        next_at REAL NOT NULL, lease_until REAL NOT NULL DEFAULT 0, created_at REAL NOT NULL, sent_at REAL,
        error TEXT NOT NULL DEFAULT '', fallback_for TEXT NOT NULL DEFAULT '')""",
    "CREATE INDEX deliveries_due ON deliveries (channel, state, next_at)",
    "CREATE INDEX deliveries_incident ON deliveries (incident, channel)",
    """CREATE TABLE attempts (
        id INTEGER PRIMARY KEY, delivery INTEGER NOT NULL REFERENCES deliveries, at REAL NOT NULL,
        outcome TEXT NOT NULL, detail TEXT NOT NULL)""",
    "CREATE INDEX attempts_delivery ON attempts (delivery)",
    """CREATE TABLE refs (
        incident INTEGER NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (incident, channel, name))""",
    "CREATE TABLE heartbeats (name TEXT PRIMARY KEY, at REAL NOT NULL)",
)
_SECOND = (
    # The newest firing that an open incident continues: the end of an older one does not close it.
    "ALTER TABLE incidents ADD COLUMN latest_starts_at REAL NOT NULL DEFAULT 0",
    "UPDATE incidents SET latest_starts_at=starts_at",
    # Who reported it; NULL for what was written before this was kept, when only Alertmanager did.
    "ALTER TABLE incidents ADD COLUMN source TEXT",
    "ALTER TABLE incidents ADD COLUMN ending TEXT NOT NULL DEFAULT ''",
    # One recipient of a channel that is told apart from the others, since these have the message already.
    "ALTER TABLE deliveries ADD COLUMN target TEXT NOT NULL DEFAULT ''",
    # What the receiving side knows the delivery by; what was under way keeps the name that it had.
    "ALTER TABLE deliveries ADD COLUMN name TEXT NOT NULL DEFAULT ''",
    "UPDATE deliveries SET name=CAST(id AS TEXT) WHERE state IN ('pending', 'claimed', 'parked')",
    # The digest that a delivery went out in: a doubtful one is sent again as exactly the same set.
    "ALTER TABLE deliveries ADD COLUMN batch TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX deliveries_batch ON deliveries (channel, state) WHERE batch!=''",
    "CREATE TABLE refused (id INTEGER PRIMARY KEY, at REAL NOT NULL, reason TEXT NOT NULL, body TEXT NOT NULL)",
)
_THIRD = (
    # Whose turn it is, in order: the first that may go is found without looking at all that wait.
    "CREATE INDEX deliveries_turn ON deliveries (channel, state, id)",
)
_FOURTH = (
    # Which of its policy's steps an incident has gone through, and when the next is due (NULL: none is left).
    "ALTER TABLE incidents ADD COLUMN step INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE incidents ADD COLUMN step_at REAL",
    "CREATE INDEX incidents_step ON incidents (step_at) WHERE step_at IS NOT NULL",
    # When it last fired anew: what was said before is about its past.
    "ALTER TABLE incidents ADD COLUMN fired_at REAL NOT NULL DEFAULT 0",
    # Whom it was told to: the channels' own lists ('') and persons beside them.
    """CREATE TABLE audience (
        incident INTEGER NOT NULL, channel TEXT NOT NULL, target TEXT NOT NULL, listed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (incident, channel, target)) WITHOUT ROWID""",
    "INSERT INTO audience SELECT DISTINCT d.incident, d.channel, '', 0 FROM deliveries d JOIN incidents i ON i.id=d.incident"
    " WHERE i.state!='resolved'",
    # What waits by decision (quiet hours, planned work), not for a provider.
    "ALTER TABLE deliveries ADD COLUMN not_before REAL NOT NULL DEFAULT 0",
    "ALTER TABLE deliveries ADD COLUMN held TEXT NOT NULL DEFAULT ''",
    """CREATE TABLE maintenance (
        id INTEGER PRIMARY KEY, begins REAL NOT NULL, ends REAL NOT NULL, match TEXT NOT NULL, why TEXT NOT NULL,
        made_by TEXT NOT NULL, made_at REAL NOT NULL)""",
)
_FIFTH = (
    # What the pages ask of a long history: what is open, a period (with all that its statistics need), what was
    # sent when, what waits, what failed last.
    "CREATE INDEX incidents_now ON incidents (state, id) WHERE state!='resolved'",
    "CREATE INDEX incidents_when ON incidents (opened_at, resolved_at, starts_at, acknowledged_at, severity, fingerprint)",
    "CREATE INDEX deliveries_sent ON deliveries (channel, sent_at) WHERE sent_at IS NOT NULL",
    "CREATE INDEX deliveries_waits ON deliveries (channel, target, created_at) WHERE state IN ('pending','claimed')",
    "CREATE INDEX deliveries_parked ON deliveries (channel) WHERE state='parked'",
    "CREATE INDEX attempts_failed ON attempts (id) WHERE outcome IN ('retry','parked','refused')",
    # What is searched for. `facets` are whole values, written so that no text contains them: severity and what it is about.
    """CREATE VIEW incident_words AS SELECT id,
        (SELECT IFNULL(group_concat(value, ' '), '') FROM json_each(labels)) || ' '
            || IFNULL(json_extract(annotations, '$.summary'), '') AS words,
        'severity' || hex(lower(substr(severity, 1, 100)))
            || IFNULL((SELECT group_concat(' about' || hex(lower(substr(value, 1, 100))), '') FROM json_each(labels)
                WHERE key IN ('community', 'service', 'host', 'channel', 'job')), '') AS facets
        FROM incidents""",
    'CREATE VIRTUAL TABLE incident_text USING fts5(words, facets, tokenize="unicode61 remove_diacritics 2")',
    "INSERT INTO incident_text (rowid, words, facets) SELECT id, words, facets FROM incident_words",
    """CREATE TRIGGER incident_text_new AFTER INSERT ON incidents BEGIN
        INSERT INTO incident_text (rowid, words, facets) SELECT id, words, facets FROM incident_words WHERE id=new.id; END""",
    # Most repetitions change nothing that is searched for.
    """CREATE TRIGGER incident_text_changed AFTER UPDATE OF labels, annotations, severity ON incidents
        WHEN old.labels IS NOT new.labels OR old.severity IS NOT new.severity
            OR json_extract(old.annotations, '$.summary') IS NOT json_extract(new.annotations, '$.summary') BEGIN
        UPDATE incident_text SET (words, facets)=(SELECT words, facets FROM incident_words WHERE id=new.id) WHERE rowid=new.id; END""",
    "CREATE TRIGGER incident_text_gone AFTER DELETE ON incidents BEGIN DELETE FROM incident_text WHERE rowid=old.id; END",
)
_STEPS = (_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH)
VERSION = len(_STEPS)


def version(db: sqlite3.Connection) -> int:
    """Return the steps that the file has taken."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection, name: object) -> None:
    """Take the steps that are missing, each whole or not at all.

    Raises sqlite3.OperationalError for a file of a newer version.
    """
    while (done := version(db)) != VERSION:
        if done > VERSION:
            raise sqlite3.OperationalError(f"{name} was written by a newer version ({done}); this one knows {VERSION}")
        db.execute("BEGIN IMMEDIATE")
        try:
            if version(db) == done:  # else another process was faster
                for statement in _STEPS[done]:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version={done + 1}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
