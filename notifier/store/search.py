"""Searching the history: by words, severity, what it is about, state, period; one page of results at a time.

Words, severity and subject are looked up in one full-text index, whose answers come newest first without
sorting, so that a million incidents cost no more than the page that is shown. It reads through a connection of
its own: no webhook waits for somebody's search.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from notifier.model import Incident
from notifier.store.storms import Storms

PAGE = 50
# What began longer before the period is not looked for: an index cannot find it quickly.
LASTED_MOST = 30 * 86400.0
_LONGEST = 4.0  # seconds: a search that takes longer is given up
_AT_ONCE = 2
_WORD = re.compile(r"\w+")
_WORDS_MOST = 12
_OPEN = "SELECT id FROM incidents INDEXED BY incidents_now WHERE state!='resolved'"
_FIRST_OPEN = "SELECT MIN(id) FROM incidents INDEXED BY incidents_now WHERE state!='resolved'"


class TooSlow(Exception):
    """A search took too long, or too many are under way; says what to do."""


@dataclass(frozen=True)
class Wanted:
    """What is searched for; the empty one finds everything.

    `text`: words that all have to occur, each at the beginning of a word. `about`: a community, service or host.
    `begin`, `end`: the period in which it was open, in seconds since 1970, end excluded. `paged`: a page of which at
    least one message went out. `before`: only numbers below this one, for the next page.
    """

    text: str = ""
    severity: str = ""
    about: str = ""
    state: str = ""
    begin: float | None = None
    end: float | None = None
    paged: bool = False
    before: int | None = None


@dataclass(frozen=True)
class Found:
    """One page of results, newest first; `more`: there are older ones."""

    incidents: tuple[Incident, ...]
    more: bool


def facet(kind: str, value: str) -> str:
    """Return the word that stands for a whole value in the index: SQLite's lower and hex, in Python."""
    lowered = "".join(letter.lower() if letter.isascii() else letter for letter in value[:100])
    return f"{kind}{lowered.encode('utf-8', 'replace').hex().upper()}"


def _match(wanted: Wanted) -> str:
    """Return the full-text query; what people type can be no syntax of it."""
    parts = [f'words: "{word}"*' for word in _WORD.findall(wanted.text)[:_WORDS_MOST]]
    severity = "page" if wanted.paged else wanted.severity
    if severity:
        parts.append(f'facets: "{facet("severity", severity)}"')
    if wanted.about:
        parts.append(f'facets: "{facet("about", wanted.about)}"')
    return " AND ".join(parts)


def _query(wanted: Wanted) -> tuple[str, dict[str, object]]:
    values: dict[str, object] = {"limit": PAGE + 1}
    match, where = _match(wanted), list[str]()
    number = "f.rowid" if match else "i.id"
    source = "incident_text f JOIN incidents i ON i.id=f.rowid" if match else "incidents i"
    if match:
        where.append("incident_text MATCH :match")
        values["match"] = match
    if wanted.before is not None:
        where.append(f"{number}<:before")
        values["before"] = wanted.before
    if wanted.state and wanted.state != "resolved":
        # What is open is little and new: the rest of the history is not looked at. The plus keeps SQLite from looking
        # the words up once for each.
        where += [f"{number}>=({_FIRST_OPEN})", f"{'+' if match else ''}{number} IN ({_OPEN})"]
    if wanted.state and wanted.state != "open":
        where.append("i.state=:state")
        values["state"] = wanted.state
    if wanted.begin is not None:
        first = (
            "SELECT MIN(id) FROM incidents WHERE opened_at=(SELECT MIN(opened_at) FROM incidents WHERE opened_at>=:earliest)"
        )
        where += [f"{number}>=({first})", "(i.resolved_at IS NULL OR i.resolved_at>=:begin)"]
        values |= {"begin": wanted.begin, "earliest": wanted.begin - LASTED_MOST}
    if wanted.end is not None:
        last = "SELECT MAX(id) FROM incidents WHERE opened_at=(SELECT MAX(opened_at) FROM incidents WHERE opened_at<:end)"
        where += [f"{number}<=({last})", "i.opened_at<:end"]
        values["end"] = wanted.end
    if wanted.paged:
        where.append(
            "EXISTS (SELECT 1 FROM deliveries d WHERE d.incident=i.id AND d.state='sent' AND d.kind IN ('firing', 'reminder'))"
        )
    condition = f" WHERE {' AND '.join(where)}" if where else ""
    # All parts are ours, what people typed is bound.
    return f"SELECT i.* FROM {source}{condition} ORDER BY {number} DESC LIMIT :limit", values  # noqa: S608


class Search(Storms):
    """Looking through everything that ever was."""

    _seats = threading.BoundedSemaphore(_AT_ONCE)

    @contextmanager
    def _apart(self, longest: float | None = None) -> Iterator[sqlite3.Connection]:
        """Give a connection of its own that can only read, for a question that may take `longest` seconds (4 by default).

        Raises TooSlow, sqlite3.Error.
        """
        if not self._seats.acquire(timeout=_LONGEST):
            raise TooSlow("Others are searching: try again in a moment.")
        try:
            db = sqlite3.connect(
                f"file:{quote(str(self._file.absolute()))}?mode=ro", uri=True, isolation_level=None, timeout=1
            )
            try:
                db.row_factory = sqlite3.Row
                deadline = time.monotonic() + (longest or _LONGEST)
                db.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
                yield db
            except sqlite3.OperationalError as error:
                if "interrupted" in str(error):
                    raise TooSlow("That took too long: name a shorter period, or more words.") from None
                raise
            finally:
                db.close()
        finally:
            self._seats.release()

    def search(self, wanted: Wanted) -> Found:
        """Return the newest incidents that fit.

        Raises TooSlow, sqlite3.Error.
        """
        query, values = _query(wanted)
        with self._apart() as db:
            rows = db.execute(query, values).fetchall()
        return Found(tuple(self._incident(row) for row in rows[:PAGE]), len(rows) > PAGE)
