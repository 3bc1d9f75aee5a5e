"""One smoke test on Kafka 3.9 with ZooKeeper, which today's ZADS runs: older versions of every request."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import free_pair
from tests.integration.test_kafka_lag import Bench, read, wait
from zads.config import KafkaCluster
from zads.stack import programs
from zads.stack.paths import cache
from zads.stack.ready import answers

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>org.zads</groupId><artifactId>kafka-3-9</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>3.9.1</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>"""


def jars() -> Path:
    """Return the folder with Kafka 3.9's jars, fetched once into the cache."""
    ready = cache() / "jars-kafka-3.9.1"
    if not ready.is_dir():
        with tempfile.TemporaryDirectory(dir=cache(), prefix="jars-download-") as folder:
            (Path(folder) / "pom.xml").write_text(_POM, encoding="utf-8")
            command = [programs.find("mvn"), "-q", "-B", "-f", f"{folder}/pom.xml", "dependency:copy-dependencies"]
            done = subprocess.run(
                [*command, f"-DoutputDirectory={folder}/jars", "-DincludeScope=runtime"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            if not ready.is_dir():
                (Path(folder) / "jars").replace(ready)
    return ready


class Old:
    """ZooKeeper and a broker of Kafka 3.9."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.keeper, self.port = folder, free_pair(), free_pair()
        self.processes: list[subprocess.Popen[bytes]] = []
        (folder / "zoo.cfg").write_text(
            f"dataDir={folder}/zk\nclientPort={self.keeper}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n"
            "4lw.commands.whitelist=ruok\n",
            encoding="utf-8",
        )
        (folder / "server.properties").write_text(
            f"broker.id=1\nzookeeper.connect=127.0.0.1:{self.keeper}\nlisteners=PLAINTEXT://127.0.0.1:{self.port}\n"
            f"log.dirs={folder}/data\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n"
            "transaction.state.log.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n",
            encoding="utf-8",
        )

    def run(self, *arguments: str) -> None:
        command = [programs.find("java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        command += ["-cp", f"{jars()}/*", *arguments]
        with (self.folder / "log").open("a") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))

    def start(self) -> None:
        self.run("org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / "zoo.cfg"))
        wait(lambda: answers(f"tcp://127.0.0.1:{self.keeper}"), 60)
        self.run("kafka.Kafka", str(self.folder / "server.properties"))
        try:
            wait(lambda: answers(f"kafka://127.0.0.1:{self.port}"), 90)
        except AssertionError:
            raise AssertionError((self.folder / "log").read_text()[-3000:]) from None

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    old = Old(tmp_path_factory.mktemp("old"))
    try:
        old.start()
        yield Bench(KafkaCluster(bootstrap=(f"127.0.0.1:{old.port}",)))
    finally:
        old.stop()


def test_lag_members_and_a_topic_made_anew_on_kafka_3_9_with_zookeeper(bench: Bench) -> None:
    """Lag, age, communities, states; a topic that is deleted and made again is another one by its id."""
    night = "ztf_20260801_programid1"
    bench.topic(night, 4)
    bench.send(night, 20)
    time.sleep(3)
    bench.commit("lasair", night, {0: 5})
    loop = bench.loop()
    assert read(loop, "kafka_consumergroup_lag", "consumergroup", "topic", "partition")["lasair", night, "0"] == 15
    assert 2 < read(loop, "zads_consumergroup_lag_seconds", "consumergroup", "topic")["lasair", night] < 30
    assert read(loop, "zads_community_lag_alerts", "community", "night")["lasair", "20260801"] == 15
    assert read(loop, "kafka_consumergroup_members", "consumergroup")[("lasair",)] == 0
    assert read(loop, "zads_consumergroup_info", "consumergroup", "type") == {("lasair", "classic"): 1}
    state = read(loop, "zads_consumergroup_state", "consumergroup", "state")
    assert state["lasair", "Empty"] == 1
    assert "zads_collector_errors_total{" not in loop.snapshot().body.decode()
    bench.commit("lasair", night, {0: 12})
    assert read(loop, "zads_community_delivered_alerts_total", "community", "night")["lasair", "20260801"] == 7
    bench.admin.delete_topics([night])
    wait(lambda: night not in bench.admin.list_topics())
    time.sleep(2)
    bench.topic(night, 4)
    bench.send(night, 3)
    assert read(loop, "zads_community_lag_alerts", "community", "night")["lasair", "20260801"] == 3
    assert read(loop, "zads_community_lost_alerts_total", "community")[("lasair",)] == 8
    loop.stop()
