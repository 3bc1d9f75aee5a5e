"""`zads notify replay | incidents | ack | maintenance`: what an operator does to a record, beside a running notifier."""

from __future__ import annotations

import argparse
import getpass
import sqlite3
import sys
import time
from collections.abc import Callable
from datetime import datetime

from notifier.render import summary_of
from notifier.routing import Router
from notifier.store import Store
from notifier.words import clock, duration
from zads.config import Config, load, parse_duration
from zads.matchers import parse_matcher

_SOON = "a running notifier acts on it within half a minute"


def _with_store(config: Config, act: Callable[[Store, Router], int]) -> int:
    """Do something to the record: the running notifier owns it, and what it sends at this moment is not taken from it."""
    router = Router(config)
    try:
        store = Store(config.notifier.store, router.plan, owner=False)
        router.windows = store.windows
        try:
            return act(store, router)
        finally:
            store.close()
    except sqlite3.Error as error:
        print(f"{config.notifier.store} cannot be used: {error}", file=sys.stderr)
        return 1


def _replay(args: argparse.Namespace) -> int:
    def act(store: Store, _router: Router) -> int:
        print(f"{store.replay()} parked messages are queued again; a running notifier sends them within half a minute")
        return 0

    return _with_store(load(args.config), act)


def _incidents(args: argparse.Namespace) -> int:
    def act(store: Store, _router: Router) -> int:
        found = store.open_incidents()
        for incident in found:
            who = f"acknowledged by {incident.acknowledged_by}" if incident.acknowledged_at else "nobody has acknowledged it"
            lasts = duration(time.time() - incident.began_at)
            print(f"{incident.id:>6}  {incident.severity:<6}  {lasts:>9}  {summary_of(incident)} ({who})")
        if not found:
            print("nothing fires")
        return 0

    return _with_store(load(args.config), act)


def _ack(args: argparse.Namespace) -> int:
    def act(store: Store, _router: Router) -> int:
        incident = store.incident(args.incident)
        if incident is None:
            print(f"there is no incident {args.incident}: zads notify incidents", file=sys.stderr)
            return 1
        if incident.state != "firing":
            print(f"incident {args.incident} is {incident.state} already", file=sys.stderr)
            return 1
        store.acknowledge(args.incident, args.by)
        print(f"incident {args.incident} is acknowledged by {args.by}; {_SOON}")
        return 0

    return _with_store(load(args.config), act)


def _maintenance(args: argparse.Namespace) -> int:
    config, now = load(args.config), time.time()

    def listed(_store: Store, router: Router) -> int:
        for window in router.planned(now):
            where = str(window.id) if window.id else "in zads.toml"
            state = "now" if window.begins <= now else "to come"
            span = f"{clock(window.begins, now, exact=False)} to {clock(window.ends, now, exact=False)}"
            print(f"{where:>12}  {state:<7}  {span}  {', '.join(window.match)}  {window.why}")
        if not router.planned(now):
            print("no work is planned")
        return 0

    def add(store: Store, router: Router) -> int:
        begins = router.rota.aware(args.begins).timestamp() if args.begins else now
        ends = begins + args.lasts
        if ends <= now:
            print("it would be over already: look at --from and --for", file=sys.stderr)
            return 2
        number = store.add_window(begins, ends, args.match, args.why, args.by)
        span = f"{clock(begins, now, exact=False)} to {clock(ends, now, exact=False)}"
        print(f"planned work {number}, {span}: what fits is told only when it still fires then")
        return 0

    def end(store: Store, _router: Router) -> int:
        if not store.end_window(args.number):
            print(f"there is no planned work {args.number} that is not over: zads notify maintenance", file=sys.stderr)
            return 1
        print(f"planned work {args.number} is over; {_SOON}")
        return 0

    return _with_store(config, {"add": add, "end": end}.get(args.what or "", listed))


def _matcher(text: str) -> str:
    try:
        return str(parse_matcher(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _span(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody at the terminal"


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    actions.add_parser("replay", help="queue parked messages again").set_defaults(func=_replay)
    actions.add_parser("incidents", help="what fires").set_defaults(func=_incidents)
    ack = actions.add_parser("ack", help="acknowledge an incident")
    ack.add_argument("incident", type=int)
    ack.add_argument("--by", default=_me(), help="your name")
    ack.set_defaults(func=_ack)
    maintenance = actions.add_parser("maintenance", help="planned work: list it, add some, end some")
    maintenance.set_defaults(func=_maintenance, what=None)
    what = maintenance.add_subparsers(metavar="ACTION", dest="what")
    add = what.add_parser("add", help="hold back what fits until the work is done")
    add.add_argument("match", nargs="+", type=_matcher, metavar="MATCHER", help="for example 'service=\"kafka-public\"'")
    add.add_argument("--from", dest="begins", type=datetime.fromisoformat, metavar="TIME", help="local time (default: now)")
    add.add_argument("--for", dest="lasts", type=_span, required=True, metavar="TIME", help='how long, for example "2h"')
    add.add_argument("--why", required=True, help="what is done")
    add.add_argument("--by", default=_me(), help="your name")
    end = what.add_parser("end", help="end planned work now")
    end.add_argument("number", type=int)
