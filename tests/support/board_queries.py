"""Dashboards' queries as Grafana asks them: variables by their own queries, Grafana's own intervals, against a real Prometheus."""

from __future__ import annotations

import json
import re
import time
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

    def shown(self, query: Query) -> list[dict[str, Any]]:
        """Return what the panel has: at this moment, or for a chart within the last hour."""
        if query.instant:
            return self.now(query.expr)
        end = time.time()
        answer = self.ask("query_range", query=query.expr, start=f"{end - 3600}", end=f"{end}", step="15")
        return list(answer["result"])

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


@dataclass(frozen=True)
class Shown:
    """What a tile shows of one series: its name, its word (empty for a number), the colour that is fixed for it."""

    name: str
    word: str
    color: str
    value: float


def tile(panel: dict[str, Any], prometheus: Prometheus) -> list[Shown]:
    """Return what a stat panel without variables shows now; nothing means its noValue."""
    result = []
    for target in panel["targets"]:
        look = _look(panel, target["refId"])
        words = {k: v for m in look["mappings"] if m["type"] == "value" for k, v in m["options"].items()}
        for series in prometheus.now(target["expr"]):
            name = re.sub(r"\{\{(\w+)\}\}", lambda label, of=series["metric"]: of.get(label[1], ""), target["legendFormat"])
            value = float(series["value"][1])
            word = words.get(f"{value:g}", {})
            color = word.get("color") or look.get("color", {}).get("fixedColor", "")
            result.append(Shown(plain(name), word.get("text", ""), color, value))
    return result


def plain(text: str) -> str:
    """Return the text with each run of spaces, of any kind, as one space."""
    return re.sub(r"\s+", " ", text).strip()


def _look(panel: dict[str, Any], ref: str) -> dict[str, Any]:
    look = dict(panel["fieldConfig"]["defaults"])
    for override in panel["fieldConfig"]["overrides"]:
        if override["matcher"] == {"id": "byFrameRefID", "options": ref}:
            look.update({p["id"]: p["value"] for p in override["properties"]})
    return look
