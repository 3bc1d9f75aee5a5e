"""Starting and ending as users do: twice, interrupted, in a folder with a space; never an orphaned process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import ZADS, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def _mine(folder: Path) -> list[psutil.Process]:
    """Return the processes that carry the folder's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ZADS_STACK") == str(folder / ".stack"):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def other(root: Path, tmp_path: Path) -> Path:
    """A second checkout's folder with a space in its name and ports of its own."""
    folder = tmp_path / "my zads"
    folder.mkdir()
    text = (root / "zads.toml").read_text(encoding="utf-8")
    for old, new in (("127.0.0.1:2", "127.0.0.1:1"), ("_port = 29", "_port = 19")):
        text = text.replace(old, new)
    (folder / "zads.toml").write_text(text, encoding="utf-8")
    (folder / "alertrules").symlink_to(root / "alertrules")
    return folder


def test_a_second_up_shows_the_stack_and_changes_nothing(stack: Stack, calm: int) -> None:
    """It returns at once, and neither it nor a component that is held ends anything."""
    before = {name: row["pid"] for name, row in stack.status().items()}
    assert "already runs" in stack.zads("stack", "up")
    stack.zads("sim", "kill", "wall")
    said = stack.zads("stack", "up", check=False)
    assert "wall is killed" in said and "zads sim heal" in said
    stack.zads("sim", "heal")
    stack.wait(60, "the wall is back", lambda: stack.status()["wall"]["state"] == "running")
    after = {name: row["pid"] for name, row in stack.status().items()}
    assert before.pop("wall") != after.pop("wall")
    assert before == after


@pytest.mark.parametrize("seconds", [1.5, 7.0])
def test_an_interrupted_up_leaves_nothing(other: Path, seconds: float) -> None:
    """Ctrl-C while files are written, and while components start."""
    environment = {key: value for key, value in os.environ.items() if key != "ZADS_STACK"}
    process = subprocess.Popen(
        [*ZADS, "stack", "up"], cwd=other, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        left = _mine(other)
        for one in left:  # whatever fails here, no second stack stays beside the tests'
            one.kill()
    assert process.returncode == 130, output
    assert "Traceback" not in output, output
    assert left == []
