"""`zads stack up | down | status | logs | inbox`, and the stack's own processes."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from zads.config import Config, ConfigErrors, load
from zads.stack import components, container_cli, control, lock, up
from zads.stack.errors import StackError
from zads.stack.paths import Paths, here
from zads.stack.supervisor import Supervisor, holder, log_tail


def _guarded(call: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Print what went wrong for the operator instead of a traceback."""

    def run(args: argparse.Namespace) -> int:
        try:
            return call(args)
        except StackError as error:
            print(f"\n{error}", file=sys.stderr)
            return 1
        except OSError as error:
            print(f"\n{error.filename or 'Input or output'}: {error.strerror or error}.", file=sys.stderr)
            return 1

    return run


def _options(args: argparse.Namespace) -> dict[str, str]:
    return {"scale": str(args.scale), "profile": args.profile, "seed": str(args.seed)}


def _up(args: argparse.Namespace) -> int:
    paths = here()
    console = Console(highlight=False, stderr=False)
    # A closed terminal and a plain kill end a start as Ctrl-C does: nothing half-started is left.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    paths.make()
    with _alone(paths, console):
        if holder(paths):
            return _already(paths, console)
        return _start(paths, console, args)


@contextmanager
def _alone(paths: Paths, console: Console) -> Iterator[None]:
    """Let one `make up` at a time start something here; a second one waits and then finds it running."""
    told = False
    while (mine := lock.take(paths.dir / "up.lock")) is None:
        if not told:
            console.print("Another `make up` is at work here; waiting for it ...")
        told = True
        time.sleep(0.3)
    with mine:
        yield


def _already(paths: Paths, console: Console) -> int:
    """Show a stack that runs; it is never ended from here."""
    config = load(paths.site)
    console.print("The stack already runs here.")
    console.print(_table(paths))
    trouble = up.hold_ups(paths)
    for line in trouble:
        console.print(line)
    if not trouble:
        _where(config, console)
    return 1 if trouble else 0


def _start(paths: Paths, console: Console, args: argparse.Namespace) -> int:
    begin, source = time.time(), args.config.resolve()
    try:
        up.sweep(paths)
        config = up.prepare(paths, source)
        console.print("Looking for the programs and for Kafka's jars ...")
        up.check_ports(up.build(paths, config, _options(args)))
        console.print("Starting ...")
        up.start(paths, source, _options(args))
        up.wait_green(paths, lambda line: console.print(f"  {line}"))
        up.wait_flow(config, lambda line: console.print(f"  {line}"), begin)
    except KeyboardInterrupt:
        console.print("\nInterrupted: ending what was started ...")
        up.down(paths)
        console.print("Nothing was left running.")
        return 130
    except (StackError, ConfigErrors):
        up.down(paths)
        raise
    console.print(_table(paths))
    console.print(f"All is green after {time.time() - begin:.0f} s.")
    _where(config, console)
    return 0


def _where(config: Config, console: Console) -> None:
    console.print(f"The wall: http://{config.wall.listen}/")
    console.print(f"The notifier's page: http://{config.notifier.listen}/")
    console.print(f"What was sent: http://{components.inbox_addresses(config)[0]}/")
    console.print("Cause trouble: .venv/bin/zads sim kill kafka")
    console.print("Undo it: .venv/bin/zads sim heal; end: make down")


def _table(paths: Paths) -> Table:
    table = Table("service", "state", "address", "pid", "since (UTC)")
    for row in up.services(paths):
        table.add_row(row["name"], row["state"], row["url"], str(row["pid"] or ""), row["since"][11:19])
    return table


def _down(_args: argparse.Namespace) -> int:
    paths = here()
    running = holder(paths) is not None
    left = up.down(paths)
    if not running and not left:
        print("Nothing runs here.")
    else:
        print(
            f"The stack is down{f'; {left} left-over processes were ended' if left else ''}. Its data stays in {paths.dir}."
        )
    return 0


def _status(args: argparse.Namespace) -> int:
    paths = here()
    rows = up.services(paths) if holder(paths) else []
    if args.json:
        print(json.dumps({"services": rows}, indent=1))
    elif not rows:
        print("Nothing runs here. `make up` starts the stack.")
    else:
        Console().print(_table(paths))
    return 0 if rows else 1


def _logs(args: argparse.Namespace) -> int:
    paths = here()
    path = paths.logs / f"{args.name}.log"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in paths.logs.glob("*.log"))) or "none yet"
        raise StackError(f"There is no log of {args.name!r}.", f"Known: {known}.")
    print(log_tail(path, args.lines))
    return 0


def _inbox(args: argparse.Namespace) -> int:
    try:
        http, _ = components.inbox_addresses(load(here().site))
        with urllib.request.urlopen(f"http://{http}/inbox.json", timeout=5) as answer:
            messages = json.load(answer)
    except (OSError, ValueError, ConfigErrors):
        raise StackError("The inbox does not answer.", "Is the stack up? `zads stack status` says so.") from None
    if args.json:
        print(json.dumps(messages, indent=1, ensure_ascii=False))
        return 0
    for message in messages:
        print(f"{message['at']}  {message['channel']:<9} {message['state']:<12} {message['title']}")
        print("".join(f"    {line}\n" for line in message["text"].splitlines()))
    return 0


def _supervise(args: argparse.Namespace) -> int:
    paths = here()
    config = load(paths.site)
    return Supervisor(up.build(paths, config, _options(args)), paths).run()


def _run_inbox(args: argparse.Namespace) -> int:
    from zads.stack import inbox

    config, paths = load(args.config), here()
    slack, pagerduty, webhook = config.notifier.slack, config.notifier.pagerduty, config.notifier.webhook
    http, smtp = components.inbox_addresses(config, args.listen)
    trouble = control.Watch(paths.control)
    return inbox.run(
        paths.data / "inbox" / "received.jsonl",
        http,
        smtp,
        slack_token=slack.token() if slack and not slack.has_webhook_url else "",
        slack_hook=urlsplit(slack.webhook_url()).path.partition("/services/")[2] if slack and slack.has_webhook_url else "",
        slack_channel=slack.channel if slack else "",
        routing_key=pagerduty.routing_key() if pagerduty else "",
        api_token=(pagerduty.api_token() or "") if pagerduty else "",
        webhook_secret=webhook.secret() if webhook else "",
        away=lambda name: bool(trouble()["providers"].get(name)),
    )


def _run_simulator(args: argparse.Namespace) -> int:
    from zads.stack.simulator import Simulator

    paths = here()
    record = paths.data / "simulator.json"
    simulator = Simulator(load(args.config), paths.control, record, scale=args.scale, profile=args.profile, seed=args.seed)
    return simulator.run()


def _run_community(args: argparse.Namespace) -> int:
    from zads.stack.community import Reader

    config, paths = load(args.config), here()
    for community in config.communities:
        if community.name == args.name:
            return Reader(config, community, paths.control, paths.data / f"community-{args.name}.json").run()
    raise StackError(f"{args.name!r} is no [[community]] of {args.config}.")


def _simulation(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scale", type=float, default=0.1, help="share of ZTF's real rate (default: %(default)s)")
    parser.add_argument("--profile", choices=("ztf", "cloudy", "burst"), default="ztf", help="kind of night")
    parser.add_argument("--seed", type=int, default=20180604, help="the same seed gives the same night")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads stack`."""
    parser = commands.add_parser("stack", help="the whole system on this machine")
    actions = parser.add_subparsers(required=True, metavar="ACTION")

    def add(name: str, text: str, call: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text)
        action.set_defaults(func=_guarded(call))
        return action

    _simulation(add("up", "start everything and return when alerts flow", _up))
    add("down", "end everything", _down)
    add("status", "what runs, since when", _status).add_argument("--json", action="store_true")
    logs = add("logs", "the last lines of one component's log", _logs)
    logs.add_argument("name")
    logs.add_argument("-n", "--lines", type=int, default=40)
    add("inbox", "what e-mail, Slack and PagerDuty received", _inbox).add_argument("--json", action="store_true")
    _simulation(add("supervise", "run the supervisor in the foreground", _supervise))
    inbox = add("run-inbox", "run the stand-ins", _run_inbox)
    inbox.add_argument("--listen", metavar="HOST", help="listen on this name's address instead of loopback")
    container_cli.register(actions)
    _simulation(add("run-simulator", "run the simulated IPAC", _run_simulator))
    add("run-community", "run one community's consumer", _run_community).add_argument("name")
