"""Start the components in dependency order, restart what dies as systemd would, obey the control file.

One process, `zads stack supervise`, detached from the terminal. All that it knows stands in
status.json, which `zads stack status` prints.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from zads.stack import control, lock
from zads.stack.components import Component
from zads.stack.paths import Paths
from zads.stack.ready import answers

_LOG = logging.getLogger(__name__)
_TICK = 0.2
_RESTART_FIRST, _RESTART_MOST = 1.0, 10.0
_STABLE_AFTER = 30.0
_STOP_WITHIN = 10.0
_STARTS_WITHIN = 60.0
_LOG_MOST = 20_000_000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # loaded before any fork


def _die_with_parent() -> None:  # pragma: no cover - runs between fork and exec
    # A supervisor that is killed takes its components along: nothing is ever orphaned.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class Running:
    """What the supervisor knows of one component."""

    component: Component
    process: subprocess.Popen[bytes] | None = None
    preparing: bool = False
    state: str = "waiting"
    since: float = 0.0
    restarts: int = 0
    started_at: float = 0.0
    again_at: float = 0.0
    pause: float = _RESTART_FIRST
    end_by: float = 0.0
    was_ready: bool = False
    held: str = ""
    check: Future[bool] | None = None
    next_check: float = 0.0
    misses: int = 0
    answered: bool = False  # since it was started

    def become(self, state: str) -> bool:
        """Change the state; tell whether it is a new one."""
        if state == self.state:
            return False
        self.state, self.since = state, time.time()
        return True


class Supervisor:
    """Run the components until SIGTERM."""

    def __init__(self, components: list[Component], paths: Paths) -> None:
        self._paths = paths
        self._all = {c.name: Running(c, since=time.time()) for c in components}
        self._control = control.Watch(paths.control)
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="ready")
        self._stop = False
        self._written = False
        self._lock: TextIOWrapper | None = None

    def run(self) -> int:
        """Supervise until told to stop; return 1 when another supervisor holds this folder.

        Whatever fails for one component (its program vanished, its log cannot be written) is that component's state;
        the others go on.
        """
        self._lock = lock.take(self._paths.lock)
        if self._lock is None:
            _LOG.error("another supervisor (process %s) runs here", lock.holder(self._paths.lock))
            return 1
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._write()
        try:
            while not self._stop:
                steps = [self._guarded_step(running) for running in self._all.values()]
                if any(steps) or not self._written:
                    self._write()
                time.sleep(_TICK)
        finally:
            self._shut_down()
        return 0

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop = True

    def _guarded_step(self, running: Running) -> bool:
        try:
            return self._step(running)
        except OSError as error:
            _LOG.error("%s: %s", running.component.name, error)
            running.restarts += 1
            running.again_at = time.monotonic() + running.pause
            running.pause = min(running.pause * 2, _RESTART_MOST)
            return running.become("failed")

    def _step(self, running: Running) -> bool:
        wanted = self._control()["services"].get(running.component.name, "")
        changed = self._obey(running, wanted)
        if running.held in {"killed", "stopped"}:
            return self._ending(running) or changed
        if running.process is None:
            return self._maybe_start(running) or changed
        code = running.process.poll()
        if code is not None:
            return self._on_exit(running, code) or changed
        if running.held == "paused" or running.preparing:
            return changed
        return self._check(running) or changed

    def _obey(self, running: Running, wanted: str) -> bool:
        """Bring the component to what `zads sim` asked for."""
        if wanted == running.held:
            return False
        process = running.process if running.process and running.process.poll() is None else None
        if running.held == "paused" and process:
            os.killpg(process.pid, signal.SIGCONT)
        running.held = wanted
        if process and wanted == "killed":
            os.killpg(process.pid, signal.SIGKILL)
        elif process and wanted == "stopped":
            os.killpg(process.pid, signal.SIGTERM)
            running.end_by = time.monotonic() + _STOP_WITHIN
        elif process and wanted == "paused":
            os.killpg(process.pid, signal.SIGSTOP)
        if not wanted:
            running.again_at, running.pause = 0.0, _RESTART_FIRST
            return running.become("starting" if running.process else "waiting")
        return running.become(wanted)

    @staticmethod
    def _ending(running: Running) -> bool:
        """Wait for a component that has to end, without keeping the others waiting."""
        process = running.process
        if process is None:
            return False
        if process.poll() is None:
            if running.held == "stopped" and time.monotonic() > running.end_by:
                os.killpg(process.pid, signal.SIGKILL)
            return False
        running.process = None
        return True

    def _maybe_start(self, running: Running) -> bool:
        if time.monotonic() < running.again_at:
            return False
        # Only the first start waits: later, a component has to survive the others' absence anyway.
        if not running.was_ready and any(not self._all[name].was_ready for name in running.component.after):
            return running.become("waiting")
        component = running.component
        argv = component.argv
        running.preparing = bool(component.prepare and component.prepared and not component.prepared.exists())
        if running.preparing and component.prepare:
            argv = component.prepare
        with self._open_log(component.name) as log:
            running.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._paths.root,
                env={
                    **os.environ,
                    "ZADS_STACK": str(self._paths.dir),
                    "PYTHONUNBUFFERED": "1",
                    "MALLOC_ARENA_MAX": "2",
                    **component.env,
                },
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one prctl on a loaded library, no lock taken
            )
        running.started_at, running.misses, running.next_check = time.monotonic(), 0, 0.0
        running.check, running.answered = None, False
        return running.become("starting")

    def _open_log(self, name: str) -> TextIOWrapper:
        path = self._paths.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > _LOG_MOST:
            path.replace(path.with_suffix(".log.1"))
        return path.open("a")

    def _on_exit(self, running: Running, code: int) -> bool:
        running.process = None
        if running.preparing and code == 0:
            return False
        if time.monotonic() - running.started_at > _STABLE_AFTER:
            running.pause = _RESTART_FIRST
        running.again_at = time.monotonic() + running.pause
        running.pause = min(running.pause * 2, _RESTART_MOST)
        running.restarts += 1
        with self._open_log(running.component.name) as log:
            how = f"signal {-code}" if code < 0 else f"code {code}"
            log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} supervisor: ended with {how}; started again soon\n")
        running.become("restarting")
        return True

    def _check(self, running: Running) -> bool:
        if running.check is not None:
            if not running.check.done():
                return False
            answered, running.check = running.check.result(), None
            running.next_check = time.monotonic() + (10.0 if running.was_ready and answered else 0.4)
            running.misses = 0 if answered else running.misses + 1
            if answered:
                running.was_ready = running.answered = True
                return running.become("running")
            starting = not running.answered and time.monotonic() - running.started_at < _STARTS_WITHIN
            return running.was_ready and not starting and running.misses >= 3 and running.become("not answering")
        component = running.component
        if not component.url:
            # A consumer listens nowhere: it runs when it has lived for a second.
            alive = time.monotonic() - running.started_at > 1.0
            running.was_ready = running.was_ready or alive
            return alive and running.become("running")
        if time.monotonic() >= running.next_check:
            # Ready once after each start; from then on it only has to be alive: an exporter whose Kafka is gone is well.
            path = component.alive if running.answered else component.ready
            running.check = self._pool.submit(answers, component.url.rstrip("/") + path if path else component.url)
        return False

    def _write(self) -> None:
        services = [
            {
                "name": name,
                "state": running.state,
                "pid": running.process.pid if running.process else None,
                "url": running.component.url,
                "since": datetime.fromtimestamp(running.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                "restarts": running.restarts,
            }
            for name, running in self._all.items()
        ]
        partial = self._paths.status.with_suffix(".new")
        try:
            partial.write_text(json.dumps({"services": services}, indent=1), encoding="utf-8")
            partial.replace(self._paths.status)
        except OSError as error:
            # A full disk: the components run on, and the next round tries again.
            if self._written:
                _LOG.error("%s cannot be written: %s", self._paths.status, error)
            self._written = False
        else:
            self._written = True

    def _terminate(self, group: list[Running], seconds: float) -> None:
        living = [r for r in group if r.process and r.process.poll() is None]
        for running in living:
            assert running.process
            with suppress(ProcessLookupError):
                os.killpg(running.process.pid, signal.SIGCONT)
                os.killpg(running.process.pid, signal.SIGTERM)
        deadline = time.monotonic() + seconds
        for running in living:
            assert running.process
            try:
                running.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(running.process.pid, signal.SIGKILL)
                running.process.wait()

    def _shut_down(self) -> None:
        kafkas = [r for name, r in self._all.items() if name.startswith("kafka-") and name != "kafka-lag"]
        self._terminate([r for r in self._all.values() if r not in kafkas], 10)
        self._terminate(kafkas, 15)
        self._pool.shutdown(cancel_futures=True)
        for path in (self._paths.status, self._paths.control):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()


def holder(paths: Paths) -> int | None:
    """Return the process id of the supervisor that runs in this folder, or None."""
    return lock.holder(paths.lock)


def log_tail(path: Path, lines: int) -> str:
    """Return the last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64_000))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ""
