"""Who is told what, when and why: rules, policies and their steps, persons on call, what waits until when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

from notifier.holds import Window, quiet_until, window_for
from notifier.model import PAGE, Incident
from notifier.plan import MAINTENANCE, QUIET, Audience, Plan, Step
from notifier.rota import Rota
from notifier.words import channel as called
from notifier.words import clock
from zads import config as settings
from zads.config import CHANNELS, Config, OnCall
from zads.matchers import fit

_MENTION = "@"


class Router:
    """The decisions of one site.

    `windows`: the planned work that was entered by hand; what stands in zads.toml is known anyway.
    """

    def __init__(self, config: Config, windows: Callable[[], Iterable[Window]] = tuple) -> None:
        self._config, self.windows, self.site = config, windows, config.site.name
        self.rota = Rota(config)
        self._planned = [
            Window(self.rota.aware(one.begins).timestamp(), self.rota.aware(one.ends).timestamp(), one.match, one.why)
            for one in config.notifier.maintenance
        ]
        self._contacts = {c.name: c.contact for c in config.communities if "@" in c.contact}

    # -- whom ------------------------------------------------------------------------------------

    def rule(self, labels: Mapping[str, str]) -> settings.Rule | None:
        """Return the first rule that fits; None where the severity decides."""
        return next((rule for rule in self._config.notifier.rules if fit(rule.match, labels)), None)

    def policy(self, labels: Mapping[str, str], severity: str) -> tuple[str, tuple[settings.Step, ...]]:
        """Return the policy's name and its steps; a severity that is unknown is a ticket, so that nothing is lost."""
        rule = self.rule(labels)
        routes: Mapping[str, tuple[settings.Channel, ...]] = {str(k): v for k, v in self._config.notifier.routes.items()}
        name = rule.policy if rule else severity if severity in routes else "ticket"
        for policy in self._config.notifier.policies:
            if policy.name == name:
                return name, policy.steps
        channels = routes.get(name, ())
        return name, (settings.Step(channels=channels),) if channels else ()

    def plan(self, labels: Mapping[str, str], severity: str, now: float) -> Plan:
        """Return the whole decision at a time."""
        name, steps = self.policy(labels, severity)
        held_until, held = self.held(labels, severity, now)
        moment = datetime.fromtimestamp(now, UTC)
        told = tuple(Step(step.after, self._audience(step, moment)) for step in steps)
        return Plan(name, told, self._copies(labels, severity) if told else (), held_until, held)

    def _audience(self, step: settings.Step, moment: datetime) -> tuple[Audience, ...]:
        people = self._people(step.people, moment)
        found: list[Audience] = []
        for channel in step.channels:
            targets = [target for person in people if (target := _target(channel, person))]
            found += [Audience(channel, target, self._listed(channel, target)) for target in targets or [""]]
        return tuple(dict.fromkeys(found))

    def _people(self, which: str | None, moment: datetime) -> list[OnCall]:
        if which is None:
            return []
        if which == "everybody":
            return list(self.rota.people)
        change = self.rota.next(moment)
        person = (change[1] if change else None) if which == "next on call" else self.rota.at(moment)
        # With one person only, nobody is next: that person is told again.
        person = person or self.rota.at(moment)
        return [person] if person else []

    def _listed(self, channel: str, target: str) -> bool:
        email = self._config.notifier.email
        return bool(target) and (channel != "email" or (email is not None and target in email.to))

    def _copies(self, labels: Mapping[str, str], severity: str) -> tuple[Audience, ...]:
        """Return a community's own contact, which hears of tickets about it."""
        contact = self.contact(labels) if severity == "ticket" else None
        return (Audience("email", contact),) if contact and self._config.notifier.email else ()

    def contact(self, labels: Mapping[str, str]) -> str | None:
        """Return the address of the contact of the community that an alert is about."""
        return self._contacts.get(labels.get("community", ""))

    def following(self, incident: Incident, now: float) -> str:
        """Say what happens next while nobody acknowledges: "Policy page, step 1 of 3; operator 2 by e-mail at 08:11 UTC"."""
        if incident.step_at is None:
            return ""
        name, steps = self.policy(incident.labels, incident.severity)
        if not 0 < incident.step < len(steps):
            return ""
        step, when = steps[incident.step], datetime.fromtimestamp(max(incident.step_at, now), UTC)
        whom = ", ".join(person.name for person in self._people(step.people, when))
        how = " and ".join(called(one) for one in step.channels)
        words = f"{whom} by {how}" if whom else how
        return f"Policy {name}, step {incident.step} of {len(steps)}; next {words} at {clock(when.timestamp(), now, exact=False)}"

    def page_channels(self) -> tuple[str, ...]:
        """Return the channels that a page goes to at once."""
        _, steps = self.policy({"severity": PAGE}, PAGE)
        return steps[0].channels if steps else ()

    def fallback(self, refused: str, labels: Mapping[str, str], severity: str, broken: Collection[str] = ()) -> str | None:
        """Return the channel that tells what `refused` refuses for good: one that would not tell it anyway.

        A ticket that another channel of its policy tells wakes nobody through PagerDuty.
        """
        _, steps = self.policy(labels, severity)
        used = set(steps[0].channels) if steps else set()
        if severity != PAGE and used - {refused} - set(broken):
            return None
        for other in CHANNELS:
            if other != refused and other not in used and getattr(self._config.notifier, other) is not None:
                return other
        return None

    # -- when ------------------------------------------------------------------------------------

    def held(self, labels: Mapping[str, str], severity: str, now: float) -> tuple[float, str]:
        """Return until when an alert's messages wait, and why; 0 and "" where they do not."""
        window = window_for([*self._planned, *self.windows()], labels, now)
        if window is not None:
            return window.ends, f"{MAINTENANCE}{f' {window.id}' if window.id else ''}: {window.why}"
        quiet = quiet_until(self._config.notifier.quiet_hours, self.rota.zone, now) if severity != PAGE else None
        return (quiet, QUIET) if quiet else (0.0, "")

    def planned(self, now: float) -> list[Window]:
        """Return the planned work that is under way or to come, the next first."""
        return sorted((w for w in (*self._planned, *self.windows()) if w.ends > now), key=lambda w: w.begins)

    # -- who is on call --------------------------------------------------------------------------

    def on_call(self, now: float) -> str | None:
        """Return the name of who is on call."""
        person = self.rota.at(datetime.fromtimestamp(now, UTC))
        return person.name if person else None

    def mention(self, now: float) -> str:
        """Return the Slack member id of who is on call, "" where it is not known."""
        person = self.rota.at(datetime.fromtimestamp(now, UTC))
        return (person.slack_user or "") if person else ""


def _target(channel: str, person: OnCall) -> str:
    """Return what a channel knows a person by, "" where the channel's own list is all there is."""
    if channel == "email":
        return person.email or ""
    if channel == "slack" and person.slack_user:
        return f"{_MENTION}{person.slack_user}"
    return ""
