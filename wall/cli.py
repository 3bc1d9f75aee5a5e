"""`zads wall serve`."""

from __future__ import annotations

import argparse
import sys

from wall.app import application
from wall.assets import LibraryMissing
from wall.source import Source
from zads import reload
from zads.config import load
from zads.serve import serve


def _serve(args: argparse.Namespace) -> int:
    config = load(args.config)
    try:
        app = application(Source(config))
    except LibraryMissing as error:
        print(error, file=sys.stderr)
        return 1
    # The page keeps nothing: a new configuration is a new start in the same process.
    with reload.Listener(config.exporters.state_dir, "wall", args.config, reload.again):
        return 0 if serve(app, config.wall.listen, grace=3) else 1


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads wall`."""
    parser = commands.add_parser("wall", help="the wall page, for machines without Grafana")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="serve the page").set_defaults(func=_serve)
