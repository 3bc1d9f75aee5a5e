"""The file that survives a restart: whole or not there, and never thrown away when it is no good."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from zads.state import StateFile


def _number(content: Any) -> int:
    if not isinstance(content["number"], int):
        raise TypeError("no number")
    return int(content["number"])


def test_what_was_saved_is_loaded_and_nothing_else_lies_about(tmp_path: Path) -> None:
    """The folder is made; the same content is not written again."""
    file = tmp_path / "state" / "one.json"
    state = StateFile(file)
    assert state.load(_number) is None
    assert state.save({"number": 1})
    assert state.save({"number": 2})
    assert StateFile(file).load(_number) == 2
    written = file.stat().st_ino
    assert state.save({"number": 2})
    assert file.stat().st_ino == written
    assert [found.name for found in file.parent.iterdir()] == ["one.json"]
    assert state.errors() == {}


@pytest.mark.parametrize(
    "content",
    [b"", b'{"number": 1', b"[1]", b"null", b'{"number": "1"}', b"\xff\xfe", b"[" * 100_000, b'{"other": 1}'],
    ids=["empty", "cut off", "a list", "null", "another type", "no text", "too deep", "a key is missing"],
)
def test_a_file_that_is_no_good_is_kept_aside_said_and_counted(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with both names; what is saved next does not touch it."""
    file = tmp_path / "one.json"
    file.write_bytes(content)
    state = StateFile(file, "totals of nobody")
    assert state.load(_number) is None
    assert state.errors() == {"StateDamaged": 1}
    assert state.errors() == {}
    (aside,) = tmp_path.glob("one.json.damaged-*")
    assert aside.read_bytes() == content
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert str(file) in record.getMessage()
    assert aside.name in record.getMessage()
    assert "totals of nobody begin anew" in record.getMessage()
    assert state.save({"number": 3})
    assert aside.read_bytes() == content
    assert StateFile(file).load(_number) == 3


def test_a_file_that_cannot_be_read_is_not_overwritten(tmp_path: Path) -> None:
    """Something else under its name, here a folder, is moved away as it is."""
    file = tmp_path / "one.json"
    (file / "inside").mkdir(parents=True)
    state = StateFile(file)
    assert state.load(_number) is None
    assert state.errors() == {"StateDamaged": 1}
    assert state.save({"number": 1})
    (aside,) = tmp_path.glob("one.json.damaged-*")
    assert (aside / "inside").is_dir()


def test_a_folder_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is counted; when it can be written again, the newest content is there."""
    caplog.set_level(logging.INFO)
    folder = tmp_path / "state"
    folder.write_text("in the way", encoding="utf-8")
    state = StateFile(folder / "one.json")
    assert state.load(_number) is None
    before = state.errors().get("StateDamaged", 0)
    assert before in {0, 1}
    caplog.clear()
    for number in range(3):
        assert not state.save({"number": number})
    assert state.errors() == {"StateNotSaved": 3}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    folder.unlink()
    assert state.save({"number": 2})
    assert json.loads((folder / "one.json").read_text(encoding="utf-8")) == {"number": 2}
    assert "again" in caplog.records[-1].getMessage()
