"""The record in trouble, with a real notifier: full, locked, damaged, read-only, taken away. Pages go out all the same."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.notifier_process import (
    Process,
    TroubleSite,
    expect,
    in_namespace,
    may_mount,
    read_only,
    seen_by,
    small_disk,
)
from tests.unit.notifier.site import alert

_PAGE = 4096  # SQLite's
_ONCE = {"pagerduty": 1, "slack": 1, "webhook": 1, "email": 2}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TroubleSite]:
    site = TroubleSite(tmp_path)
    try:
        site.start_providers()
        yield site
    finally:
        site.close()


def _until_accepted(site: TroubleSite, *alerts: object, seconds: float = 30.0) -> None:
    """Report as Alertmanager does: again and again until it is taken."""
    expect(site, lambda: site.post(*alerts) == 200, seconds)


class _Full:
    """A record whose disk is full on demand: a disk of its own where mounts are allowed, else by the size of files."""

    def __init__(self, folder: Path, way: str) -> None:
        self._disk = folder / "disk"
        self._mounted = way == "disk" and may_mount()
        prefix = small_disk(self._disk, "1m") if self._mounted else ()
        self.site = TroubleSite(folder, record=self._disk / "n.sqlite3" if self._mounted else None)
        self.site.start_providers()
        self.process = self.site.run(prefix=prefix)

    def fill(self) -> None:
        if not self._mounted:
            self.process.file_sizes(0)
            return
        with seen_by(self.process, self._disk / "ballast").open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * _PAGE):
                    pass
            except OSError:
                pass

    def free(self) -> None:
        if self._mounted:
            seen_by(self.process, self._disk / "ballast").unlink()
        else:
            self.process.file_sizes(None)


@pytest.fixture(params=["disk", "quota"])
def full(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[_Full]:
    one = _Full(tmp_path, request.param)
    try:
        yield one
    finally:
        one.site.close()


def _refused(site: TroubleSite, name: str) -> None:
    """Report new alerts until the record takes none: what is left of its journal is used up first."""
    for number in range(2000):
        if site.post(alert(mark=f"{name}{number}", severity="info")) == 503:
            return
    raise AssertionError("the disk never became full")


def test_a_page_goes_out_while_the_disk_is_full_and_is_recorded_once_it_is_not(full: _Full) -> None:
    """503, told by each channel from memory, once; when there is room again it is an incident, and its end is told."""
    site = full.site
    full.fill()
    _refused(site, "x")
    for _ in range(3):
        assert site.post(alert()) == 503
    expect(site, lambda: site.numbers("firing") == _ONCE, 15)
    assert "from memory" in site.got("pagerduty", "firing")[0]["text"]
    assert full.process.metric('zads_notifications_total{channel="pagerduty",outcome="emergency"}') == 1
    full.free()
    _until_accepted(site, alert())
    site.post(alert("resolved"))
    expect(site, lambda: site.everywhere("resolved"))
    assert site.numbers("firing") == _ONCE


def test_what_was_accepted_before_the_disk_was_full_is_delivered_while_it_is(full: _Full) -> None:
    """Slack and mail were away when it was accepted; nobody has to free the disk first, and nobody is told twice."""
    site = full.site
    site.stop_mail()
    site.stop_port(site.http)
    assert site.post(alert()) == 200
    expect(site, lambda: full.process.log().count("not sent, try") >= 3, 15)
    full.fill()
    _refused(site, "x")
    site.start_providers()
    expect(site, lambda: site.everywhere("firing"), 60)
    full.free()
    _until_accepted(site, alert(mark="b"))
    expect(site, lambda: site.everywhere("firing", 2), 60)
    assert [site.twice(name) for name in ("pagerduty", "slack", "webhook", "email")] == [{}, {}, {}, {}]
    assert site.numbers("firing") == {"pagerduty": 2, "slack": 2, "webhook": 2, "email": 4}


def test_a_record_that_stays_locked_stops_no_page(site: TroubleSite) -> None:
    """Another process holds it for good: 503, after ten seconds the page goes out from memory; then all is as before."""
    process = site.run()
    assert site.post(alert(mark="before")) == 200
    expect(site, lambda: site.everywhere("firing"))
    other = sqlite3.connect(site.record, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    assert site.post(alert()) == 503
    expect(site, lambda: site.post(alert()) == 503 and len(site.got("pagerduty", "firing")) == 2, 40)
    assert time.monotonic() - begun > 9
    other.execute("ROLLBACK")
    other.close()
    _until_accepted(site, alert())
    expect(site, lambda: len(site.got("email", "firing")) == 4)
    assert len(site.got("pagerduty", "firing")) == 2
    assert "locked" in process.log()


def _damage(file: Path, where: str) -> None:
    """Overwrite a part of a file with what it never held."""
    if where == "journal":
        file = Path(f"{file}-wal")
    size = file.stat().st_size
    begin, length = {"header": (0, 100), "middle": (_PAGE, size - _PAGE), "journal": (32, size - 32)}[where]
    with file.open("r+b") as out:
        out.seek(begin)
        out.write(os.urandom(length))


def _in_one_file(site: TroubleSite) -> None:
    """Write the journal into the file, as happens by and by."""
    db = sqlite3.connect(site.record)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


@pytest.mark.parametrize("where", ["header", "middle"])
@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
def test_a_damaged_record_is_moved_aside_and_begun_anew_aloud(site: TroubleSite, where: str, running: bool) -> None:
    """While it runs or after kill -9: the next page is told by all, the log, a metric and a ticket say what happened."""
    process = site.run()
    assert site.post(*[alert(mark=f"old{number}", severity="info") for number in range(50)]) == 200
    assert site.post(alert(mark="open")) == 200
    expect(site, lambda: site.everywhere("firing"))
    _in_one_file(site)
    if not running:
        process.kill()
    _damage(site.record, where)
    if not running:
        process = site.run()
    _until_accepted(site, alert(mark="new"), seconds=60)
    expect(site, lambda: "f-new" in site.incidents_of("pagerduty") and len(site.got("slack", "firing")) >= 2, 30)
    asides = list(site.folder.glob("notifier.damaged-*"))
    assert [one for one in asides if not one.name.endswith(("-wal", "-shm"))], process.log()
    assert "CRITICAL" in process.log() or "damaged" in process.log()
    assert "was moved to" in process.log()
    assert process.metric("zads_record_renewed_timestamp_seconds") is not None
    expect(
        site, lambda: "RecordRenewed" in [m["raw"]["incident"]["labels"]["alertname"] for m in site.got("webhook", "firing")]
    )
    expect(site, lambda: "damaged or gone" in " ".join(m["text"] for m in site.got("slack", "firing")))
    assert process.metric('zads_incidents{state="firing"}') is not None
    assert "Traceback" not in process.log()


def _told(site: TroubleSite, number: int) -> bool:
    """Tell whether PagerDuty and both mailboxes have the new page of this number."""
    return f"f-new{number}" in site.incidents_of("pagerduty") and site.incidents_of("email")[f"f-new{number}"] >= 2


@pytest.mark.parametrize("running", [True, False], ids=["running", "restarted"])
def test_a_damaged_journal_stops_no_page(site: TroubleSite, running: bool) -> None:
    """What its checksums show to be damaged SQLite takes for its end; a running notifier may still have all in memory.

    Either way the next page is told by all, before and after another kill -9, and nothing is told twice by its name.
    """
    process = site.run()
    assert site.post(alert(mark="open")) == 200
    expect(site, lambda: site.everywhere("firing"))
    if not running:
        process.kill()
    _damage(site.record, "journal")
    for number in range(2):
        if number or not running:
            process.kill()
            process = site.run()
        _until_accepted(site, alert(mark=f"new{number}"), seconds=60)
        expect(site, partial(_told, site, number), 30)
    assert site.twice("pagerduty") == {}
    assert "Traceback" not in process.log()


def test_what_can_still_be_read_of_a_damaged_record_goes_on(site: TroubleSite) -> None:
    """Only the history's text is damaged: the page that waits for Slack is sent, and the open incident's end is told."""
    site.stop_port(site.http)
    process = site.run()
    assert site.post(alert()) == 200
    expect(site, lambda: len(site.got("email", "firing")) == 2)
    process.kill()
    db = sqlite3.connect(site.record)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name='incident_text_data'").fetchone()
    db.close()
    with site.record.open("r+b") as out:
        out.seek((root - 1) * _PAGE)
        out.write(os.urandom(_PAGE))
    process = site.run()
    _until_accepted(site, alert(mark="new"), seconds=60)
    site.start_http()
    expect(site, lambda: {"f-a", "f-new"} <= set(site.incidents_of("pagerduty")), 90)
    _until_accepted(site, alert("resolved"))
    expect(site, lambda: site.got("pagerduty", "resolved"), 30)
    assert site.twice("pagerduty") == {}
    assert "incidents that were under way" in process.log()


def test_a_record_that_somebody_took_away_is_begun_anew_with_what_was_open(site: TroubleSite) -> None:
    """Moved by hand while the notifier runs: what comes next survives kill -9, the open incident's end is told."""
    process = site.run()
    assert site.post(alert()) == 200
    expect(site, lambda: site.everywhere("firing"))
    site.record.rename(site.folder / "taken.sqlite3")
    _until_accepted(site, alert(mark="b"))
    process.kill()
    process = site.run()
    _until_accepted(site, alert("resolved"), alert("resolved", mark="b"))
    expect(site, lambda: site.everywhere("resolved", 2))
    assert site.numbers("firing")["pagerduty"] == 2


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_record_stops_no_page_and_is_used_once_it_can_be_written(tmp_path: Path, what: str) -> None:
    """The notifier starts, answers 503 and pages from memory; made writable again, it records without a restart."""
    folder = tmp_path / "record"
    folder.mkdir()
    site = TroubleSite(tmp_path, record=folder / "n.sqlite3")
    try:
        site.start_providers()
        first = site.run()
        assert site.post(alert(mark="before")) == 200
        expect(site, lambda: site.everywhere("firing"))
        assert first.terminate() == 0
        path = site.record if what == "file" else folder
        process, release = _run_read_only(site, path)
        assert site.post(alert()) == 503
        expect(site, lambda: len(site.got("pagerduty", "firing")) == 2 and len(site.got("email", "firing")) == 4, 20)
        assert "cannot be" in process.log()
        release()
        _until_accepted(site, alert())
        assert len(site.got("pagerduty", "firing")) == 2
        site.post(alert("resolved"), alert("resolved", mark="before"))
        expect(site, lambda: len(site.got("pagerduty", "resolved")) == 2, 20)
    finally:
        site.close()


def _run_read_only(site: TroubleSite, path: Path) -> tuple[Process, Callable[[], None]]:
    """Start a notifier that cannot write to a path; return what lifts that: by mounts, or by rights where those suffice."""
    if may_mount():
        process = site.run(prefix=read_only(path))
        return process, lambda: in_namespace(process, "mount", "-o", "remount,bind,rw", str(path))
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222)
    return site.run(), lambda: path.chmod(mode)
