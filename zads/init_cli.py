"""`zads init --bootstrap HOST:PORT`: look at a real Kafka and write a zads.toml to start from."""

from __future__ import annotations

import argparse
import logging
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from zads import init_site
from zads.config import Config, ConfigErrors, KafkaCluster, host_port, parse

if TYPE_CHECKING:
    from zads.kafka import ClusterReader, Metadata

_SECURITY = ("security_protocol", "ca_file", "sasl_mechanism", "sasl_username", "sasl_password_file", "sasl_password_env")


class _Silent(Exception):
    """The Kafka does not answer."""


def _init(args: argparse.Namespace) -> int:
    target = _target(args)
    if target is None:
        return 2
    security = {key: value for key in _SECURITY if (value := getattr(args, key)) is not None}
    addresses = [address.strip() for address in args.bootstrap.split(",")]
    try:
        for address in addresses:
            host_port(address)
        head = init_site.head(addresses, security)
        cluster = parse(head).kafka["public"]
    except ConfigErrors as errors:
        print("\n".join(str(error) for error in errors.errors), file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"--bootstrap: {error}", file=sys.stderr)
        return 2
    try:
        metadata, seen = _look(cluster)
    except _Silent as error:
        print(f"{addresses[0]} does not answer as a Kafka broker: {error}. Is the port open from here?", file=sys.stderr)
        if cluster.security_protocol == "PLAINTEXT":
            print("If it wants encryption or a login: --security-protocol SSL or SASL_SSL, see --help.", file=sys.stderr)
        return 1
    text = init_site.site(head, seen)
    config = parse(text, str(target))
    try:
        _write(target, text, force=args.force)
    except OSError as error:
        print(f"{target} cannot be written: {error.strerror}. Name another file with --output.", file=sys.stderr)
        return 1
    topics = len(metadata.topics)
    print(f"{target}: {_count(len(metadata.brokers), 'broker')}, {_count(topics, 'topic')}, {_summary(config)}")
    option = "" if target == Path("zads.toml") else f"--config {target} "
    print(f"Next: zads {option}config check; zads {option}export kafka-lag --once")
    return 0


def _target(args: argparse.Namespace) -> Path | None:
    """Return the file to write, None (and say so) when it is there already."""
    target: Path = args.output or Path("my-zads.toml" if Path("zads.toml").exists() else "zads.toml")
    if target.exists() and not args.force:
        print(f"{target} exists; give another name with --output, or --force", file=sys.stderr)
        return None
    return target


def _write(target: Path, text: str, *, force: bool) -> None:
    with target.open("w" if force else "x", encoding="utf-8") as file:
        file.write(text)


def _look(cluster: KafkaCluster) -> tuple[Metadata, init_site.Seen]:
    """Return what is seen of the cluster; raises _Silent when it does not answer."""
    from zads import kafka

    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters is said below, once
    try:
        kafka.api_versions(cluster.bootstrap[0], 5.0, cluster)
    except OSError as error:
        raise _Silent(str(error)) from None
    reader = kafka.ClusterReader(cluster, client_id="zads-init", timeout=10.0)
    try:
        return _see(reader, cluster)
    except (kafka.KafkaFailure, OSError, TimeoutError) as error:
        raise _Silent((str(error) or type(error).__name__).split("\n", 1)[0][:200]) from None
    finally:
        reader.close()


def _see(reader: ClusterReader, cluster: KafkaCluster) -> tuple[Metadata, init_site.Seen]:
    metadata = reader.metadata()
    groups = reader.groups().values
    committed = {group: {topic for topic, _ in parts} for group, parts in reader.committed(groups.values()).values.items()}
    states = {name: group.state for name, group in groups.items() if group.type != "share"}
    return metadata, init_site.Seen(sorted(metadata.topics), states, committed, _peers(cluster.bootstrap[0]))


def _peers(bootstrap: str) -> list[str]:
    """Return who is connected to the broker; empty when it runs on another machine or that cannot be seen."""
    import psutil

    host, port = host_port(bootstrap)
    try:
        connections = psutil.net_connections("tcp")
        own = {address.address.split("%")[0] for card in psutil.net_if_addrs().values() for address in card}
    except (psutil.Error, OSError):
        return []
    if host not in own | {"localhost"} or not any(
        c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port for c in connections
    ):
        return []
    remote = set()
    for connection in connections:
        if connection.status != psutil.CONN_ESTABLISHED or not connection.laddr or not connection.raddr:
            continue
        if connection.laddr.port == port:
            address = ip_address(connection.raddr.ip.split("%")[0])
            plain = getattr(address, "ipv4_mapped", None) or address
            if str(plain) not in own:
                remote.add(plain)
    return [str(address) for address in sorted(remote, key=lambda a: (a.version, a))]


def _summary(config: Config) -> str:
    names = ", ".join(community.name for community in config.communities) or "no community yet"
    return f"{_count(len(config.communities), 'group')} taken for communities: {names}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads init`."""
    parser = commands.add_parser("init", help="look at a Kafka and write a zads.toml to start from")
    parser.add_argument("--bootstrap", required=True, metavar="HOST:PORT", help="a broker, or several with commas between")
    parser.add_argument("--output", type=Path, help="file to write (default: zads.toml, or my-zads.toml where there is one)")
    parser.add_argument("--force", action="store_true", help="overwrite it")
    for key in _SECURITY:
        parser.add_argument(f"--{key.replace('_', '-')}", help=f"{key} of [kafka.public]")
    parser.set_defaults(func=_init)
