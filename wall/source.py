"""Ask Prometheus for all signals; keep the answer for some seconds, so that ten screens cost as much as one."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import requests

from wall.model import Results, Sample, Wall
from wall.state import READS, build
from zads.config import Config
from zads.signals import SIGNALS

_LOG = logging.getLogger(__name__)
_KEEP = 4.0
_KEEP_CHART = 20.0
_TIMEOUT = 4.0
_HOURS = 6
_POINTS = 720
_LEAST_SECONDS = 1800.0
_LINES = ("rate_upstream", "rate_public")
_SIGNAL = "signal"


class Refused(Exception):
    """Prometheus lives and refuses an expression."""


class Source:
    """The wall's state, computed when somebody looks; nothing is asked while nobody does."""

    def __init__(
        self, config: Config, *, clock: Callable[[], float] = time.time, session: requests.Session | None = None
    ) -> None:
        self._config, self._clock = config, clock
        self._url = f"http://{config.prometheus.address}"
        self._session = session or requests.Session()
        self._session.trust_env = False  # a proxy of the environment has no business between the wall and Prometheus
        self._lock = threading.Lock()
        self._wall: Wall | None = None
        self._kept_at = 0.0
        self._chart: Mapping[str, Any] = {}
        self._chart_at = 0.0
        self._lost_since: float | None = None
        self._seen_at: float | None = None

    @property
    def config(self) -> Config:
        """Return the site."""
        return self._config

    def wall(self) -> Wall:
        """Return the wall, asked for at most four seconds ago."""
        with self._lock:
            now = self._clock()
            if self._wall is None or not 0 <= now - self._kept_at <= _KEEP:
                self._wall = self._look(now)
                # From when the answer came: those who waited for it meanwhile do not ask again.
                self._kept_at = self._clock()
            return self._wall

    def _look(self, now: float) -> Wall:
        try:
            results = self._results()
        except (requests.RequestException, ValueError, KeyError, TypeError, Refused) as error:
            if self._lost_since is None:
                self._lost_since = self._seen_at or now
                _LOG.warning("Prometheus at %s does not answer: %s", self._url, error)
            return build(self._config, None, now, self._lost_since)
        if self._lost_since is not None:
            _LOG.info("Prometheus answers again")
        self._lost_since, self._seen_at = None, now
        wall = build(self._config, results, now)
        if wall.blind:
            return wall
        if not 0 <= now - self._chart_at <= _KEEP_CHART:
            self._chart_at, self._chart = now, self._lines(now)
        return Wall(**{**vars(wall), "chart": self._chart})

    def _results(self) -> Results:
        """Return all signals: by one query, or one by one when Prometheus refuses a part of it."""
        try:
            rows = self._query(
                " or ".join(
                    f'label_replace({SIGNALS[name].expression}, "{_SIGNAL}", "{name}", "{_SIGNAL}", ".*")' for name in READS
                )
            )
            results: dict[str, list[Sample]] = {name: [] for name in READS}
            for sample in rows:
                labels = dict(sample.labels)
                results[labels.pop(_SIGNAL)].append(Sample(labels, sample.value))
        except Refused as error:
            # Two series where one should be spoil one signal, not the wall.
            _LOG.debug("asking one by one: %s", error)
            results = {name: self._query_or_nothing(name) for name in READS}
        results["impact"] = self._impacts()
        return results

    def _query_or_nothing(self, name: str) -> list[Sample]:
        try:
            return self._query(SIGNALS[name].expression)
        except Refused as error:
            _LOG.warning("signal %s cannot be computed: %s", name, error)
            return []

    def _query(self, expression: str) -> list[Sample]:
        data = self._ask("query", {"query": expression})
        return [Sample(row["metric"], float(row["value"][1])) for row in data["result"]]

    def _ask(self, what: str, form: Mapping[str, str | float]) -> Any:
        answer = self._session.post(f"{self._url}/api/v1/{what}", data=form, timeout=_TIMEOUT)
        if answer.status_code in {400, 422}:
            raise Refused(answer.text[:300])
        answer.raise_for_status()
        return answer.json()["data"]

    def _impacts(self) -> list[Sample]:
        """Return what each active alert costs: annotations stand in no series."""
        try:
            answer = self._session.get(f"{self._url}/api/v1/alerts", timeout=_TIMEOUT)
            answer.raise_for_status()
            alerts = answer.json()["data"]["alerts"]
            return [
                Sample(
                    {**alert["labels"], "impact": alert["annotations"].get("impact", "")},
                    datetime.fromisoformat(alert["activeAt"][:19] + "+00:00").timestamp(),
                )
                for alert in alerts
                if alert["state"] == "firing"
            ]
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return []  # the headline stands without it

    def _lines(self, now: float) -> dict[str, Any]:
        """Return tonight as two lines: [time, alerts per second]."""
        start, step = now - _HOURS * 3600, _HOURS * 3600 / _POINTS
        chart: dict[str, Any] = {"end": now}
        for name in _LINES:
            form: dict[str, str | float] = {"query": SIGNALS[name].expression, "start": start, "end": now, "step": step}
            try:
                rows = self._ask("query_range", form)["result"]
            except (requests.RequestException, ValueError, KeyError, TypeError, Refused):
                rows = []
            values = [(at, float(value)) for at, value in rows[0]["values"]] if rows else []
            chart[name] = [[round(at), round(value, 2)] for at, value in values if math.isfinite(value)]
        # A stack that is young fills the picture too; it never shows less than half an hour.
        first = min((chart[name][0][0] for name in _LINES if chart[name]), default=now)
        return {**chart, "start": max(start, min(first, now - _LEAST_SECONDS))}
