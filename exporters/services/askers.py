"""Ask many at once within one deadline: what hangs delays nothing but itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Askers(Generic[K]):
    """A pool with a thread for each question, so that those that hang leave none of the others without."""

    def __init__(self, most: int, deadline: float) -> None:
        self._pool = ThreadPoolExecutor(max(1, most), thread_name_prefix="probe")
        self._deadline = deadline
        self._open: dict[K, Future[float]] = {}

    def close(self) -> None:
        """Let the threads end; those that hang are left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def ask(self, questions: Mapping[K, Callable[[], float]]) -> tuple[dict[K, float | None], Counter[str]]:
        """Return each answer, None for one that failed or did not come in time, and what failed unexpectedly.

        An OSError is the answer "no". A question that still hangs from the time before is not asked again.
        """
        errors: Counter[str] = Counter()
        asked: dict[K, Future[float]] = {}
        for key, question in questions.items():
            hanging = self._open.get(key)
            if hanging is None or hanging.done():
                asked[key] = self._open[key] = self._pool.submit(question)
        wait(asked.values(), timeout=self._deadline)
        answers: dict[K, float | None] = dict.fromkeys(questions)
        for key in questions:
            future = self._open[key]
            if not future.done():
                errors["ProbeHangs"] += 1
            elif key in asked:
                try:
                    answers[key] = future.result()
                except OSError:
                    continue
                except Exception as error:  # a probe's edge: one service's answer fails no other's
                    errors[type(error).__name__] += 1
        return answers, errors
