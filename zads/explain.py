"""What there is to know of an alert: its runbook, its rules with this site's numbers, and what silences it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from zads import render
from zads.config import Config, Thresholds, duration_text
from zads.config_types import Kind
from zads.matchers import Matcher, parse_matcher
from zads.runbook import Rule, runbook_text, section

_NUMBER = re.compile(r"vector\((.+)\)")


@dataclass(frozen=True)
class Threshold:
    """A number of this site that a rule compares with."""

    series: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Explanation:
    """One alert, explained; thresholds and silences are empty where the site's file cannot be read."""

    name: str
    rules: tuple[Rule, ...]
    runbook: str
    made_of: tuple[Rule, ...]
    thresholds: tuple[Threshold, ...]
    silenced_by: tuple[str, ...]
    silences: tuple[str, ...]


def find(name: str, rules: Iterable[Rule]) -> str:
    """Return the alert's name as the rules write it.

    Raises ValueError with the nearest names where there is none.
    """
    names = sorted({rule.name for rule in rules if rule.alert})
    small = {one.lower(): one for one in names}
    if (found := small.get(name.lower())) is not None:
        return found
    near = difflib.get_close_matches(name.lower(), small, n=3, cutoff=0.4)
    near += [one for one in small if name.lower() in one and one not in near][: 3 - len(near)]
    hint = f" Did you mean {' or '.join(small[one] for one in near)}?" if near else " `zads explain` lists all of them."
    raise ValueError(f"no alert is called {name!r}.{hint}")


def explain(name: str, rules: Sequence[Rule], config: Config | None) -> Explanation:
    """Return the explanation of an alert that the rules have."""
    own = tuple(rule for rule in rules if rule.alert and rule.name == name)
    made_of = tuple(_made_of(own, [rule for rule in rules if not rule.alert]))
    silenced_by, silences = _inhibitions(own, rules, config) if config else ((), ())
    thresholds = tuple(_thresholds((*own, *made_of), config)) if config else ()
    return Explanation(name, own, section(runbook_text() or "", name) or "", made_of, thresholds, silenced_by, silences)


def _made_of(own: Iterable[Rule], records: Sequence[Rule]) -> list[Rule]:
    """Return the recorded series that the rules stand on, and those that these stand on."""
    found: dict[str, Rule] = {}
    todo = list(own)
    while todo:
        expression = todo.pop(0).expression
        for record in records:
            if record.name not in found and re.search(rf"(?<![\w:]){re.escape(record.name)}(?![\w:])", expression):
                found[record.name] = record
                todo.append(record)
    return list(found.values())


def _thresholds(rules: Sequence[Rule], config: Config) -> Iterable[Threshold]:
    groups = yaml.safe_load(render.thresholds(config))["groups"]
    for entry in (entry for group in groups for entry in group["rules"]):
        series = entry["record"]
        if entry.get("labels") or not (number := _NUMBER.fullmatch(entry["expr"])):
            continue  # names and what is per community: not one number
        if any(rule.mentions(series) for rule in rules):
            key = series.removeprefix("zads:threshold_")
            about = Thresholds.model_fields.get(key)
            seconds = (
                any(isinstance(kind, Kind) and kind.name == "duration" for kind in about.metadata)
                if about
                else (series.endswith("_seconds") or key == "latency_objective")
            )
            value = duration_text(float(number[1])) if seconds else f"{float(number[1]):,g}"
            yield Threshold(series, value, (about.description or "") if about else "")


def _inhibitions(own: Sequence[Rule], rules: Sequence[Rule], config: Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which alerts silence this one, and which it silences, with the conditions in words."""
    by: dict[str, None] = {}
    over: dict[str, None] = {}
    alerts = [rule for rule in rules if rule.alert]
    for entry in yaml.safe_load(render.alertmanager(config))["inhibit_rules"]:
        equal = entry.get("equal", [])
        source, target = (_side(entry[f"{side}_matchers"]) for side in ("source", "target"))
        if any(_may_be(rule, target, equal) for rule in own):
            names = sorted({rule.name for rule in alerts if _may_be(rule, source, equal)} - {own[0].name})
            by |= dict.fromkeys(_words(name, source, equal) for name in names)
        if any(_may_be(rule, source, equal) for rule in own):
            names = sorted({rule.name for rule in alerts if _may_be(rule, target, equal)} - {own[0].name})
            over |= dict.fromkeys(_words(name, target, equal) for name in names)
    return tuple(by), tuple(over)


def _side(matchers: Iterable[str]) -> list[Matcher]:
    return [parse_matcher(text) for text in matchers]


def _may_be(rule: Rule, matchers: Iterable[Matcher], equal: Iterable[str]) -> bool:
    """Tell whether an alert of the rule can fit: by its fixed labels, else when the rule has the label at all."""
    fixed: Mapping[str, str] = {
        "alertname": rule.name,
        **{key: value for key, value in rule.labels.items() if "{{" not in value},
    }

    def fits(matcher: Matcher) -> bool:
        if matcher.label in fixed or matcher.operator.startswith("!"):
            return matcher.label not in fixed or matcher.fits(fixed)
        return rule.mentions(matcher.label)

    return all(fits(matcher) for matcher in matchers) and all(rule.mentions(label) for label in equal)


def _words(name: str, matchers: Iterable[Matcher], equal: Sequence[str]) -> str:
    conditions: list[Any] = [str(m) for m in matchers if m.label not in {"alertname", "about", "service"}]
    conditions += [f"the same {label}" for label in equal]
    return f"{name} ({', '.join(conditions)})" if conditions else name
