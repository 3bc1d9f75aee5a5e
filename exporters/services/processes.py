"""Find a service's process: in its systemd unit's control group, else by its command line."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from zads.config import Service
from zads.reload import start_ticks

Processes = Callable[[], Iterable[psutil.Process]]
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# Where systemd keeps its own tree: cgroup v2, v1, and v1 with v2 beside it.
_TREES = (".", "systemd", "unified")
# Units stand in slices, slices in slices; those of a user below the user's manager.
_SLICES = ("*.slice", "*.slice/*.slice", "*.slice/*.slice/*.slice", "user.slice/*.slice/user@*.service/*.slice")


@dataclass(frozen=True)
class Vitals:
    """What is known of a process; times are seconds since 1970, memory bytes.

    `identity` is the same only for the same process: its number and its start in the kernel's ticks, within one run
    of the machine. Its start in seconds follows every correction of the clock.
    """

    identity: str
    started: float
    cpu_seconds: float
    resident: int
    open_files: int | None
    max_open_files: int | None
    threads: int


class Finder:
    """Find processes; all processes are only looked through when the known one is gone."""

    def __init__(
        self,
        processes: Processes = psutil.process_iter,
        *,
        control_groups: Path = _CONTROL_GROUPS,
        boot_id: Path = _BOOT_ID,
    ) -> None:
        self._processes, self._control_groups, self._boot_id = processes, control_groups, boot_id
        self._known: dict[str, psutil.Process] = {}

    def find(self, service: Service) -> Vitals | None:
        """Return the vitals of the service's process, or None when it is not there."""
        process = self._known.get(service.name)
        if process is None or not process.is_running():
            process = self._search(service)
            if process is None:
                self._known.pop(service.name, None)
                return None
            self._known[service.name] = process
        try:
            return self._vitals(process)
        except psutil.Error:
            self._known.pop(service.name, None)
            return None

    def _search(self, service: Service) -> psutil.Process | None:
        """Return the service's process: of its unit where there is one, else of all.

        A wrapper script may carry the same command line, a unit may hold helpers: the oldest that fits is the service.
        """
        members = self._unit(service.unit) if service.unit else []
        fitting = self._fitting(service.process, members) or self._fitting("", members)
        if not fitting and service.process:
            fitting = self._fitting(service.process, self._processes())
        return min(fitting, key=lambda row: row[0], default=(0.0, None))[1]

    @staticmethod
    def _fitting(pattern: str, processes: Iterable[psutil.Process]) -> list[tuple[float, psutil.Process]]:
        compiled, found = re.compile(pattern), []
        for process in processes:
            try:
                if process.status() != psutil.STATUS_ZOMBIE and compiled.search(" ".join(process.cmdline())):
                    found.append((process.create_time(), process))
            except (psutil.Error, OSError):
                continue
        return found

    def _unit(self, unit: str) -> list[psutil.Process]:
        """Return the processes of a systemd unit; its control group is gone when it does not run."""
        found: dict[int, psutil.Process] = {}
        for folder in self._folders(glob.escape(unit)):
            for file in folder.rglob("cgroup.procs"):  # a unit that runs containers has them in groups of its own
                try:
                    pids = file.read_text(encoding="ascii").split()
                except OSError:
                    continue
                for pid in pids:
                    try:
                        found[int(pid)] = psutil.Process(int(pid))
                    except (psutil.Error, ValueError):
                        continue  # it has ended meanwhile
        return list(found.values())

    def _folders(self, unit: str) -> Iterator[Path]:
        for tree in _TREES:
            for slices in _SLICES:
                yield from (self._control_groups / tree).glob(f"{slices}/{unit}")

    def _vitals(self, process: psutil.Process) -> Vitals:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(process.pid)
            ticks = start_ticks(process.pid)
            if ticks is None:
                raise psutil.NoSuchProcess(process.pid)
            times = process.cpu_times()
            try:
                files: int | None = process.num_fds()
                limit: int | None = process.rlimit(psutil.RLIMIT_NOFILE)[0]
            except psutil.AccessDenied:
                files = limit = None
            return Vitals(
                f"{self._boot()}/{process.pid}/{ticks}",
                process.create_time(),
                times.user + times.system,
                process.memory_info().rss,
                files,
                limit,
                process.num_threads(),
            )

    def _boot(self) -> str:
        """Return the name of this run of the machine."""
        try:
            return self._boot_id.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return "unknown"
