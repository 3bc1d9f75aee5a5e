"""Our own running programs, and how each is told to read zads.toml again.

Each daemon registers itself in `<state_dir>/pids/NAME.pid`: its process, the zads.toml that it reads, and what
it has loaded of it. `zads config apply` sends SIGHUP to those that are alive and still the same processes
(by their start time, since a number may be given again) and waits for each to say that it has loaded the new
file, or why not.

A daemon does this::

    with reload.Listener(config.exporters.state_dir, "kafka-lag", args.config, take):
        ...  # serve

where `take(config)` puts a new configuration into effect, or raises and leaves the former one. It is called in
a thread of its own. Whatever it raises is a refusal: logged, told to `apply`, and the program runs on. A program
that cannot change under way takes `reload.again`, which starts it anew in the same process.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType

from zads.config import Config, ConfigError, ConfigErrors, parse, read

_LOG = logging.getLogger(__name__)
_POLL = 0.05


@dataclass(frozen=True)
class Entry:
    """One registered program: `loads` counts how often it has read its file, `digest` is what it has in effect."""

    name: str
    pid: int
    start: int  # clock ticks from boot to the process' start
    config: str
    digest: str
    loads: int = 0
    error: str = ""  # why the last file was refused


def digest(text: str) -> str:
    """Return a short fingerprint of a zads.toml."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def start_ticks(pid: int) -> int | None:
    """Return when the process started, None when it is not there or has ended."""
    try:
        # The name in brackets may hold anything, blanks and brackets too.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] in {b"Z", b"X"} else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


class Listener:
    """This process in the registry, and its answer to SIGHUP; use as a context manager in the main thread.

    Where the registry cannot be written, the program runs all the same: a warning says that `apply` will not
    find it.
    """

    def __init__(self, state_dir: Path, name: str, config: Path, take: Callable[[Config], None]) -> None:
        self._file = _folder(state_dir) / f"{name}.pid"
        self._path, self._take = Path(config).resolve(), take
        pid = os.getpid()
        self._entry = Entry(name, pid, start_ticks(pid) or 0, str(self._path), "")
        # put() may be called within put() of the same thread, as a second signal does; an Event's set() may not.
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="reload", daemon=True)

    def __enter__(self) -> Listener:
        """Register and listen."""
        with suppress(ConfigErrors):
            self._entry = replace(self._entry, digest=digest(read(self._path)))
        known = _read(self._file)
        if known is not None and (known.pid, known.start) == (self._entry.pid, self._entry.start):
            self._entry = replace(self._entry, loads=known.loads + 1)  # started anew by `again`
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, self._on_signal)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        self._thread.start()
        self._write()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Unregister; a SIGHUP that is on its way ends nobody."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._signals.put(False)
        known = _read(self._file)
        if known is not None and (known.pid, known.start) == (self._entry.pid, self._entry.start):
            with suppress(OSError):
                self._file.unlink(missing_ok=True)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals.put(True)

    def _run(self) -> None:
        while self._signals.get():
            self.load()

    def load(self) -> None:
        """Read the file and put it into effect; on failure keep the former one and say why."""
        error, now_loaded = "", self._entry.digest
        try:
            text = read(self._path)
            self._take(parse(text, str(self._path)))
            now_loaded = digest(text)
            _LOG.info("%s was read again", self._path)
        except Exception as reason:  # the edge of a program that has to go on with what it has
            error = str(reason).split("\n", 1)[0][:300] or type(reason).__name__
            _LOG.error("%s is not taken, the former configuration stays: %s", self._path, error)
        self._entry = replace(self._entry, digest=now_loaded, loads=self._entry.loads + 1, error=error)
        self._write()

    def _write(self) -> None:
        partial = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(asdict(self._entry)), encoding="utf-8")
            partial.replace(self._file)
        except OSError as error:
            _LOG.warning(
                "%s cannot be written (%s): `zads config apply` will not find this program", self._file, error.strerror
            )


def again(_config: Config) -> None:
    """Start this program anew in the same process: a `take` for programs that cannot change under way.

    Its file has been checked before. SIGHUP waits until the new one listens.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own command line


def _folder(state_dir: Path) -> Path:
    return Path(state_dir) / "pids"


def _read(file: Path) -> Entry | None:
    try:
        return Entry(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _alive(entry: Entry, file: Path) -> bool:
    """Tell whether the process that wrote the file still runs: same start, and the file's owner is its own."""
    try:
        owner = file.stat().st_uid
        return start_ticks(entry.pid) == entry.start and Path(f"/proc/{entry.pid}").stat().st_uid == owner
    except OSError:
        return False


def living(state_dir: Path) -> list[Entry]:
    """Return the registered programs that run, by name."""
    found = [(entry, file) for file in sorted(_folder(state_dir).glob("*.pid")) if (entry := _read(file))]
    return [entry for entry, file in found if _alive(entry, file)]


def hang_up(state_dir: Path, patience: float = 20.0) -> list[ConfigError]:
    """Send SIGHUP to every registered program that runs, wait for their answers, and return what refused."""
    errors, asked = list[ConfigError](), list[Entry]()
    for entry in living(state_dir):
        try:
            os.kill(entry.pid, signal.SIGHUP)
            asked.append(entry)
        except ProcessLookupError:
            continue  # it has just ended, and reads the new file when it starts
        except PermissionError:
            errors.append(ConfigError(entry.name, f"process {entry.pid} may not be told: run this as its user or as root"))
    return errors + _answers(state_dir, asked, patience)


def _answers(state_dir: Path, asked: Iterable[Entry], patience: float) -> list[ConfigError]:
    errors, deadline = list[ConfigError](), time.monotonic() + patience
    for before in asked:
        file = _folder(state_dir) / f"{before.name}.pid"
        while True:
            now = _read(file)
            if now is not None and now.pid == before.pid and now.loads > before.loads:
                if now.error:
                    errors.append(ConfigError(before.name, f"process {before.pid} did not take it: {now.error}"))
                break
            if start_ticks(before.pid) != before.start:
                errors.append(ConfigError(before.name, f"process {before.pid} ended instead of reading the new file"))
                break
            if time.monotonic() > deadline:
                words = f"process {before.pid} did not answer SIGHUP within {patience:.0f} s: does it hang?"
                errors.append(ConfigError(before.name, words))
                break
            time.sleep(_POLL)
    return errors
