"""Egress of a real Kafka: what a community took, on the wire and by its commits, over restarts of the exporter."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kafka import KafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from exporters.broker_egress.collector import build
from tests.support.counted_sockets import Counted
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import Config, KafkaCluster, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
PACKET = 70_000


class Bench:
    """An exporter with its state, a community that reads, and the topic that it reads from."""

    def __init__(self, cluster: KafkaCluster, folder: Path, name: str) -> None:
        self.cluster, self.name = cluster, name
        self.config: Config = parse(
            f"""
            [kafka.public]
            bootstrap = ["{cluster.bootstrap[0]}"]
            [exporters]
            state_dir = "{folder}"
            [[community]]
            name = "lasair"
            groups = ["lasair-.*"]
            networks = ["127.0.7.1/32", "127.0.7.32/28"]
            [[community]]
            name = "fink"
            commits = false
            networks = ["127.0.7.2/32"]
            """
        )
        self.loop = CollectorLoop(build(self.config), 5.0)
        kafka.create_topics(cluster, {name: 2}, client_id="test")
        self.text = ""

    def produce(self, count: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self.cluster.bootstrap[0], acks=1, linger_ms=5)
        for number in range(count):
            producer.send(self.name, random.randbytes(PACKET), partition=number % 2)
        producer.flush(30)
        producer.close()

    def kill(self) -> None:
        """The exporter ends without a word and comes back."""
        watcher = self.loop._collector._watcher  # type: ignore[attr-defined]
        watcher.close()
        self.loop = CollectorLoop(build(self.config), 5.0)

    def collect(self) -> None:
        deadline = time.monotonic() + 20
        for _ in range(2):  # commits are read every second time
            self.text = self.loop.once().body.decode()
            # A busy machine may keep the wire's thread from looking for some seconds: then its figures are absent.
            while self.value("zads_egress_wire_readable") != 1 and time.monotonic() < deadline:
                time.sleep(0.5)
                self.text = self.loop.once().body.decode()

    def value(self, metric: str, **labels: str) -> float:
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def bytes(self, community: str, source: str) -> float:
        return self.value("zads_community_egress_bytes_total", community=community, source=source)

    def until(self, community: str, source: str, least: float) -> float:
        deadline = time.monotonic() + 10
        while self.bytes(community, source) < least and time.monotonic() < deadline:
            time.sleep(0.5)
            self.collect()
        return self.bytes(community, source)


def _take(bench: Bench, address: str, group: str, count: int) -> tuple[int, int]:
    """Read so many messages as a community and commit them; return the bytes of its sockets and of the messages.

    The former are more: Kafka cuts an answer at the asked size in the middle of a batch, which comes again.
    """
    Counted.taken = 0
    consumer = kafka.consumer(
        bench.cluster,
        client_id=group,
        proxy_url=f"counted://{address}",
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    consumer.subscribe([bench.name])
    read = messages = 0
    while messages < count:
        for records in consumer.poll(timeout_ms=500, max_records=count - messages).values():
            messages += len(records)
            read += sum(len(record.value) for record in records)
    consumer.commit(timeout_ms=5000)
    consumer.close(autocommit=False)
    return Counted.taken, read


@pytest.fixture
def bench(cluster: KafkaCluster, tmp_path: Path, request: pytest.FixtureRequest):
    nights = {"exactly": "20260501", "networks": "20260502", "permission": "20260503"}
    night = next(date for word, date in nights.items() if word in request.node.name)
    bench = Bench(cluster, tmp_path, f"ztf_{night}_programid1")
    bench.collect()
    yield bench
    bench.loop._collector.close()


def test_what_a_community_takes_is_measured_exactly_over_a_kill_of_the_exporter(bench: Bench) -> None:
    """28 MB in two parts, the exporter killed between and away during the second: 1 % on the wire, 5 % by offsets."""
    bench.produce(200)
    taken, read = _take(bench, "127.0.7.1", "lasair-a", 200)
    bench.until("lasair", "wire", taken)
    bench.collect()
    assert taken > 14_000_000
    assert bench.bytes("lasair", "wire") == pytest.approx(taken, rel=0.01)
    assert bench.bytes("lasair", "offsets") == pytest.approx(read, rel=0.05)
    before = bench.bytes("lasair", "wire")
    bench.kill()
    bench.produce(200)
    bench.collect()
    assert bench.bytes("lasair", "wire") >= before
    more = _take(bench, "127.0.7.1", "lasair-a", 200)
    taken, read = taken + more[0], read + more[1]
    bench.until("lasair", "wire", taken)
    bench.collect()
    assert bench.bytes("lasair", "wire") == pytest.approx(taken, rel=0.01)
    assert bench.bytes("lasair", "offsets") == pytest.approx(read, rel=0.05)
    assert bench.value("zads_egress_wire_readable") == 1


def test_two_networks_one_community_and_short_sessions(bench: Bench) -> None:
    """Ten sessions from two networks, each open for less than a look; another community beside; strangers apart."""
    bench.produce(20)
    sessions = [_take(bench, f"127.0.7.{n}", f"lasair-{n}", 20) for n in (1, 33, 34, 35, 36, 37, 38, 39, 40, 41)]
    taken, read = (sum(column) for column in zip(*sessions, strict=True))
    other, _ = _take(bench, "127.0.7.2", "spark-kafka-source-1", 20)
    stranger, _ = _take(bench, "127.0.7.99", "stranger", 20)
    bench.until("lasair", "wire", taken)
    bench.until("fink", "wire", other)
    bench.collect()
    assert bench.bytes("lasair", "wire") == pytest.approx(taken, rel=0.01)
    assert bench.bytes("lasair", "offsets") == pytest.approx(read, rel=0.05)
    assert bench.bytes("fink", "wire") == pytest.approx(other, rel=0.01)
    assert bench.value("zads_egress_unattributed_bytes_total") == pytest.approx(stranger, rel=0.01)
    assert bench.bytes("fink", "offsets") == 0


# What systemd's RestrictAddressFamilies does: socket(AF_NETLINK) fails with EAFNOSUPPORT, all others go on.
_WITHOUT_NETLINK = """
import ctypes, errno, os, platform, struct, sys
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]  # socket(2)
rules = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 16),
         (0x06, 0, 0, 0x00050000 | errno.EAFNOSUPPORT), (0x06, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *rule) for rule in rules))
program = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0, ctypes.get_errno()  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()  # PR_SET_SECCOMP
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_without_permission_for_netlink_the_offsets_still_work(bench: Bench, tmp_path: Path) -> None:
    """As under systemd's RestrictAddressFamilies: it says what is missing and what to do, and measures by commits."""
    bench.produce(20)
    _take(bench, "127.0.7.1", "lasair-a", 20)
    bench.until("lasair", "offsets", 1)
    bench.collect()
    measured = bench.bytes("lasair", "offsets")
    assert measured > 1_000_000
    file = tmp_path / "zads.toml"
    file.write_text(
        f"""
        [kafka.public]
        bootstrap = ["{bench.cluster.bootstrap[0]}"]
        [exporters]
        state_dir = "{tmp_path}"
        [[community]]
        name = "lasair"
        groups = ["lasair-.*"]
        networks = ["127.0.7.1/32"]
        """
    )
    zads = str(Path(sys.executable).parent / "zads")
    command = [sys.executable, "-c", _WITHOUT_NETLINK, zads, "--config", str(file), "export", "broker-egress", "--once"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "connections cannot be read: [Errno 97] Address family not supported" in done.stderr
    assert "AF_NETLINK" in done.stderr
    bench.text = done.stdout
    assert bench.value("zads_egress_wire_readable") == 0
    assert "zads_egress_wire_readable 0.0" in done.stdout
    assert 'source="wire"' not in done.stdout
    assert bench.bytes("lasair", "offsets") == measured
