"""Ask many at once within one deadline: what hangs delays nothing but itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class CannotTellError(Exception):
    """Who was asked is there and does not say whether it is well: neither yes nor no."""


@dataclass
class Asked(Generic[K]):
    """What came of asking: an answer for each question that has one, None for "no"; why not; what failed unexpectedly."""

    answers: dict[K, float | None] = field(default_factory=dict)
    why: dict[K, str] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)


class Askers(Generic[K]):
    """A pool with a thread for each question, so that those that hang leave none of the others without."""

    def __init__(self, most: int, deadline: float) -> None:
        self._pool = ThreadPoolExecutor(max(1, most), thread_name_prefix="probe")
        self._deadline = deadline
        self._open: dict[K, Future[float]] = {}

    def close(self) -> None:
        """Let the threads end; those that hang are left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, questions: Mapping[K, Callable[[], float]]) -> Asked[K]:
        """Return each answer, None for one that failed or did not come in time.

        An OSError is the answer "no"; a question that raises CannotTellError has none. One that still hangs from
        the time before is not asked again.
        """
        found: Asked[K] = Asked(dict.fromkeys(questions))
        asked: dict[K, Future[float]] = {}
        for key, question in questions.items():
            hanging = self._open.get(key)
            if hanging is None or hanging.done():
                asked[key] = self._open[key] = self._pool.submit(question)
        wait(asked.values(), timeout=self._deadline)
        for key in questions:
            future = self._open[key]
            if not future.done():
                found.errors["ProbeHangs"] += 1
                found.why[key] = f"no answer in {self._deadline:.3g} s"
            elif key in asked:
                self._take(key, future, found)
        return found

    @staticmethod
    def _take(key: K, future: Future[float], found: Asked[K]) -> None:
        try:
            found.answers[key] = future.result()
        except CannotTellError as error:
            del found.answers[key]
            found.errors["ProbeCannotTell"] += 1
            found.why[key] = str(error)
        except OSError as error:
            found.why[key] = error.strerror or str(error) or type(error).__name__
        except Exception as error:  # a probe's edge: one service's answer fails no other's
            found.errors[type(error).__name__] += 1
            found.why[key] = f"{type(error).__name__}: {error}"
