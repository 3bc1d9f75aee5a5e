"""The file under the record: opened, migrated, written by one at a time, tried again while it cannot be used."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from notifier.model import Delivery, Incident
from notifier.plan import Planner
from notifier.store import damage, schema

_LOG = logging.getLogger(__name__)
_BUSY = 2.0  # seconds: the webhook must be answered well before its sender gives up
# (The condition of the index that finds it stands in it twice.)
_TAKE_OVER = "UPDATE deliveries SET state='pending', doubtful=1 WHERE state='claimed' AND state IN ('pending','claimed')"


class Record:
    """The database file; safe to use from several threads.

    `owner`: this process makes the file, keeps its tables up to date and sends what is queued. A tool that
    looks at the file of a running notifier is no owner: it neither makes nor changes tables.
    A file that cannot be opened (full disk, read-only) is tried again at each use, which raises sqlite3.Error
    until then: the notifier must start all the same, since it can still page from memory. One whose content is
    damaged is moved aside and begun anew, with what can still be read of it; one that somebody took away too.
    """

    def __init__(self, file: Path, plan: Planner, *, owner: bool = True, clock: Callable[[], float] = time.time) -> None:
        self._file, self._plan, self._owner, self._clock = file, plan, owner, clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._closed = self._owns = False
        self._inode: int | None = None
        try:
            self._open()
        except sqlite3.OperationalError as error:
            if not owner:
                raise
            _LOG.error("%s cannot be used, pages are sent from memory until it can: %s", file, error)

    def _open(self) -> sqlite3.Connection:
        """Return the connection; open it first where it is not."""
        if self._connection is not None:
            return self._connection
        if self._closed:
            raise sqlite3.OperationalError("the record is closed")
        db = self._connect()
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA synchronous=FULL")
            if self._owner:
                db.execute("PRAGMA journal_mode=WAL")
                schema.migrate(db, self._file)
                self._refuse_read_only(db)
                self._inode = self._file.stat().st_ino
                if self._owns:
                    db.execute(_TAKE_OVER)
            elif schema.version(db) != schema.VERSION:
                raise sqlite3.OperationalError(f"{self._file} is of another version: restart the notifier first")
        except BaseException:
            db.close()
            raise
        self._connection = db
        return db

    @staticmethod
    def _refuse_read_only(db: sqlite3.Connection) -> None:
        """Raise sqlite3.OperationalError for a file that could only be opened to be read: it would stay so for good."""
        try:
            db.execute("BEGIN IMMEDIATE")  # which a read-only one takes for a mere BEGIN
            db.execute(f"PRAGMA user_version={schema.VERSION}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
                raise
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _connect(self) -> sqlite3.Connection:
        if self._owner:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise sqlite3.OperationalError(f"{self._file.parent}: {error.strerror}") from None
        elif not self._file.exists():
            raise sqlite3.OperationalError(f"there is no record {self._file}: the notifier has never run here")
        mode = "rwc" if self._owner else "rw"
        uri = f"file:{quote(str(self._file.absolute()))}?mode={mode}"
        return sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None, timeout=_BUSY)

    def own(self) -> None:
        """Take over from a process that ended: what it had claimed is claimed by nobody now.

        Not before it is certain that no other one runs; where the file cannot be used yet, as soon as it can.
        """
        with self._lock:
            self._owns = True
            try:
                with self._write() as db:
                    db.execute(_TAKE_OVER)
            except sqlite3.Error as error:
                _LOG.error("what was claimed comes back when its lease ends: %s", error)

    def close(self) -> None:
        """Close the file for good."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._mended():
            self._notice_loss()
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # A full disk ends the transaction by itself; a COMMIT that failed leaves it open.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _read(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, self._mended():
            return self._open().execute(query, values).fetchall()

    # -- a file that is damaged, or gone ---------------------------------------------------------

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """Begin anew when the file proves to be damaged; who came upon it is told so all the same, and comes again."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if self._owner and self._owns and damage.damaged(error):
                self.begin_anew(error)
            raise

    def begin_anew(self, error: BaseException) -> None:
        """Move the file aside, begin a new one, and carry over what can still be read; say so aloud.

        Raises sqlite3.OperationalError when there can be no new one either.
        """
        self._drop()
        try:
            aside = damage.move_aside(self._file)
        except OSError as problem:
            raise sqlite3.OperationalError(f"{self._file} is damaged and cannot be moved: {problem.strerror}") from error
        self.carry_over(damage.salvage_file(aside), f"{self._file} is damaged ({error}): it was moved to {aside}")

    def carry_over(self, found: damage.Rows, why: str) -> None:
        """Write what is left of the former record into this new one, and say so aloud."""
        with self._write() as db:
            count = damage.carry_over(db, found)
            db.execute("INSERT OR REPLACE INTO heartbeats VALUES (?,?)", (damage.RENEWED, self._clock()))
            if self._owns:
                db.execute(_TAKE_OVER)
        _LOG.critical("%s; a new one is begun, with the %d incidents that were under way", why, count)

    def _notice_loss(self) -> None:
        """Begin a new file when somebody has moved ours away: what is written to that one nobody would find."""
        if self._connection is None or not self._owner or self._inode is None:
            return
        try:
            if self._file.stat().st_ino == self._inode:
                return
        except FileNotFoundError:
            pass
        except OSError:
            return  # the folder cannot be looked into just now; the file may well be where it was
        found = damage.salvage(self._connection)
        self._drop()  # before there is a new file: SQLite deletes the old one's journal by its name
        self.carry_over(found, f"{self._file} was taken away while the notifier ran")

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @property
    def renewed_at(self) -> float | None:
        """When a record that was damaged or gone was last begun anew; None where none ever was."""
        return self.last_beat(damage.RENEWED)

    @staticmethod
    def _incident(row: sqlite3.Row) -> Incident:
        return Incident(
            row["id"],
            row["fingerprint"],
            row["state"],
            row["severity"],
            json.loads(row["labels"]),
            json.loads(row["annotations"]),
            row["starts_at"],
            row["opened_at"],
            row["resolved_at"],
            row["acknowledged_at"],
            row["acknowledged_by"],
            row["source"],
            row["ending"],
            row["step"],
            row["step_at"],
        )

    @staticmethod
    def _attempt(db: sqlite3.Connection, delivery: Delivery, at: float, outcome: str, detail: str) -> None:
        values = (delivery.id, at, outcome, detail[:500])
        db.execute("INSERT INTO attempts (delivery, at, outcome, detail) VALUES (?,?,?,?)", values)

    # -- signs of life -------------------------------------------------------------------------

    def beat(self, name: str, at: float | None = None) -> None:
        """Note when something was last seen: now, or at another time."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO heartbeats VALUES (?,?)", (name, self._clock() if at is None else at))

    def last_beat(self, name: str) -> float | None:
        """Return when something was last seen."""
        rows = self._read("SELECT at FROM heartbeats WHERE name=?", name)
        return rows[0]["at"] if rows else None

    def writable(self) -> bool:
        """Tell whether something can be committed now."""
        try:
            self.beat("self")
        except sqlite3.Error:
            return False
        return True
