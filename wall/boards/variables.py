"""A dashboard's variables: their values, which are chosen, and how they go into an expression.

The browser sends names of values, nothing else: what is not among a variable's own values is not taken, so an expression is
always one that stands in the dashboard. Values come from labels, which anybody may have written: they are escaped all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wall.boards import ask
from wall.boards.fields import pattern
from wall.boards.times import Range

ALL = "$__all"
_LABELS = re.compile(r"label_values\(\s*(?:(?P<metric>.+?)\s*,\s*)?(?P<label>[a-zA-Z_]\w*)\s*\)", re.DOTALL)
_NAMES = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)|\[\[(\w+)\]\]")
_MOST = 1000
Asking = Callable[[Sequence[ask.Question]], Mapping[ask.Question, ask.Answer]]


@dataclass(frozen=True)
class Variable:
    """One variable with what can be chosen and what is. `said` is in words why there is nothing to choose."""

    name: str
    label: str
    kind: str
    options: tuple[tuple[str, str], ...]
    chosen: tuple[str, ...]
    multi: bool = False
    every: bool = False
    every_value: str = ""
    hidden: bool = False
    description: str = ""
    said: str = ""

    def values(self) -> tuple[str, ...]:
        """Return the chosen values; all of them where all are."""
        return tuple(value for value, _ in self.options) if ALL in self.chosen else self.chosen

    def promql(self, form: str = "") -> str:
        """Return the value as it stands inside an expression's quotes or brackets."""
        if ALL in self.chosen and self.every_value:
            return self.every_value
        values = self.values()
        if form in {"raw", "csv", "pipe"}:
            return ("," if form == "csv" else "|").join(map(_quoted, values))
        if self.multi or self.every or form == "regex":
            escaped = [_quoted(_literal(value)) for value in values]
            return escaped[0] if len(escaped) == 1 else "(" + "|".join(escaped) + ")" if escaped else ""
        return _quoted(values[0]) if values else ""

    def words(self) -> str:
        """Return the chosen values for a reader."""
        names = dict(self.options)
        return "All" if ALL in self.chosen else " + ".join(names.get(value, value) for value in self.chosen)

    def as_dict(self) -> dict[str, Any]:
        """Return it for the browser."""
        options = [*([(ALL, "All")] if self.every else []), *self.options]
        chosen = set(self.chosen)
        return {
            "name": self.name,
            "label": self.label,
            "multi": self.multi,
            "description": self.description,
            "said": self.said,
            "fixed": self.kind in {"datasource", "constant"},
            "options": [{"value": value, "text": text, "chosen": value in chosen} for value, text in options],
        }


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _literal(value: str) -> str:
    """Return the regular expression that means this text alone."""
    return re.sub(r"([.*+?^${}()|\[\]\\/-])", r"\\\1", value).replace("\\-", "-").replace("\\/", "/")


def substitute(text: str, variables: Mapping[str, Variable], macros: Mapping[str, str], *, promql: bool = True) -> str:
    """Return the text with variables and macros put in; a name that nobody knows stays."""

    def value(found: re.Match[str]) -> str:
        name, form = found[1] or found[3] or found[4], found[2] or ""
        if name in macros:
            return macros[name]
        if name in variables:
            return variables[name].promql(form) if promql else variables[name].words()
        return found[0]

    return _NAMES.sub(value, text)


def resolve(
    declared: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, Sequence[str]],
    span: Range,
    macros: Mapping[str, str],
    asking: Asking,
) -> dict[str, Variable]:
    """Return all variables in their order; each may stand in the queries of those after it."""
    known: dict[str, Variable] = {}
    for source in declared:
        name = str(source.get("name", ""))
        options, said = _options(source, known, span, macros, asking)
        known[name] = _chosen(source, options, wanted.get(name, ()), said)
    return known


def _options(
    source: Mapping[str, Any], known: Mapping[str, Variable], span: Range, macros: Mapping[str, str], asking: Asking
) -> tuple[list[tuple[str, str]], str]:
    match source.get("type"):
        case "datasource":
            return [("prometheus", "Prometheus")], ""
        case "custom" | "interval":
            return _listed(source), ""
        case "constant":
            return [(str(source.get("query", "")), str(source.get("query", "")))], ""
        case "query":
            return _queried(source, known, span, macros, asking)
        case other:
            return [], f"variables of type {other} are not supported by zads wall"


def _listed(source: Mapping[str, Any]) -> list[tuple[str, str]]:
    options = []
    for part in re.split(r"(?<!\\),", str(source.get("query", ""))):
        text, colon, value = part.strip().replace("\\,", ",").partition(" : ")
        if text and text != "auto":
            options.append((value.strip() if colon else text, text.strip()))
    return options


def _queried(
    source: Mapping[str, Any], known: Mapping[str, Variable], span: Range, macros: Mapping[str, str], asking: Asking
) -> tuple[list[tuple[str, str]], str]:
    query = source.get("query") or source.get("definition") or ""
    text = str(query.get("query", "") if isinstance(query, Mapping) else query)
    found = _LABELS.fullmatch(text.strip())
    if not found:
        return [], "only label_values(metric, label) is supported by zads wall"
    metric = substitute(found["metric"] or "", known, macros)
    question = ask.label_values(found["label"], metric, span.start, span.stop)
    answer = asking([question])[question]
    if answer.error:
        return [], answer.error
    values = [str(value) for value in answer.data or () if value != ""]
    if source.get("regex"):
        values = [kept for value in values if (kept := _kept(str(source["regex"]), value)) is not None]
    values = list(dict.fromkeys(values))[:_MOST]
    if source.get("sort"):
        values.sort(key=str.lower, reverse=source["sort"] in {2, 4, 6})
    return [(value, value) for value in values], "" if values else "no values yet"


def _kept(regex: str, value: str) -> str | None:
    found = pattern(regex).search(value)
    return None if not found else found[1] if found.re.groups else value


def _chosen(source: Mapping[str, Any], options: list[tuple[str, str]], wanted: Sequence[str], said: str) -> Variable:
    every, multi = bool(source.get("includeAll")), bool(source.get("multi"))
    there = {value for value, _ in options} | ({ALL} if every else set())
    current = (source.get("current") or {}).get("value")
    default = [str(v) for v in current] if isinstance(current, list) else [] if current in {None, ""} else [str(current)]
    chosen = [v for v in wanted if v in there] or [v for v in default if v in there]
    if not chosen:
        chosen = [ALL] if every else [value for value, _ in options[:1]]
    chosen = [ALL] if ALL in chosen else chosen if multi else chosen[:1]
    return Variable(
        str(source.get("name", "")),
        str(source.get("label") or source.get("name", "")),
        str(source.get("type", "")),
        tuple(options),
        tuple(chosen),
        multi,
        every,
        str(source.get("allValue") or ""),
        source.get("hide") == 2,
        str(source.get("description") or ""),
        said,
    )
