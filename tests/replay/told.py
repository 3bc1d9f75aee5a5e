"""What the operator is told of alerts that fire: inhibition as the rendered alertmanager.yml has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.replay.evaluate import Alert, Firing
from zads import render
from zads.config import Config
from zads.matchers import fit


@dataclass(frozen=True)
class Told:
    """One message's beginning: which alert, from when to when it fired (seconds), when it was first not silenced."""

    labels: Mapping[str, str]
    at: float
    until: float

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]

    @property
    def severity(self) -> str:
        """The alert's severity."""
        return self.labels["severity"]


class Inhibition:
    """Which alert silences which."""

    def __init__(self, config: Config) -> None:
        self._rules: list[dict[str, Any]] = yaml.safe_load(render.alertmanager(config))["inhibit_rules"]
        self._known: dict[tuple[Alert, Alert], bool] = {}

    def silences(self, source: Alert, target: Alert) -> bool:
        """Tell whether the source, while it fires, silences the target.

        As in Alertmanager: an alert on both sides of a rule is not silenced by another that is on both sides.
        """
        pair = (source, target)
        if pair not in self._known:
            self._known[pair] = source != target and any(self._by(rule, *pair) for rule in self._rules)
        return self._known[pair]

    @staticmethod
    def _by(rule: Mapping[str, Any], source: Alert, target: Alert) -> bool:
        of, on = dict(source), dict(target)
        if not (fit(rule["source_matchers"], of) and fit(rule["target_matchers"], on)):
            return False
        if fit(rule["source_matchers"], on) and fit(rule["target_matchers"], of):
            return False
        return all(of.get(label, "") == on.get(label, "") for label in rule.get("equal", ()))


def told(firing: Firing, config: Config) -> list[Told]:
    """Return what is told, in order; an alert that ends and fires again is told again.

    A source in another rule group has to fire one evaluation earlier: groups are evaluated at moments of their own,
    and Alertmanager waits a second only.
    """
    inhibition = Inhibition(config)
    open_since: dict[Alert, float | None] = {}
    result: dict[tuple[Alert, float], Told] = {}
    before: frozenset[Alert] = frozenset()
    for at, alerts in sorted(firing.at.items()):
        for gone in before - alerts:
            open_since.pop(gone)
        for alert in sorted(alerts):
            since = open_since.setdefault(alert, None)
            if since is None:
                sources = (a for a in alerts if a in before or firing.evaluate > 30 or _together(firing, a, alert))
                if any(inhibition.silences(source, alert) for source in sources):
                    continue
                open_since[alert] = since = at
            result[alert, since] = Told(dict(alert), since, at)
        before = alerts
    return sorted(result.values(), key=lambda one: one.at)


def _together(firing: Firing, one: Alert, other: Alert) -> bool:
    return firing.groups.get(dict(one)["alertname"]) == firing.groups.get(dict(other)["alertname"])
