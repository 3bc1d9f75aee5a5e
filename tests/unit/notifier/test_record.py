"""The file: migrated from what an older version wrote, owned by one process, looked at by others."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from notifier.intake import Refused
from notifier.store import Store, schema
from tests.unit.notifier.record import Clock, drain, firing, make_store, resolved


def _old_file(folder: Path, clock: Clock) -> None:
    """Write what version 1 wrote: an open page, told to Slack, still on its way by mail, one claim of a dead process."""
    db = sqlite3.connect(folder / "n.sqlite3")
    for statement in schema._FIRST:
        db.execute(statement)
    db.execute("PRAGMA user_version=1")
    db.execute(
        "INSERT INTO incidents (id, fingerprint, state, severity, labels, annotations, starts_at, opened_at)"
        " VALUES (7, 'f', 'firing', 'page', '{\"headline\": \"KAFKA DOWN\"}', '{}', ?, ?)",
        (clock.now, clock.now),
    )
    db.execute(
        "INSERT INTO events (fingerprint, starts_at, status, at, incident) VALUES ('f', ?, 'firing', ?, 7)", (clock.now,) * 2
    )
    db.executemany(
        "INSERT INTO deliveries (id, incident, channel, kind, state, next_at, created_at) VALUES (?, 7, ?, 'firing', ?, ?, ?)",
        [
            (n, c, s, clock.now, clock.now)
            for n, c, s in ((1, "slack", "sent"), (2, "email", "pending"), (3, "pagerduty", "claimed"))
        ],
    )
    db.execute("INSERT INTO refs VALUES (7, 'slack', 'ts', '1.0')")
    db.commit()
    db.close()


def test_a_file_of_the_first_version_is_migrated_with_all_that_is_under_way(tmp_path: Path) -> None:
    """Open incidents stay open and reconciled; what was queued is sent, known to mail servers as before."""
    clock = Clock()
    _old_file(tmp_path, clock)
    store = make_store(tmp_path, clock)
    assert [(i.id, i.source) for i in store.open_incidents()] == [(7, None)]
    mail = store.claim("email") or pytest.fail("nothing")
    pager = store.claim("pagerduty") or pytest.fail("nothing")
    assert (mail.key, mail.doubtful) == ("2", False)
    assert (pager.key, pager.doubtful) == ("3", True)
    clock.now += 60
    assert store.take([resolved(clock.now - 60, clock.now)]) == {"slack", "email", "pagerduty"}
    assert (store.claim("slack") or pytest.fail("nothing")).references == {"ts": "1.0"}
    store.close()
    assert make_store(tmp_path, clock).open_incidents() == []


def test_a_migration_that_fails_half_way_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk in the middle of it: the next start begins anew."""
    clock = Clock()
    _old_file(tmp_path, clock)
    monkeypatch.setattr(schema, "_STEPS", (schema._FIRST, (*schema._SECOND, "CREATE TABLE broken (")))
    store = make_store(tmp_path, clock)
    with pytest.raises(sqlite3.OperationalError):
        store.open_incidents()
    monkeypatch.undo()
    assert [i.id for i in store.open_incidents()] == [7]


def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    """The notifier says so and pages from memory."""
    clock = Clock()
    make_store(tmp_path, clock).close()
    db = sqlite3.connect(tmp_path / "n.sqlite3")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(sqlite3.OperationalError, match="newer version"):
        make_store(tmp_path, clock).take([firing(clock.now)])


def test_a_tool_takes_nothing_from_the_running_notifier(tmp_path: Path) -> None:
    """`replay` beside a notifier that is sending: the claim stays its own and is not sent twice."""
    clock = Clock()
    running = make_store(tmp_path, clock)
    running.take([firing(clock.now)])
    claimed = running.claim("slack") or pytest.fail("nothing")
    parked = running.claim("email") or pytest.fail("nothing")
    running.failed(parked, "550", None, doubtful=False, fallback=None)
    tool = make_store(tmp_path, clock, owner=False)
    assert tool.replay() == 1
    tool.close()
    assert running.claim("slack") is None
    assert [d.id for d in drain(running, "email")] == [parked.id]
    assert claimed.incident.id == 1


def test_a_tool_makes_and_migrates_no_file(tmp_path: Path) -> None:
    """Where there is none it says so; one of another version belongs to the notifier that runs."""
    clock = Clock()
    with pytest.raises(sqlite3.OperationalError, match="never run here"):
        make_store(tmp_path, clock, owner=False)
    assert list(tmp_path.iterdir()) == []
    _old_file(tmp_path, clock)
    with pytest.raises(sqlite3.OperationalError, match="restart the notifier"):
        make_store(tmp_path, clock, owner=False)


def test_a_store_that_is_damaged_raises_a_database_error(tmp_path: Path) -> None:
    """The command moves it aside and says so."""
    (tmp_path / "n.sqlite3").write_bytes(os.urandom(8192))
    with pytest.raises(sqlite3.DatabaseError):
        make_store(tmp_path, Clock())


def test_what_was_not_understood_is_kept_but_not_for_ever(tmp_path: Path) -> None:
    """The newest 200, each cut to 100 kB."""
    store: Store = make_store(tmp_path, Clock())
    store.keep_refused([Refused(str(number), "x" * 200_000) for number in range(250)])
    store.keep_refused([Refused("last", "y")])
    kept = store.refused(1000)
    assert len(kept) == 200
    assert (kept[0].reason, len(kept[1].body)) == ("last", 100_000)
