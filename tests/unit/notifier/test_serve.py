"""The shared server: requests under way end, the code after it runs, a second signal is impatient."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from tests.unit.notifier.site import free_port, listens, wait

_PROGRAM = """
import asyncio, sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from zads.serve import serve

async def slow(request):
    await asyncio.sleep(float(request.query_params["seconds"]))
    return PlainTextResponse("done")

listened = serve(Starlette(routes=[Route("/", slow)]), sys.argv[1], grace=3)
print("after the server", listened, flush=True)
sys.exit(0 if listened else 1)
"""


class _Started:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        (folder / "program.py").write_text(_PROGRAM)
        argv = [sys.executable, str(folder / "program.py"), f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait(lambda: listens(self.port))
        self.answers: list[str] = []

    def ask(self, seconds: float) -> threading.Thread:
        def go() -> None:
            try:
                url = f"http://127.0.0.1:{self.port}/?seconds={seconds}"
                self.answers.append(urllib.request.urlopen(url, timeout=20).read().decode())
            except OSError as error:
                self.answers.append(type(error).__name__)

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        time.sleep(0.3)
        return thread

    def end(self) -> tuple[int, str]:
        out, _ = self.process.communicate(timeout=20)
        return self.process.returncode, out


@pytest.fixture
def started(tmp_path: Path) -> _Started:
    return _Started(tmp_path)


def test_a_request_under_way_is_answered_and_the_end_is_0(started: _Started) -> None:
    """SIGTERM in the middle of it."""
    thread = started.ask(1.0)
    started.process.send_signal(signal.SIGTERM)
    assert started.end() == (0, "after the server True\n")
    thread.join(5)
    assert started.answers == ["done"]


def test_a_request_that_takes_too_long_does_not_keep_the_process(started: _Started) -> None:
    """Three seconds of grace, then it ends all the same, with 0."""
    started.ask(60.0)
    begin = time.monotonic()
    started.process.send_signal(signal.SIGTERM)
    assert started.end() == (0, "after the server True\n")
    assert time.monotonic() - begin < 8


def test_a_second_signal_does_not_wait_and_what_follows_still_runs(started: _Started) -> None:
    """An impatient operator: the last commit is made all the same."""
    started.ask(60.0)
    begin = time.monotonic()
    for _ in range(3):
        started.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
    assert started.end() == (0, "after the server True\n")
    assert time.monotonic() - begin < 3


def test_an_address_that_is_taken_is_no_success(started: _Started, tmp_path: Path) -> None:
    """It says why and tells its caller."""
    argv = [sys.executable, str(tmp_path / "program.py"), f"127.0.0.1:{started.port}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, "after the server False\n")
    assert "address already in use" in done.stderr
    started.process.terminate()
    started.end()
