"""`zads config check | print | render [DIR] | apply [DIR]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from zads.config import ConfigErrors, check_secrets, load, located, parse, read, warnings


def _check(args: argparse.Namespace) -> int:
    text = read(args.config)
    config = parse(text, str(args.config))
    for warning in warnings(text, config):
        print(located(str(args.config), warning).replace(": ", ": warning: ", 1), file=sys.stderr)
    if args.secrets and (errors := check_secrets(config)):
        raise ConfigErrors(str(args.config), errors)
    counts = (
        (config.communities, "community", "communities"),
        (config.hosts, "host", "hosts"),
        (config.services, "service", "services"),
    )
    words = ", ".join(f"{len(items)} {one if len(items) == 1 else many}" for items, one, many in counts)
    print(f"{args.config} is right: {words}")
    return 0


def _print(args: argparse.Namespace) -> int:
    # Secrets stand in files and in the environment, which the config only names: nothing needs hiding beyond that.
    print(load(args.config).model_dump_json(indent=2, by_alias=True))
    return 0


def _render(args: argparse.Namespace) -> int:
    from zads.apply import aimed
    from zads.render import render, write

    text = read(args.config)
    config = aimed(parse(text, str(args.config)), args.directory, args.rules)
    rules, directory = config.rendered.rules, config.rendered.directory
    if not list(rules.glob("*.rules.yml")):
        print(f"{rules} holds no *.rules.yml: name the folder of the alert rules with --rules", file=sys.stderr)
        return 1
    files = {**render(config, rules.resolve()), config.rendered.site.name: text}
    write(files, directory)
    for name in sorted(files):
        print(directory / name)
    return 0


def _apply(args: argparse.Namespace) -> int:
    from zads.apply import ApplyRefused, ApplyRuns, apply

    try:
        lines = apply(args.config, args.directory, args.rules, args.patience)
    except (ApplyRefused, ApplyRuns) as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads config`."""
    parser = commands.add_parser("config", help="check, print, render or apply the site's file")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="print every error at once; exit 2 if there is one")
    check.add_argument("--secrets", action="store_true", help="read every secret too")
    check.set_defaults(func=_check)
    actions.add_parser("print", help="print the effective values as JSON").set_defaults(func=_print)
    render = actions.add_parser("render", help="write the files that other programs read")
    render.set_defaults(func=_render)
    apply = actions.add_parser("apply", help="check, render, swap and reload; all back when a program refuses")
    apply.add_argument("--patience", type=float, default=20.0, help="seconds that each of our programs has to answer")
    apply.set_defaults(func=_apply)
    for action in (render, apply):
        action.add_argument("directory", type=Path, nargs="?", help="folder of the files (default: rendered.directory)")
        action.add_argument("--rules", type=Path, help="folder of the alert rules (default: rendered.rules)")
