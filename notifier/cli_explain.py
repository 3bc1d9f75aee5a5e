"""`zads notify explain | oncall`: who would be told what, when and why; who is on call when."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from notifier.links import safe
from notifier.model import PAGE
from notifier.plan import Audience
from notifier.routing import Router
from notifier.words import channel, clock, duration
from zads.config import Config, load


def explain(config: Config, router: Router, labels: dict[str, str], now: float) -> Iterator[str]:
    """Yield, line by line, what would happen to an alert with these labels."""
    severity = labels.get("severity", "ticket")
    rule, plan = router.rule(labels), router.plan(labels, severity, now)
    if rule is not None:
        number = config.notifier.rules.index(rule)
        yield f"policy {plan.policy}: notifier.rule[{number}] fits ({', '.join(rule.match)})"
    elif severity in config.notifier.routes:
        yield f"policy {plan.policy}: no [[notifier.rule]] fits, so the severity decides"
    else:
        yield f"policy {plan.policy}: severity {severity!r} is not known and treated as a ticket"
    if not plan.steps:
        yield "noted, nobody is told"
        return
    begin = max(now, plan.held_until)
    if plan.held_until > now:
        yield f"waits until {_moment(router, plan.held_until)}: {plan.held}"
        yield "over by then: told to nobody" if not plan.held.startswith("quiet") else "over by then: told as over, once"
    for index, step in enumerate(plan.steps):
        at = begin + step.after
        # Who is on call is decided when the step is due.
        due = router.plan(labels, severity, at).steps
        audience = due[index].audience if index < len(due) else step.audience
        when = "at once" if at == now else f"at {_moment(router, at)}"
        condition = f", unless somebody acknowledges within {duration(step.after)}" if step.after else ""
        yield f"step {index + 1} of {len(plan.steps)}, {when}{condition}: {_whom(config, audience)}"
    for copy in plan.copies:
        yield f"in copy: {copy.target}, the contact of {labels['community']}"
    if severity == PAGE:
        yield f"then again every {duration(config.notifier.reminder)}, to all of these, until somebody acknowledges"
        yield f"an acknowledgement lasts {duration(config.notifier.acknowledged_for)}; still firing then, it is told again"
    for one in plan.steps[0].audience:
        if not one.target:
            other = router.fallback(one.channel, labels, severity)
            instead = f"{channel(other)} tells it" if other else "the others have it already"
            yield f"when {channel(one.channel)} refuses for good: {instead}, and ChannelUnhealthy is raised"
    yield f"on call {'then' if begin > now else 'now'}: {router.on_call(begin) or 'nobody is named'}"


def _whom(config: Config, audience: tuple[Audience, ...]) -> str:
    return ", ".join(f"{channel(one.channel)} to {one.target or _list(config, one.channel)}" for one in audience)


def _list(config: Config, name: str) -> str:
    settings = config.notifier
    if name == "email" and settings.email:
        return " and ".join(settings.email.to)
    if name == "slack" and settings.slack:
        return settings.slack.channel
    if name == "webhook" and settings.webhook:
        return (safe(str(settings.webhook.url)) or "").split("/")[2]  # the path may be a secret
    return "the service's own escalation"


def _moment(router: Router, at: float) -> str:
    local = datetime.fromtimestamp(at, router.rota.zone)
    return f"{clock(at, exact=False)} ({local:%H:%M %Z})"


def _explain(args: argparse.Namespace) -> int:
    config = load(args.config)
    wrong = [pair for pair in args.labels if "=" not in pair]
    if wrong:
        print(f"{', '.join(wrong)}: write LABEL=VALUE", file=sys.stderr)
        return 2
    router = Router(config)
    at = router.rota.aware(args.at).timestamp() if args.at else datetime.now(UTC).timestamp()
    for line in explain(config, router, dict(pair.split("=", 1) for pair in args.labels), at):
        print(line)
    return 0


def _oncall(args: argparse.Namespace) -> int:
    router, now = Router(load(args.config)), datetime.now(UTC)
    person = router.rota.at(now)
    if person is None:
        print("nobody is named: add [[notifier.oncall]]")
        return 0
    print(f"now                  {person.name}")
    for moment, one in itertools.islice(router.rota.changes(now), args.changes):
        print(f"{moment:%a %d %b %H:%M %Z}  {one.name}")
    return 0


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the two commands."""
    explained = actions.add_parser("explain", help="who would get an alert with these labels, what, when and why")
    explained.add_argument("labels", nargs="+", metavar="LABEL=VALUE")
    explained.add_argument(
        "--at", type=datetime.fromisoformat, metavar="TIME", help='another time than now: "2026-12-24T03:00", local'
    )
    explained.set_defaults(func=_explain)
    oncall = actions.add_parser("oncall", help="who is on call now and next")
    oncall.add_argument("--changes", type=int, default=6, metavar="N", help="how many hand-overs to show (default 6)")
    oncall.set_defaults(func=_oncall)
