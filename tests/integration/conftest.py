"""A Kafka of the tests' own: one node, KRaft, on loopback, gone afterwards."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zads.config import KafkaCluster
from zads.stack import kafka_files, programs
from zads.stack.paths import cache
from zads.stack.ready import answers

ADDRESS = "127.0.0.1:31592"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    folder: Path = tmp_path_factory.mktemp("kafka")
    file = folder / "server.properties"
    text = kafka_files.kafka(ADDRESS, folder / "data", 1) + "group.coordinator.rebalance.protocols=classic,consumer\n"
    file.write_text(text, encoding="utf-8")
    java = [programs.find("java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]
    java.append(programs.classpath(programs.jars(cache())))
    identity = "emFkcy10ZXN0cy1rYWZrYQ"
    subprocess.run(
        [*java, "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(file)], check=True, capture_output=True
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", str(file)], stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 60
            while not answers(f"kafka://{ADDRESS}"):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
                time.sleep(0.3)
            yield KafkaCluster(bootstrap=(ADDRESS,))
        finally:
            process.terminate()
            process.wait(30)
