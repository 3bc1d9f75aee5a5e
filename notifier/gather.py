"""Commit what several webhooks bring at once together: the disk is waited for once, and each is answered after that.

In a storm the senders wait for each other's commits; a body that cannot be recorded does not take the others along.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

from notifier.store import Store, Taken

_MOST = 200  # bodies in one commit: who waits for it must not give up


@dataclass(frozen=True)
class _Waiting:
    body: Taken
    done: Future[set[str]] = field(default_factory=Future)


class Gather:
    """One thread that commits; begins with the first body."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def take(self, body: Taken) -> set[str]:
        """Return the channels that got something to do, after the commit.

        Raises sqlite3.Error when it could not be committed.
        """
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="commit", daemon=True)
                self._thread.start()
        waiting = _Waiting(body)
        self._queue.put(waiting)
        return waiting.done.result()

    def _run(self) -> None:
        while True:
            many = [self._queue.get()]
            while len(many) < _MOST and not self._queue.empty():
                many.append(self._queue.get())
            self._commit(many)

    def _commit(self, many: list[_Waiting]) -> None:
        try:
            channels = self._store.take_all(waiting.body for waiting in many)
        except Exception as error:  # whoever waits has to hear of it, whatever it is
            if len(many) == 1:
                many[0].done.set_exception(error)
            elif isinstance(error, sqlite3.OperationalError):
                for waiting in many:  # the file's own trouble is everybody's
                    waiting.done.set_exception(error)
            else:
                for waiting in many:
                    self._commit([waiting])
        else:
            for waiting in many:
                waiting.done.set_result(channels)
