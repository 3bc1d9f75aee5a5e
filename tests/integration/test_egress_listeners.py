"""Egress on listeners that are not the monitor's own, and over IPv6: to 1 % of the bytes that the readers' sockets took."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from kafka.net.inet import KafkaNetSocket
from prometheus_client.parser import text_string_to_metric_families

from exporters.broker_egress.collector import build
from tests.integration.conftest import Node, free_pair
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import KafkaCluster, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
PACKET, NIGHT = 70_000, "ztf_20260601_programid1"
MAP = "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT,SIX:PLAINTEXT,CONTROLLER:PLAINTEXT\n"


class _Counted(socket.socket):
    """A socket that counts what it takes, for the reader that it belongs to."""

    source = ""

    def recv(self, *args: int) -> bytes:
        data = super().recv(*args)
        with _LOCK:
            _TAKEN[self.source] = _TAKEN.get(self.source, 0) + len(data)
        return data


_LOCK, _TAKEN = threading.Lock(), dict[str, int]()


class _CountedNet(KafkaNetSocket):  # type: ignore[misc]
    """kafka-python's own extension point for sockets: counted ones, from a given address, by a reader's name."""

    SCHEMES = ("read",)

    def __init__(self, proxy_url: str) -> None:
        self._name, _, self._source = proxy_url.removeprefix("read://").partition("/")

    def socket(self, *args: int) -> socket.socket:
        sock = _Counted(*args)
        sock.source = self._name
        sock.bind((self._source, 0))
        return sock


class Reader:
    """A community that reads through a listener from an address."""

    def __init__(self, listener: str, name: str, source: str) -> None:
        self.name = name
        self._consumer: Any = kafka.consumer(
            KafkaCluster(bootstrap=(listener,)),
            client_id=name,
            proxy_url=f"read://{name}/{source}",
            group_id=name,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=500_000,
        )
        self._consumer.subscribe([NIGHT])

    def take(self, count: int) -> int:
        """Read so many messages; return the bytes that its sockets took so far."""
        read, deadline = 0, time.monotonic() + 60
        while read < count:
            assert time.monotonic() < deadline, f"{read} of {count} messages"
            read += sum(len(rows) for rows in self._consumer.poll(timeout_ms=500, max_records=count - read).values())
        return _TAKEN[self.name]

    def close(self) -> int:
        self._consumer.commit(timeout_ms=5000)
        self._consumer.close(autocommit=False)
        return _TAKEN[self.name]


class Site:
    """A Kafka with three listeners: the monitor's, which advertises another port; the communities'; one on IPv6."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        inside, outside, self.six_port = (free_pair() for _ in range(3))
        self.outside_port = outside
        self.inside, self.outside, self.six = f"127.0.0.1:{inside}", f"127.0.0.1:{outside}", f"[::1]:{self.six_port}"
        own = f"PLAINTEXT://{self.inside}"
        also = f"OUTSIDE://{self.outside},SIX://{self.six}"
        extra = f"listeners={own},{also},CONTROLLER://127.0.0.1:{inside + 1}\nadvertised.listeners={own},{also}\n"
        self.node = Node(folder / "kafka", port=inside, extra=extra + MAP).start()
        kafka.create_topics(KafkaCluster(bootstrap=(self.inside,)), {NIGHT: 2}, client_id="test")
        producer = KafkaProducer(bootstrap_servers=self.inside, acks=1, linger_ms=5)
        for number in range(200):
            producer.send(NIGHT, random.randbytes(PACKET), partition=number % 2)
        producer.flush(30)
        producer.close()


class Exporter:
    """broker-egress that begins at one of the listeners, with a state folder that may be another's."""

    def __init__(self, bootstrap: str, state: Path, more: str = "") -> None:
        self.config = parse(
            f"""
            [kafka.public]
            bootstrap = ["{bootstrap}"]
            [internal]
            networks = ["127.0.0.1/32"]
            [exporters]
            state_dir = "{state}"
            {more}
            [[community]]
            name = "lasair"
            groups = ["lasair-.*"]
            networks = ["127.0.7.1/32", "::1/128"]
            """
        )
        self.loop = CollectorLoop(build(self.config), 5.0)
        self.look()

    def look(self) -> None:
        self.text = self.loop.once().body.decode()

    def value(self, metric: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def wire(self) -> float:
        return self.value("zads_community_egress_bytes_total", community="lasair", source="wire")

    def until(self, least: float) -> float:
        deadline = time.monotonic() + 15
        while self.wire() < least and time.monotonic() < deadline:
            time.sleep(0.3)
            self.look()
        return self.wire()

    def close(self) -> None:
        self.loop._collector.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("listeners"))
    yield site
    site.node.stop()


def test_a_community_on_another_listener_than_the_monitors_is_measured_by_the_named_port(site: Site, tmp_path: Path) -> None:
    """Without the port nothing of it is seen; with it all from then on, and not once more what it had taken before."""
    exporter = Exporter(site.inside, tmp_path)
    reader = Reader(site.outside, "lasair-outside", "127.0.7.1")
    before = reader.take(60)
    assert before > 60 * PACKET
    for _ in range(4):
        time.sleep(0.5)
        exporter.look()
    assert exporter.wire() == 0
    assert exporter.value("zads_egress_wire_readable") == 1
    exporter.close()

    named = Exporter(site.inside, tmp_path, f"community_ports = [{site.outside_port}, {site.six_port}]")
    base = named.wire()
    assert base < 0.01 * before, "what was sent before the port was watched is not ours to count"
    reader.take(140)
    reader.close()
    taken = _TAKEN["lasair-outside"] - before
    # What the client had asked for ahead lay in its socket already: half a megabyte at most.
    assert named.until(base + 0.97 * taken) - base == pytest.approx(taken, abs=500_000 + 0.01 * taken)
    named.close()

    # The port is known by now: a restart neither loses nor repeats what an open connection took.
    again = Exporter(site.inside, tmp_path, f"community_ports = [{site.outside_port}]")
    begin = again.wire()
    second = Reader(site.outside, "lasair-second", "127.0.7.1")
    second.take(100)
    again.until(begin + 90 * PACKET)
    again.loop._collector._watcher.close()  # type: ignore[attr-defined]
    second.take(100)
    last = Exporter(site.inside, tmp_path, f"community_ports = [{site.outside_port}]")
    taken = second.close()
    assert last.until(begin + taken) - begin == pytest.approx(taken, rel=0.01)
    last.close()


def test_the_port_that_the_brokers_advertise_is_watched_too(tmp_path: Path) -> None:
    """The monitor begins at one port and is told another, as behind a forwarder: nobody has to name it."""
    inside, other = free_pair(), free_pair()
    listeners = f"listeners=PLAINTEXT://127.0.0.1:{inside},OUTSIDE://127.0.0.1:{other},CONTROLLER://127.0.0.1:{inside + 1}\n"
    advertised = f"advertised.listeners=PLAINTEXT://127.0.0.1:{other},OUTSIDE://127.0.0.1:{other}\n"
    node = Node(tmp_path / "kafka", port=inside, extra=listeners + advertised + MAP)
    try:
        node.start()
        cluster = KafkaCluster(bootstrap=(f"127.0.0.1:{other}",))
        kafka.create_topics(cluster, {NIGHT: 2}, client_id="test")
        producer = KafkaProducer(bootstrap_servers=cluster.bootstrap[0], acks=1)
        for number in range(60):
            producer.send(NIGHT, random.randbytes(PACKET), partition=number % 2)
        producer.flush(30)
        producer.close()
        exporter = Exporter(f"127.0.0.1:{inside}", tmp_path)
        reader = Reader(cluster.bootstrap[0], "lasair-advertised", "127.0.7.1")
        reader.take(60)
        taken = reader.close()
        total = exporter.until(taken)
        exporter.close()
        assert total == pytest.approx(taken, rel=0.01)
    finally:
        node.stop()


def test_two_short_readers_on_ipv6_are_measured_to_a_hundredth(site: Site, tmp_path: Path) -> None:
    """Side by side over [::1], each gone before most looks: wire within 1 % of what their sockets took, offsets within 5 %."""
    exporter = Exporter(site.six, tmp_path)
    start = exporter.wire()

    def read(name: str) -> None:
        reader = Reader(site.six, name, "::1")
        reader.take(150)
        reader.close()

    threads = [threading.Thread(target=read, args=(f"lasair-six-{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    taken = sum(_TAKEN[f"lasair-six-{number}"] for number in range(2))
    total = exporter.until(start + taken)
    exporter.look()
    exporter.look()
    offsets = exporter.value("zads_community_egress_bytes_total", community="lasair", source="offsets")
    # The monitor itself reads through [::1] too, which is Lasair's network here: some kilobytes.
    exporter.close()
    assert taken > 300 * PACKET
    assert total - start == pytest.approx(taken, rel=0.01)
    assert offsets == pytest.approx(300 * PACKET, rel=0.05)
