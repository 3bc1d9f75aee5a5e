"""What a drill is: a fault, what has to be told of it and within how many seconds, what may be told besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PAGE = ("pagerduty", "slack", "email")
TICKET = ("email", "slack")
# Pages about the notifier itself go around it: e-mail and PagerDuty, from Alertmanager.
AROUND = ("pagerduty", "email")
OUTSIDE = "the outside dead-man's switch"


@dataclass(frozen=True, eq=False)
class Told:
    """One message that has to arrive, by each of the channels.

    `within`: seconds from the fault to the arrival at the last of the channels. `match`: labels that the alert has.
    `state`: firing, or resolved where a drill waits for the end of something it has mended itself. `words`: a regular
    expression that the message holds. `builds`: the fault takes its time to become one (a lag that grows).
    """

    alert: str
    severity: str
    within: float
    channels: tuple[str, ...] = ()
    match: Mapping[str, str] = field(default_factory=dict)
    state: str = "firing"
    words: str = ""
    builds: bool = False

    @property
    def by(self) -> tuple[str, ...]:
        """The channels: those that zads.toml gives the severity, where no others are named."""
        return self.channels or (PAGE if self.severity == "page" else TICKET)

    def fits(self, alert: str, labels: Mapping[str, str]) -> bool:
        """Tell whether an alert is the one that is meant."""
        return alert == self.alert and all(labels.get(key) == value for key, value in self.match.items())


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a drill: commands of `zads sim`, then what has to be told; `watch` more seconds nothing else may be."""

    causes: tuple[str, ...]
    must: tuple[Told, ...] = ()
    watch: float = 5.0
    notes: tuple[str, ...] = ()  # alerts of severity info that have to fire, and are told to nobody


@dataclass(frozen=True, eq=False)
class Drill:
    """One fault.

    `heals`: what `zads sim heal` is to undo. `may`: alerts that may be told besides, each with its reason. `resolve`:
    seconds from healing within which each end has to be told; 0 where it is not waited for (`lingers` says why).
    `needs`: an expression that has to return series before it begins, `sees`: its meaning. `silenced`: alerts of an
    outage just over would silence what is expected. `checks`: sections of the runbook whose commands have to print
    something else now; none: those of what has to be told. `beside`: its name stands in a lane beside others.
    """

    name: str
    stages: tuple[Stage, ...]
    heals: tuple[str, ...]
    resolve: float = 90.0
    may: Mapping[str, str] = field(default_factory=dict)
    match: Mapping[str, str] = field(default_factory=dict)
    lingers: str = ""
    needs: str = ""
    sees: str = ""
    silenced: bool = False
    checks: tuple[str, ...] | None = None
    about: str = ""

    @property
    def stays(self) -> bool:
        """Whether its alert goes on long after it was healed."""
        return bool(self.lingers) and len(self.stages) == 1

    @property
    def must(self) -> tuple[Told, ...]:
        """All that has to be told, of all stages."""
        return tuple(told for stage in self.stages for told in stage.must)

    @property
    def sections(self) -> tuple[str, ...]:
        """Sections of the runbook whose checks it runs."""
        if self.checks is not None:
            return self.checks
        return tuple(dict.fromkeys(told.alert for told in self.must if told.alert != OUTSIDE and told.state == "firing"))

    def owns(self, alert: str, labels: Mapping[str, str]) -> bool:
        """Tell whether an alert is this drill's, told or not: another one that runs beside it ignores it."""
        if any(told.fits(alert, labels) for told in self.must):
            return True
        return alert in self.may and all(labels.get(key) == value for key, value in self.match.items())
