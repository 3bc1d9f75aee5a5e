"""`zads init --bootstrap HOST:PORT`: look at a real Kafka and write a zads.toml to start from."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from zads import kafka
from zads.config import Config, KafkaCluster, host_port, parse

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_INTERNAL = re.compile(r"^(zads-|connect-|.*-mm2$|mm2|_)")


def _init(args: argparse.Namespace) -> int:
    target: Path = args.output
    if target.exists() and not args.force:
        print(f"{target} exists; give another name with --output, or --force", file=sys.stderr)
        return 2
    try:
        host_port(args.bootstrap)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters is said below, once
    try:
        kafka.api_versions(args.bootstrap, 5.0)
    except OSError as error:
        print(f"{args.bootstrap} does not answer as a Kafka broker: {error}. Is the port open from here?", file=sys.stderr)
        return 1
    reader = kafka.ClusterReader(KafkaCluster(bootstrap=(args.bootstrap,)), client_id="zads-init", timeout=10.0)
    try:
        metadata = reader.metadata()
        groups = reader.groups().values
    except (kafka.KafkaFailure, OSError, TimeoutError) as error:
        print(
            f"{args.bootstrap} does not answer as a Kafka broker: {type(error).__name__}. Is the port open from here?",
            file=sys.stderr,
        )
        return 1
    finally:
        reader.close()
    text = write(args.bootstrap, metadata.topics, groups)
    config = parse(text, str(target))
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {len(metadata.brokers)} brokers, {len(metadata.topics)} topics, {_summary(config)}")
    print(f"Next: zads --config {target} config check; zads --config {target} export kafka-lag --once")
    return 0


def _summary(config: Config) -> str:
    names = ", ".join(community.name for community in config.communities) or "no community yet"
    return f"{len(config.communities)} groups taken for communities: {names}"


def write(bootstrap: str, topics: Iterable[str], groups: Iterable[str]) -> str:
    """Return a zads.toml for what was found: one community per kind of group."""
    host, _ = host_port(bootstrap)
    alerts = sorted(name for name in topics if re.fullmatch(r"ztf_\d{8}_programid\d", name))
    seen = f"{len(alerts)} alert topics, the newest {alerts[-1]}" if alerts else "no alert topic yet (they come each night)"
    lines = [
        f"# Written by `zads init`: {seen}.",
        "[site]",
        'name = "ZADS"',
        "",
        "[kafka.public]",
        f'bootstrap = ["{bootstrap}"]',
        "",
        "[[host]]",
        'name = "kafka"',
        f'address = "{host}"',
        f'probe = "{bootstrap}"',
    ]
    found: dict[str, str] = {}
    for group in sorted(groups):
        if _INTERNAL.match(group):
            continue
        # An id that is new at each run is a pattern, not a name.
        pattern = ".*".join(re.escape(part) for part in _UUID.split(group))
        name = re.sub(r"[^a-z0-9]+", "-", _UUID.sub("", group).lower()).strip("-")[:60] or "community"
        found.setdefault(name, pattern)
    for name, pattern in found.items():
        lines += [
            "",
            "[[community]]   # add its networks for egress on the wire",
            f'name = "{name}"',
            f"groups = ['{pattern}']",
        ]
    return "\n".join(lines) + "\n"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads init`."""
    parser = commands.add_parser("init", help="look at a Kafka and write a zads.toml to start from")
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT")
    parser.add_argument("--output", type=Path, default=Path("my-zads.toml"), help="file to write (default: %(default)s)")
    parser.add_argument("--force", action="store_true", help="overwrite it")
    parser.set_defaults(func=_init)
