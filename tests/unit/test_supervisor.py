"""The supervisor with real processes: what dies is started again, what is held stays held, nothing is ever orphaned."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from zads.stack import control, lock
from zads.stack.paths import Paths
from zads.stack.supervisor import holder

# Two components: one that sleeps, one that does not end when asked. A third's program does not exist.
_SCRIPT = """
import sys
from pathlib import Path
from zads.stack import supervisor
from zads.stack.components import Component
from zads.stack.paths import Paths
supervisor._STOP_WITHIN = 1.0
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
stubborn = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
parts = [Component("calm", sleep), Component("stubborn", stubborn, after=("calm",)), Component("gone", ["/nonexistent/program"])]
paths = Paths(Path(sys.argv[1]))
sys.exit(supervisor.Supervisor(parts, paths).run())
"""


class Stack:
    """A supervisor in a process of its own."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root)
        self.paths.make()
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", _SCRIPT, str(self.paths.root)], stderr=subprocess.DEVNULL)

    def row(self, name: str) -> dict[str, Any]:
        try:
            rows = json.loads(self.paths.status.read_text(encoding="utf-8"))["services"]
        except (OSError, ValueError):
            return {"state": "", "pid": None, "restarts": 0}
        return next(row for row in rows if row["name"] == name)

    def until(self, found: Callable[[], Any], seconds: float = 15.0) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := found():
                return result
            time.sleep(0.05)
        pytest.fail(f"not within {seconds} s; status: {[self.row(n) for n in ('calm', 'stubborn', 'gone')]}")

    def runs(self, name: str) -> int:
        return self.until(lambda: self.row(name)["state"] == "running" and self.row(name)["pid"])

    def hold(self, **states: str) -> None:
        control.change(self.paths.control, lambda c: c["services"].update(states))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "a b")
    yield stack
    stack.process.kill()
    stack.process.wait()


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_what_dies_is_started_again(stack: Stack) -> None:
    """A killed component has a new process and one restart; its log says how it ended."""
    first = stack.runs("calm")
    os.kill(first, signal.SIGKILL)
    stack.until(lambda: stack.row("calm")["restarts"] == 1)
    assert stack.runs("calm") != first
    assert "ended with signal 9" in (stack.paths.logs / "calm.log").read_text(encoding="utf-8")


def test_a_program_that_is_gone_is_that_components_trouble_alone(stack: Stack) -> None:
    """It is called failed and tried again; the others run."""
    stack.until(lambda: stack.row("gone")["state"] == "failed")
    stack.runs("calm")
    stack.runs("stubborn")
    assert stack.process.poll() is None


def test_held_components_stay_held_until_healed(stack: Stack) -> None:
    """Killed for good, frozen, and stopped in an orderly way; then all undone."""
    calm, stubborn = stack.runs("calm"), stack.runs("stubborn")
    stack.hold(calm="paused", stubborn="stopped")
    stack.until(lambda: psutil.Process(calm).status() == psutil.STATUS_STOPPED)
    stack.until(lambda: _gone(stubborn))  # it ignores SIGTERM: killed after a while
    time.sleep(1.5)
    assert stack.row("stubborn")["state"] == "stopped"
    assert stack.row("stubborn")["pid"] is None
    stack.hold(calm="killed")
    stack.until(lambda: _gone(calm))
    time.sleep(1.5)
    assert stack.row("calm")["state"] == "killed"
    control.change(stack.paths.control, lambda c: c["services"].clear())
    assert stack.runs("calm") != calm
    assert stack.runs("stubborn") != stubborn


def test_a_status_that_cannot_be_written_ends_nothing(stack: Stack) -> None:
    """As on a full disk: the components run on, and the status comes back with the room."""
    calm = stack.runs("calm")
    in_the_way = stack.paths.status.with_suffix(".new")
    in_the_way.mkdir()
    os.kill(calm, signal.SIGKILL)
    time.sleep(2.5)
    assert stack.process.poll() is None
    in_the_way.rmdir()
    stack.until(lambda: stack.row("calm")["restarts"] == 1)
    assert stack.runs("calm") != calm


def test_a_broken_control_file_asks_for_nothing(stack: Stack) -> None:
    """A list where an object should be, and half a file."""
    calm = stack.runs("calm")
    for text in ("[1, 2]", '{"services": 5}', '{"serv'):
        stack.paths.control.write_text(text, encoding="utf-8")
        time.sleep(0.7)
    assert stack.row("calm") | {"since": ""} == {
        "name": "calm", "state": "running", "pid": calm, "url": "", "since": "", "restarts": 0,
    }  # fmt: skip


def test_sigterm_ends_all_and_leaves_no_status(stack: Stack) -> None:
    """Exit code 0; nothing lives."""
    pids = [stack.runs("calm"), stack.runs("stubborn")]
    stack.process.terminate()
    assert stack.process.wait(25) == 0
    assert all(_gone(pid) for pid in pids)
    assert not stack.paths.status.exists()
    assert holder(stack.paths) is None


def test_a_killed_supervisor_takes_its_components_along(stack: Stack) -> None:
    """kill -9: the kernel ends what it had started."""
    pids = [stack.runs("calm"), stack.runs("stubborn")]
    stack.process.kill()
    stack.process.wait()
    stack.until(lambda: all(_gone(pid) for pid in pids))


def test_one_supervisor_a_folder_however_often_somebody_asks(stack: Stack) -> None:
    """A second one says no; asking for the holder never takes the lock away from one that starts."""
    stack.runs("calm")
    assert holder(stack.paths) == stack.process.pid
    second = stack.start()
    assert second.wait(15) == 1
    free = stack.paths.root / "free.lock"
    assert lock.holder(free) is None
    asking = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from zads.stack import lock\nwhile True: lock.holder(Path(sys.argv[1]))",
            str(free),
        ]
    )
    try:
        time.sleep(0.5)
        for _ in range(500):
            mine = lock.take(free)
            assert mine is not None
            mine.close()
    finally:
        asking.kill()
        asking.wait()
