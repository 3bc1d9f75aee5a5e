"""`zads stack containers`: write what docker-compose.yml's containers read; its first container runs this and ends."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from zads.config import ConfigError, ConfigErrors, load
from zads.stack import container_files
from zads.stack.containers import CONFIG, Layout, simulated

_SHARE = Path(sys.prefix, "share", "zads")
_MEMORY_MB = 3000


def write(args: argparse.Namespace) -> int:
    """Write everything; a broken zads.toml changes nothing."""
    if not args.config.is_file():
        raise ConfigErrors(str(args.config), [ConfigError("", "is no file: ZADS_TOML has to name zads.toml")])
    config = container_files.write(
        args.config, args.secrets, args.out, args.share, Layout(args.subnet), page=os.environ.get("ZADS_NOTIFIER_PORT", "")
    )
    kind = "the simulated night" if simulated(config) else f"a monitor of {config.kafka['public'].bootstrap[0]}"
    if simulated(config) and (memory := _memory_mb()) < _MEMORY_MB:
        print(f"Memory is short: the simulated night needs {_MEMORY_MB} MB, this machine has {memory}.", file=sys.stderr)
    print(f"{args.out} is written for {kind}: longitude {config.site.longitude}.")
    return 0


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 1_000_000


def check_real(args: argparse.Namespace) -> int:
    """Say so where the monitor alone was started with the simulated night's zads.toml."""
    if not simulated(load(args.config)):
        return 0
    print(
        "The profile `monitor` watches a real Kafka, and kafka.public.bootstrap is the simulated one's: let ZADS_TOML name "
        "your own zads.toml.",
        file=sys.stderr,
    )
    return 2


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the actions to `zads stack`."""
    parser = actions.add_parser("containers", help="write what docker-compose.yml's containers read")
    parser.add_argument("--out", type=Path, default=Path(CONFIG), help="folder to write into (default: %(default)s)")
    parser.add_argument("--secrets", type=Path, default=Path("/site/secrets"), help="folder with the secrets that are given")
    parser.add_argument("--share", type=Path, default=_SHARE, help="folder with what the image brings along")
    parser.add_argument(
        "--subnet", default=os.environ.get("ZADS_SUBNET") or Layout.subnet, help="first half of the addresses"
    )
    parser.set_defaults(func=write)
    actions.add_parser("real", help="is this zads.toml a real Kafka's?").set_defaults(func=check_real)
