"""A damaged file: told from other troubles, moved aside, and what can still be read of it carried over.

What is carried over is what somebody waits for: open incidents with all that belongs to them, and planned work.
The history stays in the file that was moved aside.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

_LOG = logging.getLogger(__name__)
_CORRUPT, _NO_DATABASE = 11, 26  # sqlite.org/rescode.html: SQLITE_CORRUPT, SQLITE_NOTADB
RENEWED = "record renewed"  # the sign of life that keeps when it happened
Rows = dict[str, list[dict[str, object]]]  # by table
_OPEN = "SELECT id FROM incidents WHERE state!='resolved' UNION SELECT incident FROM deliveries WHERE state IN ('pending','claimed')"
# Each row by itself: a page of the file that cannot be read costs what stands on it, and no more.
_KEPT = (
    ("incidents", f"id IN ({_OPEN})"),
    ("deliveries", f"incident IN ({_OPEN})"),
    ("audience", f"incident IN ({_OPEN})"),
    ("refs", f"incident IN ({_OPEN})"),
    ("events", f"incident IN ({_OPEN})"),
    ("attempts", f"delivery IN (SELECT id FROM deliveries WHERE incident IN ({_OPEN}))"),  # noqa: S608 - names of our own
    ("maintenance", "1"),
    ("heartbeats", "1"),
)


def damaged(error: BaseException) -> bool:
    """Tell whether it is the file's content that is wrong, not the disk, a right or another process."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.DatabaseError) and code is not None and code & 0xFF in {_CORRUPT, _NO_DATABASE}


def move_aside(file: Path) -> Path:
    """Move the file away, with what has not yet been written into it; return where it is now.

    Raises OSError.
    """
    aside = file.with_suffix(f".damaged-{time.time_ns() // 1_000_000}")
    file.rename(aside)
    # Named as the file is, so that SQLite finds it; the index of it is made anew by whoever reads it.
    with suppress(FileNotFoundError):
        Path(f"{file}-wal").rename(f"{aside}-wal")
    Path(f"{file}-shm").unlink(missing_ok=True)
    return aside


def salvage(old: sqlite3.Connection) -> Rows:
    """Return what can still be read; never raises for the file's sake."""
    found: Rows = {}
    for table, which in _KEPT:
        try:
            cursor = old.execute(f"SELECT * FROM {table} WHERE {which}")  # noqa: S608 - names of our own
            names = [column[0] for column in cursor.description]
            found[table] = rows = []
            for row in cursor:
                rows.append(dict(zip(names, row, strict=True)))
        except sqlite3.DatabaseError as error:
            _LOG.error("table %s of the former record cannot be read to its end: %s", table, error)
    return found


def salvage_file(aside: Path) -> Rows:
    """Return what can still be read of a file that was moved aside; never raises for the file's sake."""
    try:
        with closing(
            sqlite3.connect(f"file:{quote(str(aside))}?mode=rw", uri=True, timeout=1.0, isolation_level=None)
        ) as old:
            return salvage(old)
    except sqlite3.DatabaseError as error:
        _LOG.error("%s: nothing can be read of it: %s", aside, error)
        return {}


def carry_over(db: sqlite3.Connection, found: Rows) -> int:
    """Write what was salvaged; return how many incidents that is."""
    for table, rows in found.items():
        known = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        for row in rows:
            names = [name for name in row if name in known]
            columns, marks = ", ".join(names), ", ".join("?" * len(names))
            query = f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names of our own
            db.execute(query, [row[name] for name in names])
    return len(found.get("incidents", []))
