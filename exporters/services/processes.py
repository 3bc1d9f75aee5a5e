"""Find a service's process and count its restarts, over restarts of the exporter itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from zads.config import Service

Processes = Callable[[], Iterable[psutil.Process]]


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
    """Find processes by command line; all processes are only looked through when the known one is gone."""

    def __init__(self, processes: Processes = psutil.process_iter) -> None:
        self._processes = processes
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
        pattern = re.compile(service.process)
        found: list[psutil.Process] = []
        for process in self._processes():
            try:
                if process.status() != psutil.STATUS_ZOMBIE and pattern.search(" ".join(process.cmdline())):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        # A wrapper script may carry the same command line: the oldest is the service.
        return min(found, key=lambda p: p.pid, default=None)

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


class Restarts:
    """Count restarts: a start time that is newer than the one known. Kept in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._counts: dict[str, int] = {}
        self._started: dict[str, float] = {}
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
            self._counts, self._started = dict(state["counts"]), dict(state["started"])
        except (OSError, ValueError, KeyError):
            pass  # the first run, or a file that is no good: counting begins anew

    def see(self, name: str, started: float) -> None:
        """Note that the service runs since `started`."""
        known = self._started.get(name)
        # Start times come from the boot time and may wander by a few hundredths of a second.
        if known is not None and abs(started - known) < 1.0:
            return
        if known is not None:
            self._counts[name] = self._counts.get(name, 0) + 1
        self._started[name] = started
        self._file.parent.mkdir(parents=True, exist_ok=True)
        partial = self._file.with_suffix(".new")
        partial.write_text(json.dumps({"counts": self._counts, "started": self._started}), encoding="utf-8")
        partial.replace(self._file)

    def count(self, name: str) -> int:
        """Return how many restarts were seen."""
        return self._counts.get(name, 0)
