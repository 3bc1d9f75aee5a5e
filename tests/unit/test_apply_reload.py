"""The registry of our own programs: real processes that register, reload on SIGHUP, refuse, hang or end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zads import reload
from zads.config import Config

GOOD = '[kafka.public]\nbootstrap = ["127.0.0.1:1"]\n'
_PROGRAM = """
    import sys, time
    from pathlib import Path
    from zads import reload
    from zads.config import parse

    state, name, config = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    site = parse(config.read_text()).site.name

    def take(config):
        if config.site.name == "refuse":
            raise ValueError("not this one")
        if config.site.name == "hang":
            time.sleep(60)
        if config.site.name == "end":
            import os
            os._exit(3)
        if config.site.name.startswith("again") or site.startswith("again"):
            reload.again(config)

    with reload.Listener(state, name, config, take):
        print("ready", site, flush=True)
        sys.stdin.read()
    print("over", flush=True)
"""


class Site:
    """A folder with a zads.toml and programs that read it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.state, self.toml = folder / "state", folder / "zads.toml"
        self.toml.write_text(GOOD)
        self._program = folder / "program.py"
        self._program.write_text(textwrap.dedent(_PROGRAM))
        self.running: list[subprocess.Popen[str]] = []

    def start(self, name: str) -> subprocess.Popen[str]:
        argv = [sys.executable, str(self._program), str(self.state), name, str(self.toml)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        assert process.stdout is not None and process.stdout.readline().startswith("ready")
        return process

    def name(self, name: str) -> None:
        self.toml.write_text(f'{GOOD}[site]\nname = "{name}"\n')


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    for process in site.running:
        process.kill()
        process.communicate()


def test_each_program_reads_the_file_again(site: Site) -> None:
    for name in ("kafka-lag", "wall"):
        site.start(name)
    before = reload.living(site.state)
    assert [entry.name for entry in before] == ["kafka-lag", "wall"]
    assert {entry.config for entry in before} == {str(site.toml)}
    site.name("new")
    assert reload.hang_up(site.state) == []
    assert {entry.digest for entry in reload.living(site.state)} == {reload.digest(site.toml.read_text())}
    assert {entry.digest for entry in before} == {reload.digest(GOOD)}


def test_a_program_may_start_anew_in_its_process(site: Site) -> None:
    """With the same number and start; a signal that comes meanwhile ends nobody; so may it several times."""
    process = site.start("wall")
    for name in ("again 1", "again 2"):
        site.name(name)
        threading.Timer(0.1, process.send_signal, (signal.SIGHUP,)).start()
        assert reload.hang_up(site.state) == []
        (entry,) = reload.living(site.state)
        assert entry.pid == process.pid and entry.digest == reload.digest(site.toml.read_text())
    assert process.poll() is None
    out, _ = process.communicate("")
    assert "ready again 1" in out and "ready again 2" in out


def test_a_program_that_ends_leaves_the_registry(site: Site) -> None:
    process = site.start("wall")
    out, err = process.communicate("")
    assert (process.returncode, out, err) == (0, "over\n", "")
    assert reload.living(site.state) == [] and list((site.state / "pids").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refuse", "did not take it: not this one"),
        ("hang", "did not answer SIGHUP within 1 s"),
        ("end", "ended instead of reading the new file"),
    ],
)
def test_a_program_that_refuses_hangs_or_ends_is_named(site: Site, name: str, words: str) -> None:
    """The one that takes it is not in its way."""
    process = site.start("wall")
    site.name(name)
    errors = reload.hang_up(site.state, patience=1.0)
    assert [error.path for error in errors] == ["wall"]
    assert words in errors[0].message and str(process.pid) in errors[0].message


def test_a_file_that_is_wrong_leaves_the_former_configuration(site: Site) -> None:
    process = site.start("wall")
    site.toml.write_text(GOOD + "[site]\nlatitude = 200\n")
    errors = reload.hang_up(site.state)
    assert "site.latitude" in errors[0].message
    (entry,) = reload.living(site.state)
    assert entry.digest == reload.digest(GOOD) and "site.latitude" in entry.error
    site.name("right again")
    assert reload.hang_up(site.state) == []
    assert process.poll() is None and reload.living(site.state)[0].error == ""


def test_a_number_that_was_given_again_is_not_signalled(site: Site) -> None:
    """The file of a program that was killed names a process that is now somebody else's; SIGHUP would end it."""
    other = subprocess.Popen(["sleep", "60"])
    try:
        start = reload.start_ticks(other.pid)
        assert start is not None
        entry = reload.Entry("wall", other.pid, start - 1, str(site.toml), "")
        (site.state / "pids").mkdir(parents=True)
        (site.state / "pids" / "wall.pid").write_text(json.dumps(vars(entry)))
        assert reload.living(site.state) == [] and reload.hang_up(site.state) == []
        time.sleep(0.1)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    assert reload.start_ticks(other.pid) is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "wall"}', '{"name": "wall", "pid": "x"}'])
def test_a_damaged_registry_is_nobody(site: Site, text: str) -> None:
    (site.state / "pids").mkdir(parents=True)
    (site.state / "pids" / "wall.pid").write_text(text)
    assert reload.hang_up(site.state) == []


def test_a_process_that_ended_and_was_not_waited_for_is_not_alive(site: Site) -> None:
    process = site.start("wall")
    os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while reload.living(site.state) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert reload.living(site.state) == []


def test_many_signals_at_once_are_survived(site: Site) -> None:
    process = site.start("wall")
    for _ in range(200):
        os.kill(process.pid, signal.SIGHUP)
    assert reload.hang_up(site.state) == []
    assert process.poll() is None


def test_a_program_runs_without_a_registry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A state folder that cannot be written is a warning; outside the main thread signals stay as they are."""
    (tmp_path / "zads.toml").write_text(GOOD)
    (tmp_path / "state").write_text("in the way")
    taken: list[Config] = []

    def run() -> None:
        with reload.Listener(tmp_path / "state", "wall", tmp_path / "zads.toml", taken.append) as listener:
            listener.load()

    _in_thread(run)
    assert len(taken) == 1
    assert "will not find this program" in caplog.text


def test_the_newer_program_of_one_name_keeps_its_entry(tmp_path: Path) -> None:
    """When the older one ends."""
    (tmp_path / "zads.toml").write_text(GOOD)
    file = tmp_path / "pids" / "wall.pid"

    def run() -> None:
        with reload.Listener(tmp_path, "wall", tmp_path / "zads.toml", lambda _: None):
            entry = json.loads(file.read_text())
            file.write_text(json.dumps({**entry, "pid": 1}))

    _in_thread(run)
    assert json.loads(file.read_text())["pid"] == 1


def _in_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
