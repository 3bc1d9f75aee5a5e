"""Prometheus for the dashboards: many questions side by side, each within its time and size, each kept for some seconds."""

from __future__ import annotations

import json
import logging
import queue
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from typing import Any

import requests

_LOG = logging.getLogger(__name__)
_SIDE_BY_SIDE = 8
_TIMEOUT = 8.0
_PATIENCE = 12.0  # for an answer that waits behind others
_KEEP, _KEEP_MOST = 4.0, 60.0
_MOST_BYTES = 16_000_000
_SWEEP = 30.0
_CHUNK = 65536


@dataclass(frozen=True)
class Question:
    """One request of Prometheus' HTTP interface; `keep` is how long its answer is news, in seconds."""

    path: str
    form: tuple[tuple[str, str], ...]
    keep: float = _KEEP


@dataclass(frozen=True)
class Answer:
    """What Prometheus said, or in words why there is nothing; `lost` when it cannot be reached at all."""

    data: Any = None
    error: str = ""
    lost: bool = False


def instant(expression: str, at: float | None) -> Question:
    """Ask for the value now, or at a time."""
    form = [("query", expression)] + ([("time", f"{at:.3f}")] if at is not None else [])
    return Question("query", tuple(form))


def span(expression: str, start: float, stop: float, step: float) -> Question:
    """Ask for a chart's values: both ends lie on multiples of the step, so that the points do not wander between two looks."""
    first, last = start // step * step, stop // step * step
    form = (("query", expression), ("start", f"{first:.3f}"), ("end", f"{last:.3f}"), ("step", f"{step:g}"))
    return Question("query_range", form, min(_KEEP_MOST, max(_KEEP, step / 2)))


def label_values(label: str, metric: str, start: float, stop: float) -> Question:
    """Ask for a label's values, of one metric or of all; a minute's difference of the range asks nothing new."""
    match = (("match[]", metric),) if metric else ()
    times = (("start", f"{start // 60 * 60:.0f}"), ("end", f"{(stop // 60 + 1) * 60:.0f}"))
    return Question(f"label/{label}/values", (*match, *times), 20.0)


class _Hands:
    """Threads that ask. They are daemons: a server that ends does not wait for a Prometheus that hangs."""

    def __init__(self, count: int) -> None:
        self._waiting: queue.SimpleQueue[tuple[Future[Answer], Callable[[], Answer]]] = queue.SimpleQueue()
        self._free = count

    def do(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Return what the work will answer; called under the asker's lock."""
        future: Future[Answer] = Future()
        self._waiting.put((future, work))
        if self._free:
            self._free -= 1
            threading.Thread(target=self._work, name="ask", daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            future, work = self._waiting.get()
            try:
                future.set_result(work())
            except Exception as error:
                _LOG.exception("a question failed")
                future.set_result(Answer(error=f"The question failed: {error}"))


class Asker:
    """Asks, and remembers since when nobody answers. Nothing is asked while nobody looks."""

    def __init__(
        self, address: str, *, clock: Callable[[], float] = time.time, session: requests.Session | None = None
    ) -> None:
        self._url, self._clock = f"http://{address}", clock
        self._session = session or requests.Session()
        self._session.trust_env = False  # a proxy of the environment has no business between the wall and Prometheus
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=_SIDE_BY_SIDE)
        self._session.mount("http://", adapter)
        self._hands = _Hands(_SIDE_BY_SIDE)
        self._swept = 0.0
        self._lock = threading.Lock()
        self._kept: dict[Question, tuple[Future[Answer], float]] = {}
        self._seen_at: float | None = None
        self._lost_since: float | None = None

    @property
    def lost_since(self) -> float | None:
        """Return since when Prometheus has not answered, None while it does."""
        return self._lost_since

    @property
    def seen_at(self) -> float | None:
        """Return when Prometheus last answered."""
        return self._seen_at

    def ask(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """Return all answers. The same question is asked once, by however many screens."""
        asked = {question: self._asked(question) for question in dict.fromkeys(questions)}
        end, answers = time.monotonic() + _PATIENCE, {}
        for question, future in asked.items():
            try:
                answers[question] = future.result(max(0.01, end - time.monotonic()))
            except TooLate:
                answers[question] = Answer(error=f"Prometheus did not answer within {_PATIENCE:.0f} s.")
        return answers

    def _asked(self, question: Question) -> Future[Answer]:
        with self._lock:
            now = self._clock()
            future, at = self._kept.get(question, (None, 0.0))
            if future is not None and 0 <= now - at <= _kept_for(question, future):
                return future
            if not 0 <= now - self._swept <= _SWEEP:
                self._kept = {q: (f, at) for q, (f, at) in self._kept.items() if 0 <= now - at <= q.keep}
                self._swept = now
            future = self._hands.do(lambda: self._answer(question))
            self._kept[question] = (future, now)
            return future

    def _answer(self, question: Question) -> Answer:
        try:
            answer = self._request(question)
        except requests.Timeout:
            return self._failed(Answer(error=f"Prometheus did not answer within {_TIMEOUT:.0f} s.", lost=True))
        except (requests.RequestException, OSError) as error:
            _LOG.debug("no answer: %s", error)
            return self._failed(Answer(error="Prometheus cannot be reached.", lost=True))
        if answer.lost:
            return self._failed(answer)
        with self._lock:
            self._seen_at, self._lost_since = self._clock(), None
        return answer

    def _failed(self, answer: Answer) -> Answer:
        with self._lock:
            if self._lost_since is None:
                self._lost_since = self._seen_at or self._clock()
                _LOG.warning("Prometheus at %s does not answer the dashboards: %s", self._url, answer.error)
        return answer

    def _request(self, question: Question) -> Answer:
        url = f"{self._url}/api/v1/{question.path}"
        with self._send(url, question) as response:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if len(body) > _MOST_BYTES:
                    return Answer(error=f"The answer is larger than {_MOST_BYTES // 1_000_000} MB: choose a shorter time.")
            if response.status_code >= 500 and response.status_code != 503:
                return Answer(error=f"Prometheus answers {response.status_code}.", lost=True)
            return _read(response.status_code, bytes(body))

    def _send(self, url: str, question: Question) -> requests.Response:
        if question.path.startswith("label/"):
            return self._session.get(url, params=list(question.form), timeout=_TIMEOUT, stream=True)
        return self._session.post(url, data=list(question.form), timeout=_TIMEOUT, stream=True)


def _kept_for(question: Question, future: Future[Answer]) -> float:
    """Return how long an answer is news: a failure never longer than the quickest of them."""
    return min(_KEEP, question.keep) if future.done() and future.result().error else question.keep


def _read(status: int, body: bytes) -> Answer:
    try:
        said: Mapping[str, Any] = json.loads(body)
        if said.get("status") == "success":
            return Answer(said["data"])
        why = str(said.get("error") or "no reason given")
    except (ValueError, KeyError, AttributeError):
        return Answer(error=f"Prometheus answers {status} and nothing that can be read.", lost=True)
    if status == 503:
        # Both a query that took too long and a server that is not ready are 503.
        return Answer(error=f"Prometheus is too busy for this: {_short(why)}")
    return Answer(error=f"Prometheus refuses the expression: {_short(why)}")


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:300]
