"""Dashboards' queries as Grafana asks them: variables by their own queries, Grafana's own intervals, against a real Prometheus."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JSON = Path(__file__).resolve().parents[2] / "dashboards" / "json"
_LABEL_VALUES = re.compile(r"label_values\((?:(?P<match>.*),\s*)?(?P<label>\w+)\)")
_DURATION = {"h": 3600, "d": 86400, "m": 60}


@dataclass(frozen=True)
class Query:
    """One target of a panel, with its variables replaced."""

    board: str
    panel: str
    kind: str
    ref: str
    expr: str
    nothing: str
    instant: bool

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}: {self.expr}"


class Prometheus:
    """A Prometheus that answers."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the answer's data; an error is an AssertionError with Prometheus' own words."""
        body = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{body}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode(errors="replace")) from error

    def now(self, expression: str) -> list[dict[str, Any]]:
        return list(self.ask("query", query=expression)["result"])

    def choices(self, definition: str) -> list[str]:
        """Return what a variable's query gives, as Grafana asks for it."""
        found = _LABEL_VALUES.fullmatch(definition)
        assert found, f"{definition} is no label_values()"
        if not found["match"]:
            return list(self.ask(f"label/{found['label']}/values"))
        series = self.ask("series", **{"match[]": found["match"]})
        return sorted({s[found["label"]] for s in series if found["label"] in s})


def boards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by uid."""
    read = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(JSON.glob("*.json")))
    return {board["uid"]: board for board in read}


def chosen(board: dict[str, Any], prometheus: Prometheus) -> dict[str, str]:
    """Return each variable's default as it goes into an expression."""
    values: dict[str, str] = {}
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        definition = _filled(variable["query"]["query"], values)
        options = prometheus.choices(definition)
        assert options, f"{board['uid']}: ${variable['name']} has nothing to choose: {definition}"
        if variable.get("includeAll"):
            values[variable["name"]] = variable["allValue"]
        else:
            values[variable["name"]] = options[-1 if variable.get("sort") == 2 else 0]
    return values


def queries(board: dict[str, Any], values: dict[str, str]) -> Iterator[Query]:
    """Give every target of the board."""
    begin = re.fullmatch(r"now-(\d+)([hdm])", board["time"]["from"])
    assert begin
    seconds = int(begin[1]) * _DURATION[begin[2]]
    filled = {**values, "__rate_interval": "1m", "__interval": "15s", "__range": f"{seconds}s"}
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Query(
                board["uid"],
                panel["title"] or panel["description"].split(":")[0],
                panel["type"],
                target["refId"],
                _filled(target["expr"], filled),
                panel["fieldConfig"]["defaults"].get("noValue", ""),
                bool(target.get("instant")),
            )


def _filled(text: str, values: dict[str, str]) -> str:
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"${{{name}}}", values[name]).replace(f"${name}", values[name])
    return text
