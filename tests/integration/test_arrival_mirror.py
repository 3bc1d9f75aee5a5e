"""A real MirrorMaker that is killed and that loses: duplicates and gaps, told apart and to the alert."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from exporters.alert_arrival.collector import build
from tests.integration.conftest import Node, free_pair, java
from zads import kafka
from zads.collector import CollectorLoop
from zads.config import Config, KafkaCluster, parse
from zads.stack import kafka_files, programs
from zads.stack.paths import cache

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]
NIGHT = "20260601"
NAME = f"ztf_{NIGHT}_programid1"
# What the mirror's agent has to export for the time when IPAC's offsets cannot be read.
AGENT = """
lowercaseOutputName: true
includeObjectNames: ["kafka.consumer:type=consumer-fetch-manager-metrics,*"]
rules:
  - pattern: 'kafka.consumer<type=consumer-fetch-manager-metrics, client-id=(.+), topic=(.+), partition=([0-9]+)><>records-lag'
    name: kafka_consumer_fetch_manager_metrics_records_lag
    labels: {client_id: $1, topic: $2, partition: $3}
    type: GAUGE
  - pattern: 'kafka.consumer<type=consumer-fetch-manager-metrics, client-id=([^,]+)><>fetch-rate'
    name: kafka_consumer_fetch_manager_metrics_fetch_rate
    labels: {client_id: $1}
    type: GAUGE
"""


class World:
    """Two clusters, a MirrorMaker between them that can be killed, and the exporter."""

    def __init__(self, upstream: KafkaCluster, public: Node, folder: Path) -> None:
        self.upstream, self.public, self.folder = upstream, public, folder
        self.config: Config = parse(
            f"""
            [kafka.upstream]
            bootstrap = ["{upstream.bootstrap[0]}"]
            [kafka.public]
            bootstrap = ["{public.address}"]
            [mirror]
            jmx = "127.0.0.1:{free_pair()}"
            [exporters]
            state_dir = "{folder}"
            """
        )
        self.loop = CollectorLoop(build(self.config), 5.0)
        self._file, self._process = folder / "mirror.properties", None
        self._file.write_text(kafka_files.mirrormaker(self.config), encoding="utf-8")
        (folder / "agent.yml").write_text(AGENT, encoding="utf-8")
        kafka.create_topics(upstream, {NAME: 2}, client_id="test")
        self.sent = [0, 0]

    def start_mirror(self) -> None:
        with (self.folder / "mirror.log").open("a") as log:
            agent = (
                f"-javaagent:{programs.agent(programs.jars(cache()))}={self.config.mirror.jmx}:{self.folder / 'agent.yml'}"
            )
            command = java("org.apache.kafka.connect.mirror.MirrorMaker", str(self._file))
            self._process = subprocess.Popen([command[0], agent, *command[1:]], stdout=log, stderr=subprocess.STDOUT)

    def begin_at(self, policy: str) -> None:
        """Where the mirror begins on a partition that it has no offset of."""
        text = self._file.read_text(encoding="utf-8")
        self._file.write_text(text.replace("auto.offset.reset=earliest", f"auto.offset.reset={policy}"), encoding="utf-8")

    def forget(self) -> None:
        """The exporter is killed and its state file is lost."""
        self.loop._collector.close()
        (self.folder / "alert-arrival.json").unlink()
        self.loop = CollectorLoop(build(self.config), 5.0)

    def kill_mirror(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def blind(self) -> None:
        """From now on IPAC lets the exporter read nothing."""
        self.restart(upstream="127.0.0.1:1")

    def restart(self, **addresses: str) -> None:
        """The exporter ends and comes back, with other addresses of clusters if any are given."""
        self.loop._collector.close()
        clusters = {**self.config.kafka, **{n: KafkaCluster(bootstrap=(a,)) for n, a in addresses.items()}}
        self.loop = CollectorLoop(build(self.config.model_copy(update={"kafka": clusters})), 5.0)

    def throttle(self, bytes_per_second: int | None) -> None:
        """Let IPAC's Kafka give its readers so little, as much as they want for None."""
        change = f"--add-config=consumer_byte_rate={bytes_per_second}" if bytes_per_second else ""
        command = ["kafka.admin.ConfigCommand", "--bootstrap-server", self.upstream.bootstrap[0], "--alter"]
        command += [change or "--delete-config=consumer_byte_rate", "--entity-type", "clients", "--entity-default"]
        done = subprocess.run(java(*command), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def send(self, partition: int, count: int) -> None:
        producer = KafkaProducer(bootstrap_servers=self.upstream.bootstrap[0], acks=1)
        for _ in range(count):
            producer.send(NAME, b"x" * 1000, partition=partition)
        producer.flush(20)
        producer.close()
        self.sent[partition] += count

    def trim(self, partition: int, before: int) -> None:
        client = KafkaAdminClient(bootstrap_servers=self.upstream.bootstrap[0])
        client.delete_records({TopicPartition(NAME, partition): before})
        client.close()

    def clean(self) -> None:
        """IPAC is the next test's too."""
        client = KafkaAdminClient(bootstrap_servers=self.upstream.bootstrap[0])
        client.delete_topics([NAME])
        deadline = time.monotonic() + 20
        while NAME in client.list_topics() and time.monotonic() < deadline:
            time.sleep(0.2)
        client.close()

    def look(self) -> dict[str, float]:
        """Collect once and return what is said of the mirror."""
        found = {}
        for family in text_string_to_metric_families(self.loop.once().body.decode()):
            for sample in family.samples:
                if sample.name.startswith(("zads_mirror_", "zads_night_")) and sample.labels.get("night", NIGHT) == NIGHT:
                    found[sample.name + sample.labels.get("cluster", "") + sample.labels.get("source", "")] = sample.value
        return found

    def until(self, wanted: dict[str, float], seconds: float = 90.0) -> dict[str, float]:
        deadline = time.monotonic() + seconds
        while not wanted.items() <= (found := self.look()).items():
            log = (self.folder / "mirror.log").read_text()[-1500:]
            assert time.monotonic() < deadline, f"{found} is not {wanted}\n{log}"
            time.sleep(1.0)
        return found


@pytest.fixture
def world(cluster: KafkaCluster, tmp_path: Path) -> Iterator[World]:
    public = Node(tmp_path / "public")
    try:
        public.start()
        world = World(cluster, public, tmp_path)
        try:
            yield world
        finally:
            world.kill_mirror()
            world.loop._collector.close()
            world.clean()
    finally:
        public.stop()


def test_duplicates_and_gaps_of_a_real_mirrormaker(world: World) -> None:
    """Killed between passing on and noting it: duplicates. Late while IPAC deletes: a gap. Each to the alert, never netted."""
    assert "zads_mirror_behind_alerts" not in world.look()  # it has not run yet: nothing is known, not everything behind
    world.start_mirror()
    world.send(0, 100)
    world.send(1, 100)
    level = {"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_seconds": 0.0}
    found = world.until(level | {"zads_night_alertspublic": 200.0, "zads_night_alertsupstream": 200.0})
    assert (found["zads_mirror_surplus_alerts"], found["zads_night_missing_alerts"]) == (0, 0)

    surplus = 0.0
    for _ in range(4):
        # Killed as soon as they are there, before the offsets are written (every 5 s): they come again.
        before = world.look()["zads_night_alertspublic"]
        world.send(0, 40)
        world.until({"zads_night_alertspublic": before + 40})
        world.kill_mirror()
        behind = world.look()["zads_mirror_behind_alerts"]
        world.start_mirror()
        world.until(level)
        surplus += behind
        if surplus:
            break
    assert surplus > 0
    found = world.until(level | {"zads_mirror_surplus_alerts": surplus})
    assert found["zads_night_missing_alerts"] == 0
    assert found["zads_night_alertspublic"] == sum(world.sent) + surplus

    world.kill_mirror()
    world.send(1, 70)
    found = world.until({"zads_mirror_behind_alerts": 70.0})
    assert 0 < found["zads_mirror_behind_seconds"] < 30
    world.trim(1, 150)
    for _ in range(6):  # log starts are read now and then
        found = world.look()
    assert found["zads_mirror_behind_alerts"] == 20
    assert found["zads_night_missing_alerts"] == 50
    world.start_mirror()
    found = world.until(level)
    found = world.until(level | {"zads_night_missing_alerts": 50.0})
    assert found["zads_mirror_surplus_alerts"] == surplus

    world.blind()
    found = world.until({"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_sourcejmx": 1.0})
    assert "zads_mirror_behind_seconds" not in found
    world.kill_mirror()
    assert not [name for name in world.look() if name.startswith("zads_mirror_")]


def test_zads_kafka_dead_and_only_out_of_sight(world: World) -> None:
    """Dead: what came to IPAC since waits and grows older, after a restart too. Out of sight: what MirrorMaker says, or nothing."""
    level = {"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_seconds": 0.0}
    world.start_mirror()
    world.send(0, 50)
    world.send(1, 50)
    world.until(level | {"zads_night_alertspublic": 100.0, "zads_mirror_surplus_alerts": 0.0})

    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        world.restart(public=f"127.0.0.1:{silent.getsockname()[1]}")
        found = world.until({"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_sourcejmx": 1.0})
        world.send(0, 30)  # which pass, unseen by us: nothing waits
        for _ in range(8):
            found = world.look()
            assert found["zads_night_alertsupstream"] == 130
            assert found.get("zads_mirror_behind_alerts", 0.0) <= 30
            absent = {"seconds", "sourceoffsets", "sourcelast_offsets"}
            assert not [name for name in found if name.removeprefix("zads_mirror_behind_") in absent], found
            assert "zads_mirror_surplus_alerts" not in found
            assert "zads_night_missing_alerts" not in found
        world.until({"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_sourcejmx": 1.0})
        world.kill_mirror()
        assert not [name for name in world.look() if name.startswith("zads_mirror_")]

    world.restart()
    found = world.until({"zads_night_alertspublic": 130.0, "zads_mirror_behind_sourceoffsets": 1.0})
    noted = found["zads_mirror_behind_alerts"]  # passed on, and not noted by MirrorMaker when it was killed
    assert noted in {0, 30}
    world.start_mirror()
    again = found["zads_night_alertspublic"] + noted
    world.until(level | {"zads_night_alertspublic": again, "zads_mirror_surplus_alerts": noted})
    world.public.kill()
    world.send(1, 25)
    for _ in range(2):
        found = world.until({"zads_mirror_behind_alerts": 25.0, "zads_mirror_behind_sourcelast_offsets": 1.0})
        assert 0 < found["zads_mirror_behind_seconds"] < 60
        assert not {"zads_mirror_surplus_alerts", "zads_night_missing_alerts", "zads_night_alertspublic"} & found.keys()
        assert not [name for name in found if name.endswith(("sourceoffsets", "sourcejmx"))]
        world.restart()  # now once more, from what is in its file
    world.public.start()
    world.until(level | {"zads_night_alertspublic": again + 25, "zads_mirror_surplus_alerts": noted})


def test_mirrormakers_own_lag_stands_in_where_ipac_cannot_be_read(world: World) -> None:
    """IPAC gives little to its readers, so hundreds wait: MirrorMaker's agent says how many, never more than are not here."""
    world.start_mirror()
    world.send(0, 50)
    world.send(1, 50)
    world.until({"zads_mirror_behind_alerts": 0.0, "zads_night_alertspublic": 100.0})
    world.blind()
    world.until({"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_sourcejmx": 1.0})
    world.throttle(10_000)
    try:
        world.send(0, 800)
        most, deadline = 0.0, time.monotonic() + 30
        before = 100.0
        while most < 200 and time.monotonic() < deadline:
            found = world.look()
            behind = found.get("zads_mirror_behind_alerts", 0.0)
            assert behind <= 900 - before
            assert "zads_night_alertsupstream" not in found
            before, most = found["zads_night_alertspublic"], max(most, behind)
            time.sleep(0.5)
        assert most >= 200
    finally:
        world.throttle(None)
    world.until({"zads_mirror_behind_alerts": 0.0, "zads_night_alertspublic": 900.0})


def test_a_mirror_started_at_latest_is_behind_only_by_what_came_since(world: World) -> None:
    """What lay at IPAC before counts for nothing; what comes while it is away waits, and is missing when it is passed over."""
    world.begin_at("latest")
    world.send(0, 100)
    world.send(1, 100)
    world.start_mirror()
    level = {"zads_mirror_behind_alerts": 0.0, "zads_mirror_behind_seconds": 0.0, "zads_mirror_surplus_alerts": 0.0}
    none = level | {"zads_night_missing_alerts": 0.0}
    # Its topic is made at ZADS and there is an offset of no partition: IPAC's 200 alerts never come.
    world.until(none | {"zads_night_alertspublic": 0.0, "zads_night_alertsupstream": 200.0})
    wait_for_reading(world)
    world.send(0, 7)
    world.until(none | {"zads_night_alertspublic": 7.0})
    world.forget()
    world.until(none)

    world.kill_mirror()
    world.send(1, 20)
    found = world.until({"zads_mirror_behind_alerts": 20.0, "zads_night_missing_alerts": 0.0})
    assert 0 < found["zads_mirror_behind_seconds"] < 30
    # It comes back and has no offset of partition 1 still: it begins at the end again, and passes over the 20.
    world.start_mirror()
    wait_for_reading(world, times=2)
    assert world.look()["zads_mirror_behind_alerts"] == 20
    world.send(1, 3)
    world.until(level | {"zads_night_alertspublic": 10.0, "zads_night_missing_alerts": 20.0})
    world.forget()
    world.until(level | {"zads_night_missing_alerts": 20.0})


def wait_for_reading(world: World, times: int = 1) -> None:
    """Wait until the mirror's consumers have found where each of the two partitions begins."""
    deadline = time.monotonic() + 60
    while True:
        log = (world.folder / "mirror.log").read_text()
        found = [number for number in (0, 1) if log.count(f"Resetting offset for partition {NAME}-{number}") >= times]
        if 1 in found and (times > 1 or 0 in found):
            return
        assert time.monotonic() < deadline, log[-2000:]
        time.sleep(0.5)
