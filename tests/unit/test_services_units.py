"""A systemd unit's process, found in the control groups as systemd lays them out, and in this machine's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exporters.services.processes import Finder
from zads.config import Service

ROOT = Path("/sys/fs/cgroup")


def _service(unit: str) -> Service:
    return Service(name="sleeper", host="zads", role="tcp", probe="tcp://127.0.0.1:1", unit=unit)


def _found(unit: str, groups: Path = ROOT) -> int | None:
    """Return the number of the process that is the unit's."""
    finder = Finder(list, control_groups=groups)  # no other process is looked at
    vitals = finder.find(_service(unit))
    return int(vitals.identity.split("/")[1]) if vitals else None


@pytest.fixture(scope="module")
def sleeper() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("folder", "unit"),
    [
        ("system.slice/kafka.service", "kafka.service"),  # v2
        ("systemd/system.slice/kafka.service", "kafka.service"),  # v1: systemd's own hierarchy
        ("unified/system.slice/kafka.service", "kafka.service"),  # v1 with v2 beside it
        ("system.slice/system-kafka.slice/kafka@1.service", "kafka@1.service"),
        ("zads.slice/zads-stream.slice/kafka.service", "kafka.service"),  # Slice= of a site's own
        ("system.slice/kafka.service/libpod-payload-4711", "kafka.service"),  # a container, with groups delegated
        ("user.slice/user-1000.slice/user@1000.service/app.slice/kafka.service", "kafka.service"),
        (r"system.slice/odd\x2dname[1].service", r"odd\x2dname[1].service"),
    ],
)
def test_a_unit_is_found_wherever_systemd_puts_it(tmp_path: Path, sleeper: int, folder: str, unit: str) -> None:
    """By its name alone, which need not be in the top slice; another unit there is another unit."""
    group = tmp_path / folder
    group.mkdir(parents=True)
    (tmp_path / "init.scope").mkdir()
    for above in group.parents:
        if above == tmp_path.parent:
            break
        (above / "cgroup.procs").write_text("1\n" if above.name.endswith(".slice") else "")
    (group / "cgroup.procs").write_text(f"{sleeper}\n")
    assert _found(unit, tmp_path) == sleeper
    assert _found("mirrormaker.service", tmp_path) is None
    assert _found("*", tmp_path) is None


def test_a_unit_that_ended_leaves_no_group_or_an_empty_one(tmp_path: Path) -> None:
    """Neither is a process, nor is a number that is nobody's any more."""
    group = tmp_path / "system.slice" / "kafka.service"
    assert _found("kafka.service", tmp_path) is None
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("")
    assert _found("kafka.service", tmp_path) is None
    (group / "cgroup.procs").write_text("999999999\nnonsense\n")
    assert _found("kafka.service", tmp_path) is None


def _own_unit() -> tuple[str, set[int]] | None:
    """Return a unit that systemd runs on this machine, with its processes."""
    for file in sorted(ROOT.glob("**/system.slice/*.service/cgroup.procs")):
        if pids := {int(line) for line in file.read_text().split()}:
            return file.parent.name, pids
    return None


def test_a_process_in_this_machines_own_control_groups_is_found(sleeper: int) -> None:
    """Of a unit that systemd runs here; where none runs, of a group that the kernel makes as systemd would."""
    running = _own_unit()
    if running is not None:
        assert _found(running[0]) in running[1]
        return
    tree = next((ROOT / name for name in (".", "systemd", "unified") if (ROOT / name / "cgroup.procs").exists()), ROOT)
    slices, unit = tree / "system.slice", f"zads-test-{os.getpid()}.service"
    made = not slices.exists()
    try:
        (slices / unit).mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no systemd runs here, and control groups cannot be made: {error}")
    before = next(  # the process' own group of that tree, to which it goes back
        line.split(":", 2)[2]
        for line in Path(f"/proc/{sleeper}/cgroup").read_text().splitlines()
        if line.split(":")[1] == ("name=systemd" if tree.name == "systemd" else "")
    )
    try:
        assert _found(unit) is None
        (slices / unit / "cgroup.procs").write_text(str(sleeper))
        assert _found(unit) == sleeper
    finally:
        (tree / before.lstrip("/") / "cgroup.procs").write_text(str(sleeper))
        for folder in (slices / unit, *([slices] if made else [])):
            with suppress(OSError):
                folder.rmdir()
