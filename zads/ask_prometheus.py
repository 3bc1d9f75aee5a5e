"""Ask Prometheus by its HTTP API; what goes wrong is said in a sentence.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from zads.config import Config, reachable

_TIMEOUT = 30.0


class PrometheusError(Exception):
    """Prometheus does not answer, or refuses what it is asked; the text is for the operator."""


@dataclass(frozen=True)
class Series:
    """One series: its labels, and its samples as (seconds since 1970, value)."""

    labels: Mapping[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The last sample's value."""
        return self.samples[-1][1] if self.samples else math.nan


class Prometheus:
    """The site's Prometheus."""

    def __init__(self, config: Config, *, session: requests.Session | None = None, timeout: float = _TIMEOUT) -> None:
        self.address = reachable(config.prometheus.address)
        self._timeout = timeout
        self._session = session or requests.Session()
        self._session.trust_env = False  # a proxy of the environment has no business between us and Prometheus

    def at(self, expression: str, when: float | None = None) -> list[Series]:
        """Return an expression's series at a time, now when none is given; a range's samples as they were recorded.

        Raises PrometheusError.
        """
        form: dict[str, str | float] = {"query": expression}
        return self._query("query", form | ({} if when is None else {"time": when}))

    def over(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return an expression's values from start to end, each `step` seconds.

        Raises PrometheusError.
        """
        return self._query("query_range", {"query": expression, "start": start, "end": end, "step": step})

    def _query(self, what: str, form: Mapping[str, str | float]) -> list[Series]:
        where = f"Prometheus at {self.address}"
        try:
            answer = self._session.post(f"http://{self.address}/api/v1/{what}", data=form, timeout=self._timeout)
        except requests.Timeout:
            raise PrometheusError(f"{where} did not answer within {self._timeout:.0f} s. Is it overloaded?") from None
        except requests.RequestException:
            raise PrometheusError(
                f"{where} does not answer. Does it run? (`prometheus.address` in zads.toml says where it listens)"
            ) from None
        try:
            body = answer.json()
            if body["status"] != "success":
                raise PrometheusError(f"{where} refuses the expression: {body['error']}")
            return _series(body["data"])
        except (ValueError, KeyError, TypeError, IndexError):
            raise PrometheusError(
                f"{where} gave an answer (HTTP {answer.status_code}) that is not Prometheus'. What listens there?"
            ) from None


def _series(data: Mapping[str, Any]) -> list[Series]:
    kind, result = data["resultType"], data["result"]
    if kind in {"scalar", "string"}:
        return [Series({}, ((float(result[0]), float(result[1])),))]
    found = []
    for row in result:
        samples = row["values"] if kind == "matrix" else [row["value"]]
        found.append(Series(row["metric"], tuple((float(when), float(value)) for when, value in samples)))
    return found
