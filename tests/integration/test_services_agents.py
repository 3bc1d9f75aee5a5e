"""Kafka's own JMX metrics through the agent, under the names that rules and Lasair's status page read."""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from exporters.services.probes import probe
from tests.integration.conftest import Node, free_pair, java
from tests.integration.test_kafka_lag import Bench, wait
from zads import render
from zads.config import KafkaCluster, parse
from zads.stack import kafka_files, programs
from zads.stack.paths import cache

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]
NIGHT = "ztf_20260501_programid1"


class WithAgent(Node):
    """A Kafka that carries the agent, with the rules that the local stack gives it."""

    def start(self, ready: str | None = None) -> Node:
        """Start it with the agent on the port after the controller's."""
        self.jmx = f"127.0.0.1:{free_pair()}"
        rules = self.folder / "agent.yml"
        rules.write_text(kafka_files.kafka_agent())
        command = java("kafka.Kafka", str(self._file))
        command.insert(1, f"-javaagent:{programs.agent(programs.jars(cache()))}={self.jmx}:{rules}")
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        self.wait(f"kafka://{self.address}")
        return self


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithAgent]:
    made = WithAgent(tmp_path_factory.mktemp("agent"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def _samples(node: WithAgent) -> list[tuple[str, dict[str, str], float]]:
    with urllib.request.urlopen(f"http://{node.jmx}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return [(s.name, s.labels, s.value) for family in families for s in family.samples]


def test_a_nights_log_and_what_rules_read_come_from_the_agent(node: WithAgent) -> None:
    """kafka_log_log_value as today's ZADS names and labels it; partitions offline, bytes out; and the probe of the agent."""
    bench = Bench(KafkaCluster(bootstrap=(node.address,)))
    bench.topic(NIGHT, 2)
    bench.send(NIGHT, 30)
    labels = {"topic": NIGHT, "night": "20260501", "program": "MSIP"}

    def ends() -> float:
        return sum(
            value
            for name, found, value in _samples(node)
            if name == "kafka_log_log_value" and found["name"] == "LogEndOffset" and labels.items() <= found.items()
        )

    wait(lambda: ends() == 30)
    found = {name: value for name, _, value in _samples(node)}
    assert found["kafka_controller_kafkacontroller_offlinepartitionscount"] == 0
    assert "kafka_server_brokertopicmetrics_bytesout_total" in found
    assert probe(f"http://{node.jmx}/metrics", 2.0) < 2.0
    edges = {found["name"] for name, found, _ in _samples(node) if name == "kafka_log_log_value"}
    assert edges == {"LogEndOffset", "LogStartOffset", "Size"}


def test_prometheus_is_told_to_scrape_every_agent_under_its_services_name() -> None:
    """Rules join by `service`; an agent that hangs has failed before the next scrape is due."""
    config = parse(
        '[kafka.public]\nbootstrap = ["127.0.0.1:1"]\njmx = "127.0.0.1:2"\n'
        '[kafka.upstream]\nbootstrap = ["127.0.0.1:3"]\n[mirror]\njmx = "127.0.0.1:4"\n'
    )
    jobs = yaml.safe_load(render.prometheus(config, Path("alertrules")))["scrape_configs"]
    jmx = next(job for job in jobs if job["job_name"] == "jmx")
    targets = {row["labels"]["service"]: row["targets"] for row in jmx["static_configs"]}
    assert targets == {"kafka-public": ["127.0.0.1:2"], "mirrormaker": ["127.0.0.1:4"]}
    assert jmx["scrape_timeout"] == "5s"
