"""`zads contacts`: whom to call and how, from zads.toml: our own people, IPAC, the network's operators, the communities."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zads.config import Config

# Whom the runbook tells to call. A site that names one of them otherwise adds its own beside it.
ROLES = ("lead of operations", "data lead", "IPAC's operators", "network's operators")


def rows(config: Config) -> Iterator[tuple[str, str]]:
    """Yield who and how to reach them; what zads.toml does not say is said to be missing."""
    from zads.render import community_label

    for person in config.notifier.oncall:
        ways = [person.email or "", f"Slack {person.slack_user}" if person.slack_user else ""]
        yield f"on call in turn: {person.name}", ", ".join(filter(None, ways)) or "by the channels' own lists"
    if not config.notifier.oncall:
        yield "on call", "nobody is named: add [[notifier.oncall]] to zads.toml, or ask PagerDuty"
    known = {contact.role.lower() for contact in config.contacts}
    for contact in config.contacts:
        yield contact.role, f"{contact.name}: {contact.reach}" if contact.name else contact.reach
    for role in ROLES:
        if role.lower() not in known:
            yield role, f'not known: add [[contact]] with role = "{role}" to zads.toml'
    for community in config.communities:
        yield community_label(community), community.contact or "not known: add contact to its [[community]] in zads.toml"


def _contacts(args: argparse.Namespace) -> int:
    from zads.config import load

    found = list(rows(load(args.config)))
    width = max(len(who) for who, _ in found)
    for who, how in found:
        print(f"{who:<{width}}  {how}")
    print("Who holds the page now, and who is next: zads notify oncall. When to call whom: zads explain ALERT.")
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads contacts`."""
    parser = commands.add_parser("contacts", help="whom to call, and how", description=__doc__.partition(": ")[2])
    parser.set_defaults(func=_contacts)
