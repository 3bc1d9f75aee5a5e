"""What only several keys of [notifier] together can get wrong: policies, rules, persons, times."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from zads.config_findings import Finding
from zads.config_notifier import Maintenance, Override, Policy
from zads.config_schema import Config, Path

BUILT_IN = ("page", "ticket", "info")


def notifier_findings(config: Config) -> Iterator[Finding]:
    """Yield everything in [notifier] that contradicts itself."""
    notifier = config.notifier
    names: dict[str, int] = {}
    for index, policy in enumerate(notifier.policies):
        path: Path = ("notifier", "policy", index)
        if policy.name in names:
            yield Finding((*path, "name"), f"{policy.name!r} is already policy[{names[policy.name]}]")
        names.setdefault(policy.name, index)
        yield from _steps(config, path, policy)
    known = {*names, *BUILT_IN}
    for index, rule in enumerate(notifier.rules):
        if rule.policy not in known:
            words = f"{rule.policy!r} is no [[notifier.policy]]; known: {', '.join(sorted(known))}"
            yield Finding(("notifier", "rule", index, "policy"), words, (("notifier", "policy", None, "name"),))
    yield from _persons(config)
    yield from _slack(config)
    if notifier.report_to and notifier.email is None:
        yield Finding(("notifier", "report_to"), "needs [notifier.email]: the report goes by its server")
    zone = ZoneInfo(notifier.timezone or config.site.timezone)
    for index, override in enumerate(notifier.overrides):
        yield from _times(("notifier", "override", index), override, zone)
    for index, window in enumerate(notifier.maintenance):
        yield from _times(("notifier", "maintenance", index), window, zone)
    quiet = notifier.quiet_hours
    if quiet and quiet.begins == quiet.ends:
        yield Finding(("notifier", "quiet_hours", "ends"), "is the same as begins: tickets would wait always or never")


def _slack(config: Config) -> Iterator[Finding]:
    slack = config.notifier.slack
    if slack is None or not slack.has_webhook_url or (slack.token_file is None and slack.token_env is None):
        return
    path: Path = ("notifier", "slack")
    kind = "webhook_url_env" if slack.webhook_url_env else "webhook_url_file"
    words = "is there beside a bot's token: keep one of them (the bot's is better: it edits and threads)"
    yield Finding((*path, kind), words, ((*path, "token_file"), (*path, "token_env")))


def _steps(config: Config, path: Path, policy: Policy) -> Iterator[Finding]:
    before = -1.0
    for index, step in enumerate(policy.steps):
        place: Path = (*path, "step", index)
        if step.after <= before:
            yield Finding((*place, "after"), "is not after the step before it")
        before = max(before, step.after)
        if index == 0 and step.after:
            yield Finding((*place, "after"), "the first step is told at once: leave this out")
        for channel in dict.fromkeys(step.channels):
            if getattr(config.notifier, channel) is None:
                words = f"names {channel}, but [notifier.{channel}] is missing"
                yield Finding((*place, "channels"), words, (("notifier", channel),))
            if step.channels.count(channel) > 1:
                yield Finding((*place, "channels"), f"names {channel} twice")
        if step.people and not config.notifier.oncall:
            yield Finding((*place, "people"), "means nobody: there is no [[notifier.oncall]]", (("notifier", "oncall"),))


def _persons(config: Config) -> Iterator[Finding]:
    persons = [person.name for person in config.notifier.oncall]
    mailed = {person.name for person in config.notifier.oncall if person.email}
    for index, name in enumerate(persons):
        if name in persons[:index]:
            yield Finding(("notifier", "oncall", index, "name"), f"{name!r} is already oncall[{persons.index(name)}]")
    for index, override in enumerate(config.notifier.overrides):
        if override.name not in persons:
            words = f"{override.name!r} is no [[notifier.oncall]]; known: {', '.join(persons) or 'none'}"
            yield Finding(("notifier", "override", index, "name"), words, (("notifier", "oncall", None, "name"),))
    by_mail = any(step.people and "email" in step.channels for policy in config.notifier.policies for step in policy.steps)
    for index, name in enumerate(persons):
        if by_mail and name not in mailed:
            words = f"is missing: a step sends e-mail to who is on call, and {name!r} would not get it"
            yield Finding(("notifier", "oncall", index, "email"), words)


def _times(path: Path, row: Override | Maintenance, zone: ZoneInfo) -> Iterator[Finding]:
    begins, ends = (at if at.tzinfo else at.replace(tzinfo=zone) for at in (row.begins, row.ends))
    if ends <= begins:
        yield Finding((*path, "ends"), "is not after begins", ((*path, "begins"),))
