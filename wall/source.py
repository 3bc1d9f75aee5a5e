"""Ask Prometheus for all signals; keep the answer for some seconds, so that ten screens cost as much as one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from wall.state import Sample, Wall, build
from zads.config import Config
from zads.signals import SIGNALS

_KEEP = 4.0
_KEEP_CHART = 20.0
_TIMEOUT = 4.0
_HOURS = 6
_POINTS = 720
_LEAST_SECONDS = 1800.0
_LINES = ("rate_upstream", "rate_public")


class Source:
    """The wall's state, computed when somebody looks."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._config, self._clock = config, clock
        self._url = f"http://{config.prometheus.address}"
        self._session = requests.Session()
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=6)
        self._session.mount("http://", adapter)
        self._pool = ThreadPoolExecutor(6, thread_name_prefix="query")
        self._lock = threading.Lock()
        self._wall: Wall | None = None
        self._chart: dict[str, Any] = {}
        self._chart_at = 0.0
        self._lost_since: float | None = None
        self._seen_at: float | None = None

    def wall(self) -> Wall:
        """Return the wall, at most four seconds old."""
        with self._lock:
            now = self._clock()
            if self._wall is None or now - self._wall.at > _KEEP:
                self._wall = self._look(now)
            return self._wall

    def _look(self, now: float) -> Wall:
        names = [name for name in SIGNALS if name not in _LINES]
        try:
            results = dict(zip(names, self._pool.map(self._query, names), strict=True))
        except (requests.RequestException, ValueError, KeyError):
            self._lost_since = self._lost_since or self._seen_at or now
            wall = build(self._config, None, now, self._lost_since)
        else:
            self._lost_since, self._seen_at = None, now
            wall = build(self._config, results, now)
        if not wall.blind and now - self._chart_at > _KEEP_CHART:
            self._chart_at, self._chart = now, self._lines(now)
        wall.chart.update(self._chart)
        return wall

    def _query(self, name: str) -> list[Sample]:
        answer = self._session.get(f"{self._url}/api/v1/query", params={"query": SIGNALS[name].expression}, timeout=_TIMEOUT)
        answer.raise_for_status()
        return [Sample(row["metric"], float(row["value"][1])) for row in answer.json()["data"]["result"]]

    def _lines(self, now: float) -> dict[str, Any]:
        """Return tonight as two lines: [time, alerts per second]."""
        start, step = now - _HOURS * 3600, _HOURS * 3600 / _POINTS
        chart: dict[str, Any] = {"end": now}
        for name in _LINES:
            parameters: dict[str, str | float] = {
                "query": SIGNALS[name].expression,
                "start": start,
                "end": now,
                "step": step,
            }
            try:
                answer = self._session.get(f"{self._url}/api/v1/query_range", params=parameters, timeout=_TIMEOUT)
                answer.raise_for_status()
                rows = answer.json()["data"]["result"]
            except (requests.RequestException, ValueError, KeyError):
                rows = []
            chart[name] = [[at, float(value)] for at, value in rows[0]["values"]] if rows else []
        # A stack that is young fills the picture too; it never shows less than half an hour.
        first = min((chart[name][0][0] for name in _LINES if chart[name]), default=now)
        return {**chart, "start": max(start, min(first, now - _LEAST_SECONDS))}
