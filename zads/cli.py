"""The command zads: collects its subcommands from the entry points `zads.commands`.

Only the part that was asked for is imported, inside `main`: a part that is broken takes no other's command
away, and what goes wrong, while importing too, is said in one line. `ZADS_DEBUG=1` adds the traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

_DESCRIPTION = "Monitor the ZTF Alert Distribution System."


def build_parser(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser with every installed subcommand, or with `only` one when there is one of that name."""
    from importlib.metadata import entry_points
    from pathlib import Path

    from zads.config import default_path

    parser = argparse.ArgumentParser(
        prog="zads",
        description=_DESCRIPTION,
        epilog="With ZADS_DEBUG=1 in the environment errors show where they come from.",
    )
    parser.add_argument("--config", type=Path, default=default_path(), help="the site's file (default: %(default)s)")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    entries = {entry.name: entry for entry in entry_points(group="zads.commands")}
    for name in [only] if only in entries else sorted(entries):
        try:
            entries[name].load()(commands)
        except Exception as error:  # whatever breaks one part: the others' commands stay, and it is said by name
            _debug()
            _absent(commands, name, f"zads {name} is not available: {type(error).__name__}: {error}")
    return parser


def _absent(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: str) -> None:
    """Add a command that only says why it is not there, whatever it is asked."""

    def say(_args: argparse.Namespace) -> int:
        print(f"{words}. Is all of it installed? `make install` does that.", file=sys.stderr)
        return 1

    known = commands.choices.get(name) if commands.choices else None
    # With another prefix every word is an argument, also one that begins with a dash.
    parser = known or commands.add_parser(name, prefix_chars="\0", add_help=False, help="(not available)")
    if known is None:
        parser.add_argument("words", nargs=argparse.REMAINDER)
    parser.set_defaults(func=say)


def _command(argv: Sequence[str]) -> str | None:
    """Return the first word that is neither an option nor the value of --config."""
    words = iter(argv)
    for word in words:
        if word.startswith("--c") and "--config".startswith(word):
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def _run(argv: Sequence[str]) -> int:
    import logging

    from zads.config import ConfigErrors, SecretError

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in ("kafka", "mail.log"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    args = build_parser(_command(argv)).parse_args(argv)
    try:
        return int(args.func(args) or 0)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        count = len(errors.errors)
        print(f"{count} {'error' if count == 1 else 'errors'} in {errors.source}: nothing was changed.", file=sys.stderr)
        return 2
    except SecretError as error:
        print(f"{args.config}: {error}", file=sys.stderr)
        return 2


def _debug() -> None:
    if os.environ.get("ZADS_DEBUG"):
        import traceback

        traceback.print_exc()


def _words(error: Exception) -> str:
    """Return an error in one line: what failed on which file, and why."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def _drop_output() -> None:
    """Let the interpreter's last flush go nowhere: whoever read our output is gone, or its disk is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(nowhere)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 (failed), 2 (bad config or usage) or 130 (interrupted)."""
    words = sys.argv[1:] if argv is None else argv
    name = f"zads {_command(words) or ''}".strip()
    try:
        try:
            return _run(words)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 0
    except (OSError, ValueError) as error:
        _debug()
        print(f"{name}: {_words(error)}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return 1
    except ImportError as error:
        _debug()
        print(f"{name} is not available: {error}. Is all of it installed? `make install` does that.", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
