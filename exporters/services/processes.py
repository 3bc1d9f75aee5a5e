"""Find a service's process: in its systemd unit's control group, else by its command line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from zads.config import Service

Processes = Callable[[], Iterable[psutil.Process]]
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_SLICES = ("system.slice", "system.slice/*", "systemd/system.slice", "systemd/system.slice/*")


@dataclass(frozen=True)
class Vitals:
    """What is known of a process; times are seconds since 1970, memory bytes."""

    started: float
    cpu_seconds: float
    resident: int
    open_files: int | None
    max_open_files: int | None
    threads: int


class Finder:
    """Find processes; all processes are only looked through when the known one is gone."""

    def __init__(self, processes: Processes = psutil.process_iter, *, control_groups: Path = _CONTROL_GROUPS) -> None:
        self._processes, self._control_groups = processes, control_groups
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
        found = []
        for part in _SLICES:
            for file in self._control_groups.glob(f"{part}/{unit}/cgroup.procs"):
                try:
                    pids = file.read_text(encoding="ascii").split()
                except OSError:
                    continue
                for pid in pids:
                    try:
                        found.append(psutil.Process(int(pid)))
                    except (psutil.Error, ValueError):
                        continue  # it has ended meanwhile
        return found

    @staticmethod
    def _vitals(process: psutil.Process) -> Vitals:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(process.pid)
            times = process.cpu_times()
            try:
                files: int | None = process.num_fds()
                limit: int | None = process.rlimit(psutil.RLIMIT_NOFILE)[0]
            except psutil.AccessDenied:
                files = limit = None
            return Vitals(
                process.create_time(),
                times.user + times.system,
                process.memory_info().rss,
                files,
                limit,
                process.num_threads(),
            )
