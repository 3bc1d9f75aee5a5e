"""`zads sim`: cause trouble in the running stack, and undo it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable

from zads.config import load, parse_duration
from zads.stack import control, up
from zads.stack.paths import here
from zads.stack.standin_away import PROVIDERS
from zads.stack.supervisor import holder

_ALIASES = {"kafka": "kafka-public", "mirror": "mirrormaker", "upstream": "kafka-upstream", "ipac": "kafka-upstream"}
_OBEYED_WITHIN = 15.0
_HELD = {"kill": "killed", "stop": "stopped", "pause": "paused"}


def _ready() -> bool:
    if holder(here()):
        return True
    print("The stack does not run here; `make up` starts it.", file=sys.stderr)
    return False


def _component(name: str) -> str | None:
    """Return the component's full name for what the user wrote, or None after saying what is known."""
    names = [row["name"] for row in up.services(here())]
    for candidate in (_ALIASES.get(name, name), f"community-{name}"):
        if candidate in names:
            return candidate
    print(f"{name!r} is no component; known: {', '.join([*_ALIASES, *names])}", file=sys.stderr)
    return None


def _hold(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    name = _component(args.name)
    if name is None:
        return 2
    state = _HELD[args.verb]
    control.change(here().control, lambda c: c["services"].update({name: state}))
    if not _until(lambda: any(row["name"] == name and row["state"] == state for row in up.services(here()))):
        print(f"{name} is to be {state}; the supervisor has not done it yet: `zads stack status`", file=sys.stderr)
        return 1
    print(f"{name} is {state} and stays so until `zads sim heal`.")
    return 0


def _until(done: Callable[[], bool]) -> bool:
    """Wait for the supervisor; False when it takes too long."""
    deadline = time.monotonic() + _OBEYED_WITHIN
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _slow(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    known = [community.name for community in load(here().site).communities]
    if args.community not in known:
        print(f"{args.community!r} is no community; known: {', '.join(known)}", file=sys.stderr)
        return 2
    if not 0 <= args.share <= 1:
        print("The share of the arrival rate lies between 0 and 1, for example 0.2", file=sys.stderr)
        return 2

    def slow(content: control.Control) -> None:
        content["communities"][args.community] = {"rate_share": args.share}
        content["simulator"]["public"] = True  # in a private block nobody would fall behind

    control.change(here().control, slow)
    print(f"{args.community} takes {args.share:.0%} of what arrives, until `zads sim heal`.")
    return 0


def _late(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    try:
        seconds = parse_duration(args.seconds if not args.seconds.isdigit() else float(args.seconds))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    control.change(here().control, lambda c: c["simulator"].update({"late_seconds": seconds, "public": True}))
    print(f"Packets come {seconds:.0f} s later after their exposure than they would, until `zads sim heal`.")
    return 0


def _flag(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    control.change(here().control, lambda c: c["simulator"].update({args.verb: True}))
    what = {"clouds": "No exposures", "garbage": "One packet in five is garbage"}[args.verb]
    print(f"{what}, until `zads sim heal`.")
    return 0


def _refuse(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    control.change(here().control, lambda c: c["providers"].update({args.provider: True}))
    print(f"{args.provider} takes no message (503, or 421 by SMTP), until `zads sim heal`.")
    return 0


def _restart(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    name = _component(args.name)
    if name is None:
        return 2
    pid = next((row["pid"] for row in up.services(here()) if row["name"] == name), None)
    if not pid:
        print(f"{name} does not run: `zads stack status`", file=sys.stderr)
        return 1
    os.kill(int(pid), signal.SIGKILL)
    print(f"{name} (process {pid}) was killed; the supervisor starts it again.")
    return 0


def _heal(_args: argparse.Namespace) -> int:
    if not _ready():
        return 1

    def nothing(content: control.Control) -> None:
        for part in content.values():
            part.clear()

    control.change(here().control, nothing)
    if not _until(lambda: all(row["state"] not in _HELD.values() for row in up.services(here()))):
        print("The supervisor has not let go of everything yet: `zads stack status`", file=sys.stderr)
        return 1
    print("All trouble is undone; the supervisor starts what was ended.")
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads sim`."""
    parser = commands.add_parser("sim", help="cause trouble in the running stack, and undo it")
    actions = parser.add_subparsers(required=True, metavar="TROUBLE")

    def add(name: str, text: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text)
        action.set_defaults(func=call, verb=name)
        return action

    slow = add("slow", "let a community take only a share of the arrival rate", _slow)
    slow.add_argument("community")
    slow.add_argument("share", type=float)
    for verb, text in (
        ("stop", "end a component in an orderly way"),
        ("kill", "kill a component for good"),
        ("pause", "freeze a component (SIGSTOP)"),
    ):
        add(verb, text, _hold).add_argument("name", help="a component, or kafka, mirror, upstream, or a community")
    add("restart", "kill a component once; the supervisor starts it again", _restart).add_argument(
        "name", help="a component, or kafka, mirror, upstream, or a community"
    )
    refuse = add("refuse", "let a provider take no message", _refuse)
    refuse.add_argument("provider", choices=PROVIDERS)
    add("late", "let packets come later after their exposure", _late).add_argument("seconds")
    add("clouds", "stop exposures", _flag)
    add("garbage", "send packets that are none", _flag)
    add("heal", "undo all trouble", _heal)
