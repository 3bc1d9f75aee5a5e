"""`zads sim`: cause trouble in the running stack, and undo it.

What is asked for stands in the control file until it is healed; what the file cannot do (a topic's settings, a mount,
the hosts that Prometheus knows) is done here, and undone by `zads sim heal`, which finds it in the file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable

from zads.config import load, parse_duration
from zads.kafka import KafkaFailure
from zads.stack import control, in_containers, trouble_disk, trouble_host, trouble_mirror, up
from zads.stack.paths import here
from zads.stack.standin_away import PROVIDERS
from zads.stack.stranger import ADDRESS as STRANGER
from zads.stack.supervisor import holder

_ALIASES = {"kafka": "kafka-public", "mirror": "mirrormaker", "upstream": "kafka-upstream", "ipac": "kafka-upstream"}
_OBEYED_WITHIN = 15.0
# What `heal` calls the troubles that have no component, and how the control file does.
_WORDS = {
    "late": "late_seconds",
    "clouds": "clouds",
    "garbage": "garbage",
    "leak": "leak",
    "stranger": "stranger",
    "fill": "fill",
    "fail-task": "fail_task",
    "host-gone": "host_gone",
}
_HELD = {"kill": "killed", "stop": "stopped", "pause": "paused"}


def _ready() -> bool:
    if in_containers.inside() or holder(here()):
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
    names = [name for written in args.name if (name := _component(written))]
    if len(names) < len(args.name):
        return 2
    return _held(names, _HELD[args.verb])


def _held(names: list[str], state: str) -> int:
    """Let the supervisor hold the components, and wait until it does."""
    control.change(here().control, lambda c: c["services"].update(dict.fromkeys(names, state)))

    def obeyed() -> bool:
        return {row["name"] for row in up.services(here()) if row["state"] == state} >= set(names)

    told = ", ".join(names)
    if not _until(obeyed):
        print(f"To be {state}: {told}; the supervisor has not done it yet: `zads stack status`", file=sys.stderr)
        return 1
    verb = "is" if len(names) == 1 else "are"
    print(f"{told} {verb} {state} and stay{'s' if len(names) == 1 else ''} so until `zads sim heal`.")
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
    if not _community(args.community):
        return 2
    if not 0 <= args.share <= 1:
        print("The share of the arrival rate lies between 0 and 1, for example 0.2", file=sys.stderr)
        return 2

    def slow(content: control.Control) -> None:
        content["communities"].setdefault(args.community, {})["rate_share"] = args.share
        content["simulator"]["public"] = True  # in a private block nobody would fall behind

    control.change(here().control, slow)
    print(f"{args.community} takes {args.share:.0%} of what arrives, until `zads sim heal`.")
    return 0


def _community(name: str) -> bool:
    known = [community.name for community in load(here().site).communities]
    if name not in known:
        print(f"{name!r} is no community; known: {', '.join(known)}", file=sys.stderr)
    return name in known


def _never_commit(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    if not _community(args.community):
        return 2

    def keep(content: control.Control) -> None:
        content["communities"].setdefault(args.community, {})["commits"] = False
        content["simulator"]["public"] = True

    control.change(here().control, keep)
    print(f"{args.community} reads on and commits nothing, until `zads sim heal`.")
    return 0


def _leak(_args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    control.change(here().control, lambda c: c["simulator"].update({"leak": time.time()}))
    print("One packet of a private program goes into the public topic at IPAC. It cannot be taken back.")
    return 0


def _fill(_args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    paths = here()
    pid = next((row["pid"] for row in up.services(paths) if row["name"] == "node-exporter"), None)
    real = trouble_disk.mount(paths, pid)
    control.change(paths.control, lambda c: c["simulator"].update({"fill": True}))
    where = f"The disk {trouble_disk.folder(paths)}" if real else "A disk that is only simulated (at node_exporter's metric)"
    print(f"{where} is full in some 2 h 30 min, until `zads sim heal`. It is paged after half an hour.")
    return 0


def _fail_task(_args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    control.change(here().control, lambda c: c["simulator"].update({"fail_task": True, "public": True}))
    try:
        topics = trouble_mirror.fail_tasks(load(here().site))
    except KafkaFailure as error:
        print(f"The public Kafka does not take the change: {error}", file=sys.stderr)
        return 1
    print(f"{', '.join(topics) or 'No topic'}: alerts are refused as too large, so that MirrorMaker's tasks fail.")
    return 0


def _host_gone(_args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    control.change(here().control, lambda c: c["simulator"].update({"host_gone": True}))
    try:
        trouble_host.relabel(here(), apart=True)
    except OSError as error:
        print(f"Prometheus' files cannot be changed: {error}", file=sys.stderr)
        return 1
    known = {row["name"] for row in up.services(here())}
    return _held([name for name in trouble_host.ON_HOST if name in known], "killed")


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
    # In a private block no garbage would come to the public cluster.
    flags = {args.verb: True, **({"public": True} if args.verb == "garbage" else {})}
    control.change(here().control, lambda c: c["simulator"].update(flags))
    what = {
        "clouds": "No exposures",
        "garbage": "One packet in five is garbage",
        "stranger": f"A consumer reads from {STRANGER}, which is no community's",
    }[args.verb]
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


def _heal(args: argparse.Namespace) -> int:
    if not _ready():
        return 1
    paths = here()
    names: set[str] | None = None
    if args.what:
        names = {found for written in args.what for found in _healed(written)}
        if "" in names:
            return 2
    before = control.read(paths.control)["simulator"]

    def take_back(content: control.Control) -> None:
        for part in content.values():
            for key in [key for key in part if names is None or key in names]:
                del part[key]
        slowed = any(one.get("rate_share") is not None or "commits" in one for one in content["communities"].values())
        if not slowed and not {"late_seconds", "fail_task", "garbage"} & content["simulator"].keys():
            content["simulator"].pop("public", None)

    after = control.change(paths.control, take_back)
    code = _undo(set(before) - set(after["simulator"]))

    def let_go() -> bool:
        held = {row["name"] for row in up.services(paths) if row["state"] in _HELD.values()}
        return not (held if names is None else held & names)

    if not _until(let_go):
        print("The supervisor has not let go of everything yet: `zads stack status`", file=sys.stderr)
        return 1
    whose = "All trouble" if names is None else f"The trouble with {', '.join(args.what)}"
    print(f"{whose} is undone; the supervisor starts what was ended.")
    return code


def _healed(written: str) -> list[str]:
    """Return the keys of the control file that a word of `heal` means; [""] after saying that it means none."""
    if written in _WORDS or written in PROVIDERS:
        key = _WORDS.get(written, written)
        return [key, *(trouble_host.ON_HOST if key == "host_gone" else ())]
    name = _component(written)
    return [""] if name is None else [name, name.removeprefix("community-")]


def _undo(gone: set[str]) -> int:
    """Undo what the control file alone cannot; return the exit code."""
    paths, failed = here(), []
    if "fill" in gone:
        trouble_disk.unmount(paths)
    if "host_gone" in gone:
        try:
            trouble_host.relabel(paths, apart=False)
        except OSError as error:
            failed.append(f"Prometheus' files: {error}")
    if "fail_task" in gone:
        try:
            trouble_mirror.mend_topics(load(paths.site))
        except KafkaFailure as error:
            failed.append(f"the topics' settings on the public Kafka: {error}")
        # What the runbook says: dedicated mode starts no failed task again.
        pid = next((row["pid"] for row in up.services(paths) if row["name"] == "mirrormaker"), None)
        if pid:
            os.kill(int(pid), signal.SIGTERM)
    for words in failed:
        print(f"Could not be undone: {words}. `make down` and `make up` do it.", file=sys.stderr)
    return 1 if failed else 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads sim`."""
    parser = commands.add_parser("sim", help="cause trouble in the running stack, and undo it")
    actions = parser.add_subparsers(required=True, metavar="TROUBLE")

    def add(name: str, text: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text)
        action.set_defaults(func=in_containers.obeyed(name, call), verb=name)
        return action

    slow = add("slow", "let a community take only a share of the arrival rate", _slow)
    slow.add_argument("community")
    slow.add_argument("share", type=float)
    for verb, text in (
        ("stop", "end a component in an orderly way"),
        ("kill", "kill a component for good"),
        ("pause", "freeze a component (SIGSTOP)"),
    ):
        add(verb, text, _hold).add_argument(
            "name", nargs="+", help="a component, or kafka, mirror, upstream, or a community; several at once"
        )
    add("restart", "kill a component once; the supervisor starts it again", _restart).add_argument(
        "name", help="a component, or kafka, mirror, upstream, or a community"
    )
    refuse = add("refuse", "let a provider take no message", _refuse)
    refuse.add_argument("provider", choices=PROVIDERS)
    add("late", "let packets come later after their exposure", _late).add_argument("seconds")
    add("clouds", "stop exposures", _flag)
    add("garbage", "send packets that are none", _flag)
    add("never-commit", "let a community read and commit nothing", _never_commit).add_argument("community")
    add("stranger", "let a consumer from an address of no community read", _flag)
    add("leak", "put one packet of a private program into the public topic", _leak)
    add("fail-task", "let MirrorMaker's tasks fail while its process lives", _fail_task)
    add("host-gone", "kill what runs on the Kafka host, as if the monitor were another machine", _host_gone)
    add("fill", "fill a small disk (mounted where root may, else simulated at the metric)", _fill)
    heal = add("heal", "undo all trouble, or that of some names alone", _heal)
    heal.add_argument("what", nargs="*", help=f"a component, a provider, or {', '.join(_WORDS)}; nothing is all")
