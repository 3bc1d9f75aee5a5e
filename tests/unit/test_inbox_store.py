"""The inbox keeps what it was given: over a restart, half a line, a disk that takes nothing."""

from __future__ import annotations

import json
import logging
import resource
from pathlib import Path

import pytest

from zads.stack.inbox_store import Inbox


def _titles(inbox: Inbox) -> list[str]:
    return [message["title"] for message in inbox.all()]


def test_messages_survive_a_restart_in_order(tmp_path: Path) -> None:
    """Oldest first, in the interface's shape."""
    inbox = Inbox(tmp_path / "new" / "i", clock=lambda: 1_775_000_000.25)
    for number in range(3):
        inbox.add("email", "firing", f"t{number}", "text", {"raw": number})
    again = Inbox(tmp_path / "new" / "i")
    assert again.all() == inbox.all()
    expected = {"channel": "email", "at": "2026-03-31T23:33:20.250Z", "state": "firing", "title": "t0", "text": "text"}
    assert again.all()[0] == {**expected, "raw": {"raw": 0}}


def test_half_a_line_is_skipped_counted_and_not_glued_to_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As kill -9 or a full disk leave it; the next message stands on a line of its own."""
    file = tmp_path / "i"
    Inbox(file).add("email", "firing", "whole", "", "")
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        inbox = Inbox(file)
    assert (inbox.skipped, _titles(inbox)) == (1, ["whole"])
    assert "1 damaged" in caplog.text
    inbox.add("slack", "resolved", "after", "", "")
    again = Inbox(file)
    assert (again.skipped, _titles(again)) == (1, ["whole", "after"])


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"null",
        b"{}",
        b'{"channel": "email", "at": "", "state": "odd", "title": "", "text": "", "raw": 1}',
        b'{"channel": "email", "at": "", "state": "firing", "title": 5, "text": "", "raw": 1}',
        b'{"channel": "email", "at": "", "state": "firing", "title": "", "text": "", "raw": NaN}',
    ],
)
def test_what_is_no_message_is_skipped(tmp_path: Path, line: bytes) -> None:
    """In the middle of the file too, and nothing of it breaks a reader."""
    file = tmp_path / "i"
    Inbox(file).add("email", "firing", "first", "", "")
    file.write_bytes(line + b"\n" + file.read_bytes())
    inbox = Inbox(file)
    assert (inbox.skipped, _titles(inbox)) == (1, ["first"])


def test_a_full_disk_costs_no_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """/dev/full says ENOSPC to every write: kept in memory, counted, said in the log; no error for who sent it."""
    inbox = Inbox(tmp_path / "i")
    (tmp_path / "i").symlink_to("/dev/full")
    with caplog.at_level(logging.ERROR):
        inbox.add("email", "firing", "one", "", "")
        inbox.add("email", "firing", "two", "", "")
    assert (_titles(inbox), inbox.unsaved) == (["one", "two"], 2)
    assert "2 messages are only in memory" in caplog.text


def test_what_fits_only_in_part_is_taken_back(tmp_path: Path) -> None:
    """A file-size limit lets half of the line through; nothing of it stays in the file."""
    file = tmp_path / "i"
    inbox = Inbox(file)
    inbox.add("email", "firing", "one", "", "")
    whole = file.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 20, hard))
    try:
        inbox.add("email", "firing", "two", "", "")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (file.read_bytes(), inbox.unsaved) == (whole, 1)
    inbox.add("email", "firing", "three", "", "")
    assert _titles(Inbox(file)) == ["one", "two", "three"]


def test_what_waited_for_the_disk_is_written_when_it_can_be(tmp_path: Path) -> None:
    """In order, once, together with the next message."""
    file = tmp_path / "folder" / "i"
    inbox = Inbox(file)
    inbox.add("email", "firing", "one", "", "")
    file.rename(tmp_path / "kept")
    file.mkdir()  # a folder in the file's place can not be appended to, not even by root
    inbox.add("email", "firing", "two", "", "")
    assert inbox.unsaved == 1
    file.rmdir()
    (tmp_path / "kept").rename(file)
    inbox.add("email", "firing", "three", "", "")
    assert inbox.unsaved == 0
    assert _titles(Inbox(file)) == ["one", "two", "three"]


def test_a_record_that_can_not_be_read_does_not_stop_the_inbox(tmp_path: Path) -> None:
    """It starts empty and says so in the log."""
    (tmp_path / "i").mkdir()
    assert Inbox(tmp_path / "i").all() == []


def test_half_a_character_can_be_kept_and_shown(tmp_path: Path) -> None:
    """A lone surrogate is legal in a Python string and breaks every writer; a real character stays."""
    inbox = Inbox(tmp_path / "i")
    inbox.add("slack", "firing", "half \ud83d, whole \U0001f600", "t", {"k\udc00": ["\ud83d"]})
    message = inbox.all()[0]
    json.dumps(message, ensure_ascii=False).encode("utf-8")
    assert message["title"] == "half \ufffd, whole \U0001f600"
