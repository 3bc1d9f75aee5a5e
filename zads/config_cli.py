"""`zads config check | print | render DIR | apply DIR`."""

from __future__ import annotations

import argparse
from pathlib import Path

from zads.config import load


def _check(args: argparse.Namespace) -> int:
    config = load(args.config)
    print(
        f"{args.config} is right: {len(config.communities)} communities, {len(config.hosts)} hosts, "
        f"{len(config.services)} services"
    )
    return 0


def _print(args: argparse.Namespace) -> int:
    # Secrets stand in files that the config only names, so nothing needs hiding beyond that.
    print(load(args.config).model_dump_json(indent=2, by_alias=True))
    return 0


def _render(args: argparse.Namespace) -> int:
    from zads.render import render, write

    files = render(load(args.config), args.rules.resolve())
    write(files, args.directory)
    for name in sorted(files):
        print(args.directory / name)
    return 0


def _apply(args: argparse.Namespace) -> int:
    from zads.apply import apply

    for line in apply(load(args.config), args.rules.resolve(), args.directory):
        print(line)
    print("Prometheus and Alertmanager have loaded it.")
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads config`."""
    parser = commands.add_parser("config", help="check, print or render the site's file")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("check", help="print every error at once; exit 2 if there is one").set_defaults(func=_check)
    actions.add_parser("print", help="print the effective values as JSON").set_defaults(func=_print)
    render = actions.add_parser("render", help="write the files that other programs read")
    render.add_argument("directory", type=Path)
    render.add_argument("--rules", type=Path, default=Path("alertrules"), help="folder of the rule files")
    render.set_defaults(func=_render)
    apply = actions.add_parser("apply", help="check, render, swap and reload; roll back when a program refuses")
    apply.add_argument("directory", type=Path, nargs="?", default=Path("/etc/zads/rendered"))
    apply.add_argument("--rules", type=Path, default=Path("alertrules"), help="folder of the rule files")
    apply.set_defaults(func=_apply)
