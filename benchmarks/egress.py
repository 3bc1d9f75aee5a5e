"""Egress: what the exporter says a community was sent, beside the bytes that a consumer's sockets really took.

    python -m benchmarks.egress            the errors, some eight minutes
    python -m benchmarks.egress --cpu      what the exporter costs at 5, 50 and 500 connections

Kafkas and exporters are processes of their own. Java listens on IPv6 sockets, so that IPv4 clients have IPv4-mapped
addresses, unless it is told otherwise: both are measured.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.conftest import Node, free_pair
from tests.support.counted_sockets import Counted
from zads import kafka
from zads.config import KafkaCluster
from zads.stack.alert_packets import Exposure, templates

ZADS = str(Path(sys.executable).parent / "zads")
NIGHT = "20260501"
CONNECTIONS = (5, 50, 500)
CPU_SECONDS = 30.0
WIRE_AIM, OFFSETS_AIM = 0.01, 0.05
_SETTLE = 30.0
_GROUPS = itertools.count(1)
STACKS = ("IPv4-mapped", "IPv4", "IPv6")
TOPICS = {
    "lz4": (f"ztf_{NIGHT}_programid1", 300, "lz4"),
    "plain": (f"ztf_{NIGHT}_programid2", 300, None),
    "few": (f"ztf_{NIGHT}_programid3", 20, "lz4"),
}


class Exporter:
    """`zads export broker-egress`, a process of its own; each community has its address."""

    def __init__(self, addresses: list[str], folder: Path, networks: dict[str, str]) -> None:
        self._port, self._file = free_pair(), folder / "zads.toml"
        communities = "".join(
            f'[[community]]\nname = "{name}"\ngroups = ["{name}-.*"]\nnetworks = ["{network}"]\n'
            for name, network in networks.items()
        )
        bootstrap = ", ".join(f'"{address}"' for address in addresses)
        self._file.write_text(
            f'[kafka.public]\nbootstrap = [{bootstrap}]\n[exporters]\nlisten = "127.0.0.1"\n'
            f'broker_egress_port = {self._port}\nstate_dir = "{folder / "state"}"\n[internal]\nnetworks = ["127.0.0.1/32"]\n{communities}'
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin, and wait until it sees the wire."""
        self._process = subprocess.Popen([ZADS, "--config", str(self._file), "export", "broker-egress"])
        deadline = time.monotonic() + _SETTLE
        while self.value("zads_egress_wire_readable") != 1:
            assert time.monotonic() < deadline, "the exporter does not see the wire"
            time.sleep(0.2)

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def process(self) -> psutil.Process:
        """Return the process."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def value(self, metric: str, **labels: str) -> float:
        """Return the sum of the metric's samples with these labels."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return 0.0
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def bytes(self, community: str) -> dict[str, float]:
        """Return both measurements once they stand still: no byte more within three collections."""
        last: dict[str, float] = {}
        since = time.monotonic()
        deadline = since + 2 * _SETTLE
        while time.monotonic() < deadline:
            name = "zads_community_egress_bytes_total"
            now = {source: self.value(name, community=community, source=source) for source in ("wire", "offsets")}
            if now != last:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > 16:
                break
            time.sleep(1)
        return last


@dataclass(frozen=True)
class Taken:
    """What consumers took: bytes by their sockets, bytes of the alerts themselves, and in how many connections."""

    sockets: int
    alerts: int
    sessions: int


class Reader:
    """A community that reads a topic from its own address, and commits."""

    def __init__(self, address: str, topic: str, community: str, source: str) -> None:
        self._address, self._topic, self._community, self._source = address, topic, community, source

    def read(self, count: int, sessions: int = 1, during: Callable[[], None] | None = None) -> Taken:
        """Read so many alerts in each session, from the topic's start; `during` is called half way of each."""
        Counted.taken, alerts = 0, 0
        for _ in range(sessions):
            alerts += self._session(count, during)
        return Taken(Counted.taken, alerts, sessions)

    def _session(self, count: int, during: Callable[[], None] | None) -> int:
        consumer = KafkaConsumer(
            bootstrap_servers=self._address,
            proxy_url=f"counted://{self._source}",
            group_id=f"{self._community}-{next(_GROUPS)}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        part = TopicPartition(self._topic, 0)
        consumer.assign([part])
        read = size = 0
        while read < count:
            for records in consumer.poll(timeout_ms=500, max_records=count - read).values():
                read += len(records)
                size += sum(len(record.value) for record in records)
            if during is not None and read >= count / 2:
                during()
                during = None
        consumer.commit(timeout_ms=5000)
        consumer.close(autocommit=False)
        return size


def fill(address: str, topic: str, count: int, compression: str | None) -> None:
    """Make a topic with so many packets of a simulated night."""
    kafka.create_topics(KafkaCluster(bootstrap=(address,)), {topic: 1}, client_id="bench")
    producer = KafkaProducer(bootstrap_servers=address, acks=1, linger_ms=20, compression_type=compression)
    sky, makers = random.Random(1), templates()
    for number in range(count):
        packet = makers[number % 2].write(Exposure(2461369.7, 1, 600, 1), number, sky)
        producer.send(topic, packet, partition=0)
    producer.flush(60)
    producer.close()


class Bench:
    """A Kafka on one kind of address, its exporter, and the communities that read from it."""

    def __init__(self, folder: Path, stack: str) -> None:
        self._stack = stack
        port, six = free_pair(), free_pair()
        extra = "log.retention.bytes=-1\n"
        self.address = address = f"127.0.0.1:{port}"
        addresses = [address]
        if stack == "IPv6":
            extra += f"""listeners=PLAINTEXT://{address},CONTROLLER://127.0.0.1:{port + 1},SIX://[::1]:{six}
advertised.listeners=PLAINTEXT://{address},SIX://[::1]:{six}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SIX:PLAINTEXT
"""
            self.address = f"[::1]:{six}"
            # The exporter watches this port too, and cannot itself come from ::1: there is no listener of that address.
            addresses.append(f"127.0.0.1:{six}")
        self._node = Node(folder / "kafka", port=port, extra=extra)
        os.environ["JAVA_TOOL_OPTIONS"] = "-Djava.net.preferIPv4Stack=true" if stack == "IPv4" else ""
        try:
            self._node.start()
        finally:
            del os.environ["JAVA_TOOL_OPTIONS"]
        networks = {"lasair": "::1/128" if stack == "IPv6" else "127.0.7.1/32"}
        self._source = "::1" if stack == "IPv6" else "127.0.7.1"
        self._exporter = Exporter(addresses, folder, networks)
        self._before = {"wire": 0.0, "offsets": 0.0}
        for topic, count, compression in TOPICS.values():
            fill(address, topic, count, compression)

    def run(self) -> bool:
        """Measure all cases; return whether every aim was met."""
        self._exporter.start()
        time.sleep(12)  # commits are read each ten seconds; what groups have at first is not counted
        good = self._case("one long session, lz4", "lz4")
        good &= self._case("160 short sessions, lz4", "few", 160)
        good &= self._case("one long session, not compressed", "plain")
        good &= self._case("five sessions, exporter killed within each, lz4", "lz4", 5, self._killed)
        return good

    def close(self) -> None:
        """End both."""
        self._exporter.kill()
        self._node.stop()

    def _killed(self) -> None:
        self._exporter.kill()
        time.sleep(3)
        self._exporter.start()

    def _case(self, what: str, name: str, sessions: int = 1, during: Callable[[], None] | None = None) -> bool:
        # Sessions read their topic to its end: what a client fetches ahead and throws away is on the wire, but no alert.
        topic, count, _ = TOPICS[name]
        taken = Reader(self.address, topic, "lasair", self._source).read(count, sessions, during)
        now = self._exporter.bytes("lasair")
        measured = {source: now[source] - self._before[source] for source in now}
        self._before = now
        wire, offsets = (measured[source] / taken.sockets - 1 for source in ("wire", "offsets"))
        print(
            f"| {self._stack}: {what} | {taken.sessions} | {taken.alerts / 1e6:.2f} | {taken.sockets / 1e6:.2f} "
            f"| {measured['wire'] / 1e6:.2f} | {wire:+.2%} | {measured['offsets'] / 1e6:.2f} | {offsets:+.2%} |",
            flush=True,
        )
        return abs(wire) <= WIRE_AIM and abs(offsets) <= OFFSETS_AIM


def errors(folder: Path, stacks: list[str]) -> bool:
    """Measure all cases on all kinds of address and print the table; return whether every aim was met."""
    print(
        "| case | sessions | alerts unpacked, MB | by the sockets, MB | `wire`, MB | error | `offsets`, MB | error |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    good = True
    for stack in stacks:
        bench = Bench(folder / stack, stack)
        try:
            good &= bench.run()
        finally:
            bench.close()
    return good


def cpu(folder: Path) -> None:
    """Print what the exporter costs while connections are open: half of the load is on the other ends, not counted."""
    node = Node(folder / "kafka")
    node.start()
    print("| connections | % of a core | MB |\n|---:|---:|---:|")
    try:
        for count in CONNECTIONS:
            home = folder / str(count)
            home.mkdir()
            exporter = Exporter([node.address], home, {f"c{n}": f"127.0.8.{n}/32" for n in range(1, 6)})
            host, port = "127.0.0.1", node.port
            sockets = [
                socket.create_connection((host, port), source_address=(f"127.0.8.{1 + n % 5}", 0)) for n in range(count)
            ]
            try:
                exporter.start()
                time.sleep(5)
                assert exporter.value("zads_community_connections") == count
                process = exporter.process()
                begin = sum(process.cpu_times()[:2])
                time.sleep(CPU_SECONDS)
                share = (sum(process.cpu_times()[:2]) - begin) / CPU_SECONDS
                print(f"| {count} | {share:.2%} | {process.memory_info().rss / 1e6:.0f} |", flush=True)
            finally:
                exporter.kill()
                for sock in sockets:
                    sock.close()
    finally:
        node.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu", action="store_true", help="what the exporter costs, instead of its errors")
    parser.add_argument("--on", choices=STACKS, action="append", help="measure errors on this kind of address only")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="zads-egress-"))
    try:
        if args.cpu:
            cpu(folder)
            return 0
        return 0 if errors(folder, args.on or list(STACKS)) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
