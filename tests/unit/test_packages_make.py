"""The Makefile, scripts/venv, scripts/tests, scripts/down and .ci/run as they are, on machines of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.unit.test_packages import APT_GET, Machine

_OTHERS = "-n 3 --dist loadfile --durations=25 -o cache_dir=.pytest_cache/others"
_STACK = "-o cache_dir=.pytest_cache/stack"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One on which all programs are there, so that only the Python packages are missing."""
    machine = Machine(tmp_path)
    machine.install("default-jre-headless", "maven", "chromium")
    for name in ("prometheus", "promtool", "alertmanager", "amtool", "node_exporter"):
        machine.put(name, "")
    return machine


def pips(machine: Machine) -> int:
    """Count how often the Python packages were installed: the fake leaves no other trace."""
    return (machine.fake / "pips").read_text().count("\n") if (machine.fake / "pips").exists() else 0


@pytest.fixture(autouse=True)
def counted(machine: Machine) -> None:
    python = machine.fake / "venv-python"
    python.write_text(python.read_text().replace("'-m pip install '*)", '\'-m pip install \'*)\necho "$*" >>"$FAKE/pips"'))


def test_make_up_sets_up_once_and_starts_the_stack(machine: Machine) -> None:
    """In a path with a space; the developers' tools come only with what needs them, and up does not undo that."""
    code, text = machine.run("make", "up")
    assert code == 0, text
    assert "Installing the Python packages into .venv (about 15 MB to fetch)" in text
    assert machine.calls == ["zads stack up"]
    assert machine.run("make", "up") == (0, "")
    assert pips(machine) == 1
    code, text = machine.run("make", "check")
    assert code == 0 and "about 130 MB" in text and pips(machine) == 2
    assert machine.calls[2:] == ["ruff check .", "mypy ", "lint-imports "]
    assert machine.run("make", "up") == (0, "")
    assert "-c requirements.lock -e .[dev]" in (machine.fake / "pips").read_text()


def test_make_alone_starts_nothing(machine: Machine) -> None:
    code, _ = machine.run("make")
    assert code == 0 and machine.calls == []


def test_a_failed_start_fails_make(machine: Machine) -> None:
    (machine.fake / "up").write_text("1")
    assert machine.run("make", "up")[0] != 0


def test_programs_in_the_cache_are_on_path_for_all_targets(machine: Machine) -> None:
    """After those of the system."""
    (machine.fake / "tool").write_text('#!/bin/bash\necho "PATH is $PATH"\n')
    _, text = machine.run("make", "up")
    assert f"PATH is {machine.bin}:{machine.cache}/bin" in text
    env = {key: value for key, value in machine.env.items() if key != "ZADS_CACHE_DIR"}
    done = subprocess.run(["make", "up"], cwd=machine.checkout, env=env, capture_output=True, text=True, check=True)
    assert f"PATH is {machine.bin}:{machine.home}/.cache/zads/bin" in done.stdout


def test_changed_requirements_are_installed(machine: Machine) -> None:
    machine.run("scripts/venv", "up")
    with (machine.checkout / "requirements.lock").open("a") as file:
        file.write("# another\n")
    machine.run("scripts/venv", "up")
    assert pips(machine) == 2


@pytest.mark.parametrize("harm", ["no pip", "moved", "no packages"])
def test_an_environment_that_is_not_whole_is_made_anew(machine: Machine, harm: str) -> None:
    """bin/python there but no pip; a checkout that was copied or moved; a stamp without the packages."""
    machine.run("scripts/venv", "up")
    if harm == "moved":
        moved = machine.checkout.with_name("moved here")
        machine.checkout.rename(moved)
        machine.checkout = moved
    else:
        (machine.checkout / ".venv" / "pip").unlink()
        if harm == "no pip":
            (machine.checkout / ".venv" / ".installed").unlink()
    code, text = machine.run("make", "up")
    assert code == 0 and "it is made anew" in text
    assert pips(machine) == 2
    assert machine.run("make", "up") == (0, "")


def test_no_venv_is_seen_before_it_is_made(machine: Machine) -> None:
    """And listed with the rest; when it cannot be had, the message says so."""
    machine.set("no-venv")
    code, text = machine.run("make", "install")
    assert code == 0 and "python3-venv               the environment of the Python packages" in text
    machine.set("no-venv", "offline")
    shutil.rmtree(machine.checkout / ".venv")
    code, text = machine.run("make", "install")
    assert code != 0 and "python3-venv could not be fetched" in text
    code, text = machine.run("scripts/venv", "install")
    assert code == 1 and "could not make the environment" in text and "ensurepip is not available" in text


@pytest.mark.parametrize(
    ("flag", "what"), [("offline", "pip does not reach the package index"), ("full", "The disk is full")]
)
def test_pip_that_fails_is_told_in_plain_words(machine: Machine, flag: str, what: str) -> None:
    """And nothing counts as installed."""
    machine.set(flag)
    code, text = machine.run("make", "up")
    assert code != 0 and what in text and "ERROR: Could not" in text and "run it again" in text
    assert machine.calls == []
    machine.unset(flag)
    assert machine.run("make", "up")[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_pip_works(machine: Machine, number: signal.Signals) -> None:
    """No traceback, no pip behind, and the next run installs."""
    machine.set("slow")
    code, text = machine.interrupt(number, "make", "up")
    assert code != 0 and "Interrupted." in text
    machine.unset("slow")
    code, text = machine.run("make", "up")
    assert code == 0 and "Installing the Python packages" in text


def test_two_at_once_install_once(machine: Machine) -> None:
    python = machine.fake / "venv-python"
    python.write_text(python.read_text().replace('>>"$FAKE/pips"', '>>"$FAKE/pips"; sleep 1'))
    first = machine.start("scripts/venv", "up")
    while not pips(machine):
        assert first.poll() is None
    code, text = machine.run("scripts/venv", "up")
    assert code == 0 and "waiting for it" in text
    assert machine.ended(first)[0] == 0
    assert pips(machine) == 1


def test_make_down_with_nothing_installed_or_running(machine: Machine) -> None:
    """It says so and exits 0; when something is installed, zads decides."""
    assert machine.run("make", "down") == (0, "Nothing runs here: nothing is installed.\n")
    machine.run("make", "install")
    assert machine.run("make", "down") == (0, "")
    assert machine.calls == ["zads stack down"]


def test_make_down_without_the_environment_tells_of_a_stack_that_runs(machine: Machine) -> None:
    """Saying that nothing runs would be wrong."""
    supervisor = subprocess.Popen(["sleep", "60"], executable="/bin/sleep")
    try:
        stack = machine.checkout / ".stack"
        stack.mkdir()
        (stack / "supervisor.lock").write_text(str(supervisor.pid))
        assert machine.run("make", "down")[0] == 0, "another program has that process id now"
        renamed = subprocess.Popen(["zads stack supervise", "60"], executable="/bin/sleep")
        try:
            (stack / "supervisor.lock").write_text(str(renamed.pid))
            code, text = machine.run("make", "down")
            assert code != 0 and f"process {renamed.pid}" in text and "make install" in text
        finally:
            renamed.kill()
            renamed.wait()
    finally:
        supervisor.kill()
        supervisor.wait()


def test_make_test_runs_all(machine: Machine) -> None:
    code, text = machine.run("make", "test", yes=True)
    assert code == 0, text
    assert machine.calls[:3] == ["ruff check .", "mypy ", "lint-imports "]
    # Two runs at once, which together are all tests.
    assert sorted(machine.calls[3:]) == [f"pytest {_OTHERS} --ignore=tests/acceptance", f"pytest {_STACK} tests/acceptance"]
    assert "Left out" not in text


def test_without_a_browser_its_tests_are_left_out_aloud(machine: Machine) -> None:
    """On Ubuntu, whose apt has no Chromium."""
    (machine.bin / "chromium").unlink()
    machine.set("unknown-chromium")
    code, text = machine.run("make", "test", yes=True)
    assert code == 0, text
    assert "Left out: the tests marked 'browser'. There is no chromium" in text
    assert sorted(machine.calls[-2:]) == [
        f"pytest {_OTHERS} -m not browser --ignore=tests/acceptance",
        f"pytest {_STACK} -m not browser tests/acceptance",
    ]


def test_ci_installs_make_where_it_is_missing(machine: Machine) -> None:
    """And runs the README's command, without asking; containers are not run by one who is not root, and that is said."""
    (machine.bin / "make").rename(machine.fake / "make")
    machine.put("apt-get", APT_GET + 'case " $* " in *" install "*" make "*) cp -P "$FAKE/make" "$BIN/" ;; esac')
    code, text = machine.ended(machine.start("bash", ".ci/run"))
    assert code == 0, text
    assert "Installing make ..." in text
    assert "docker-compose.yml is not run here: Podman needs root" in text
    assert f"pytest {_STACK} tests/acceptance" in machine.calls
    assert os.access(machine.bin / "make", os.X_OK)
