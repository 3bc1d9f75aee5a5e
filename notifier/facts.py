"""How many alerts wait or were passed on, asked of Prometheus when a message is written; "" where it is not known."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import requests

from notifier.model import Incident
from zads.config import Config

_LOG = logging.getLogger(__name__)
_TIMEOUT = 0.5  # a page never waits longer than this for a number
_KEPT = 60.0
_STREAM = {"upstream", "mirror", "public"}  # the label `part` of alerts about services
_QUERY = (
    'label_replace(sum(zads_mirror_behind_alerts), "fact", "waiting", "", "")'
    ' or label_replace(sum(zads_night_missing_alerts), "fact", "missing", "", "")'
    ' or label_replace(sum(zads_alerts_arrived_total{cluster="public"})'
    ' - sum(zads_alerts_arrived_total{cluster="public"} offset %ds), "fact", "passed", "", "")'
)


class Facts:
    """Clauses for the incidents that stop or delay the stream of alerts.

    `sighted` tells whether Prometheus can be asked: it is not waited for while it is known to be away.
    """

    def __init__(self, config: Config, sighted: Callable[[], bool], *, clock: Callable[[], float] = time.time) -> None:
        self._url = f"http://{config.prometheus.address}/api/v1/query"
        self._sighted, self._clock, self._lock = sighted, clock, threading.Lock()
        self._known: dict[tuple[int, str], tuple[float, str]] = {}

    def __call__(self, incident: Incident) -> str:
        """Return the clause; the same for all channels that are told within a minute."""
        # A security alert may name a service too: what waits is not its matter.
        concerned = incident.labels.get("about") == "stream" or incident.labels.get("part") in _STREAM
        if not concerned or not self._sighted():
            return ""
        with self._lock:
            now = self._clock()
            self._known = {key: value for key, value in self._known.items() if now - value[0] < _KEPT}
            key = (incident.id, incident.state)
            if key not in self._known:
                self._known[key] = (now, self._clause(incident, now))
            return self._known[key][1]

    def _clause(self, incident: Incident, now: float) -> str:
        numbers = self._ask(max(1, round(now - incident.began_at)))
        waiting, passed = numbers.get("waiting", 0), numbers.get("passed", 0)
        if incident.state != "resolved":
            return f"{waiting:,.0f} alerts wait" if waiting else ""
        parts = [f"{passed:,.0f} alerts passed on meanwhile"] if passed > 0 else []
        if waiting:
            parts.append(f"{waiting:,.0f} {'still wait' if parts else 'alerts still wait'}")
        elif parts and numbers.get("missing") == 0:
            parts.append("none missing")
        return ", ".join(parts)

    def _ask(self, seconds: int) -> dict[str, float]:
        """Return the numbers that are known, all in one question."""
        try:
            answer = requests.get(self._url, params={"query": _QUERY % seconds}, timeout=_TIMEOUT)
            rows = answer.json()["data"]["result"]
            return {str(row["metric"]["fact"]): float(row["value"][1]) for row in rows}
        except (requests.RequestException, ValueError, KeyError, IndexError, TypeError) as error:
            _LOG.info("the numbers for a message cannot be had: %s", type(error).__name__)
            return {}
