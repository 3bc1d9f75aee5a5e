"""The command zads: collects its subcommands from the entry points `zads.commands`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from zads.config import ConfigErrors, default_path


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every installed subcommand."""
    parser = argparse.ArgumentParser(prog="zads", description="Monitor the ZTF Alert Distribution System.")
    parser.add_argument("--config", type=Path, default=default_path(), help="the site's file (default: %(default)s)")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for entry in sorted(entry_points(group="zads.commands"), key=lambda e: e.name):
        try:
            entry.load()(commands)
        except ModuleNotFoundError as error:
            # One part that is not installed must not take the others' commands away.
            logging.getLogger(__name__).debug("command %s is not available: %s", entry.name, error)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 (failed) or 2 (bad config or usage)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in ("kafka", "mail.log", "pyroute2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    args = build_parser().parse_args(argv)
    try:
        return int(args.func(args) or 0)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        count = len(errors.errors)
        print(f"{count} {'error' if count == 1 else 'errors'} in {errors.source}: nothing was changed.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
