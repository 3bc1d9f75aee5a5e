"""kafka_exporter's dashboard, grafana's kafka-observ-lib and our documented expressions on a real Prometheus that scrapes us.

The expressions are written down here as they stand in their sources; only Grafana's variables are put in.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaConsumer
from kafka.admin import NewTopic

from tests.integration.conftest import Node, free_pair
from tests.integration.test_kafka_lag import Bench, wait
from tests.support.expressions import documented
from zads.collector import CollectorLoop
from zads.config import KafkaCluster
from zads.http import Server
from zads.stack import programs

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

# Grafana dashboard 7589 "Kafka Exporter Overview", revision 50: kafka_exporter_overview.json of
# github.com/danielqsj/kafka_exporter at 74450bf. By panel; the last three are its variables.
DASHBOARD_7589 = {
    "Message in per second": 'sum(rate(kafka_topic_partition_current_offset{instance="$instance", topic=~"$topic"}[1m])) by (topic)',
    "Lag by Consumer Group": 'sum(kafka_consumergroup_lag{instance="$instance",topic=~"$topic"}) by (consumergroup, topic) ',
    "Message in per minute": (
        "sum(delta(kafka_topic_partition_current_offset{instance=~'$instance', topic=~\"$topic\"}[5m])/5) by (topic)"
    ),
    "Message consume per minute": (
        "sum(delta(kafka_consumergroup_current_offset{instance=~'$instance',topic=~\"$topic\"}[5m])/5) by (consumergroup, topic)"
    ),
    "Partitions per Topic": 'sum by(topic) (kafka_topic_partitions{instance="$instance",topic=~"$topic"})',
    "$job": "kafka_consumergroup_current_offset",
    "$instance": 'kafka_consumergroup_current_offset{job=~"$job"}',
    "$topic": "kafka_topic_partition_current_offset{instance='$instance',topic!='__consumer_offsets',topic!='--kafka'}",
}
# github.com/grafana/jsonnet-libs, kafka-observ-lib: dashboards_out/kafka-topic-dashboard.json at 14d5b94 and
# prometheus_rules_out/prometheus_alerts.yaml at 445d01d, what is said of topics and consumer groups with kafka_exporter's names.
# The others come from Kafka's JMX agent, or (kafka_consumer_lag_millis) from Grafana Cloud's own exporter.
_TOPIC = 'topic!="__consumer_offsets",kafka_cluster=~"$kafka_cluster",topic=~"$topic"'
_GROUP = (
    'topic!="__consumer_offsets",consumergroup!="",kafka_cluster=~"$kafka_cluster",topic=~"$topic",'
    'consumergroup=~"$consumergroup"'
)
KAFKA_OBSERV_LIB = {
    "Topic overview: Messages in per second": f"""sum by (kafka_cluster,topic,partition) (
  rate(kafka_topic_partition_current_offset{{{_TOPIC}}}[$__rate_interval])
)""",
    "Messages in per second": f"""sum by (kafka_cluster,topic) (
  rate(kafka_topic_partition_current_offset{{{_TOPIC}}}[$__rate_interval])
)""",
    "Consumer group consume rate": f"""avg by (kafka_cluster,consumergroup,topic) (
  rate(kafka_consumergroup_current_offset{{{_GROUP}}}[$__rate_interval])
)""",
    "Consumer group lag": f"""sum by (kafka_cluster,consumergroup,topic) (
  kafka_consumergroup_lag{{{_GROUP}}}
)
or
sum by (kafka_cluster,consumergroup,topic) (
  kafka_consumergroup_uncommitted_offsets{{{_GROUP}}}
)""",
    "$consumergroup": (
        '{__name__=~"kafka_consumergroup_lag|kafka_consumergroup_uncommitted_offsets",topic!="__consumer_offsets",'
        'consumergroup!="",kafka_cluster=~"$kafka_cluster",topic=~"$topic"}'
    ),
    "KafkaLagKeepsIncreasing": """sum by (kafka_cluster, topic, consumergroup) (
delta(kafka_consumergroup_lag{topic!="__consumer_offsets",consumergroup!="",}[5m])
or
delta(kafka_consumergroup_uncommitted_offsets{topic!="__consumer_offsets",consumergroup!="",}[5m])) > 0""",
    "KafkaLagIsTooHigh": """sum by (kafka_cluster, topic, consumergroup) (
kafka_consumergroup_lag{topic!="__consumer_offsets",consumergroup!="",}
or
kafka_consumergroup_uncommitted_offsets{topic!="__consumer_offsets",consumergroup!="",} != -1) > 100""",
}


class Watched:
    """A Kafka with groups of all kinds, our exporter on it, a Prometheus that scrapes it each second."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(folder / "kafka")
        self.node.start()
        self.bench = Bench(KafkaCluster(bootstrap=(self.node.address,)))
        self.loop = CollectorLoop(self.bench.loop()._collector, 1.0)
        self.server = Server("127.0.0.1", 0, {"kafka-lag": self.loop})
        self.instance = f"127.0.0.1:{self.server.port}"
        self._port = free_pair()
        targets = [{"targets": [self.instance], "labels": {"kafka_cluster": "zads"}}]
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "kafka-exporter", "static_configs": targets}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        with (folder / "prometheus.log").open("w") as log:
            self._prometheus = subprocess.Popen(
                [
                    programs.find("prometheus"),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._consume), threading.Thread(target=self._move)]

    def start(self) -> None:
        topics = [NewTopic("watched", 2, 1), NewTopic("given-up", 1, 1), NewTopic("closing", 1, 1)]
        topics.append(NewTopic("unsafe", 1, 1, topic_configs={"min.insync.replicas": "2"}))
        self.bench.admin.create_topics(topics)
        for topic, count in (("watched", 200), ("given-up", 5), ("closing", 400)):
            self.bench.send(topic, count)
        self.bench.commit("behind", "watched", {0: 10, 1: 0})
        self.bench.commit("living", "given-up", {0: 2})
        self.bench.commit("closing", "closing", {0: 100})
        self.loop.start()
        self.server.start()
        for thread in self._threads:
            thread.start()

    def _consume(self) -> None:
        """A living group, which once read another topic too."""
        consumer = KafkaConsumer(
            "watched", bootstrap_servers=self.node.address, group_id="living", auto_commit_interval_ms=500
        )
        while not self._stop.is_set():
            consumer.poll(200)
        consumer.close()

    def _move(self) -> None:
        """One group falls further behind, one catches up."""
        done = 100
        while not self._stop.wait(0.5):
            self.bench.send("watched", 5, partition=done % 2)
            done = min(390, done + 1)
            self.bench.commit("closing", "closing", {0: done})
            self.bench.commit("behind", "watched", {0: done - 90})

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self.server.stop()
        self.loop.stop()
        self._prometheus.terminate()
        self._prometheus.wait(20)
        self.node.stop()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression; one that Prometheus refuses fails here."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=10) as answer:
            data = json.load(answer)
        assert data["status"] == "success", data
        return list(data["data"]["result"])

    def series(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an expression of a dashboard, as soon as there are any."""
        variables = {
            "$instance": self.instance,
            "$job": "kafka-exporter",
            "$topic": "(watched|given-up|closing|unsafe)",
            "$kafka_cluster": ".+",
            "$consumergroup": ".+",
            "$__rate_interval": "1m",
        }
        for name in sorted(variables, key=len, reverse=True):
            expression = expression.replace(name, variables[name])
        found: list[dict[str, Any]] = wait(lambda: self.query(expression), 40)
        return found


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    made = Watched(tmp_path_factory.mktemp("watched"))
    try:
        made.start()
        deadline = time.monotonic() + 60
        while True:
            try:
                if len(made.query("kafka_consumergroup_lag")) >= 5:
                    break
            except OSError:
                pass
            assert time.monotonic() < deadline, "Prometheus has scraped nothing"
            time.sleep(0.5)
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("panel", DASHBOARD_7589)
def test_every_expression_of_dashboard_7589_returns_series(watched: Watched, panel: str) -> None:
    """With kafka_exporter's names and labels: each panel and each variable."""
    found = watched.series(DASHBOARD_7589[panel])
    labels = {key for row in found for key in row["metric"]}
    if "by (consumergroup, topic)" in DASHBOARD_7589[panel]:
        assert {row["metric"]["consumergroup"] for row in found} >= {"behind", "living", "closing"}
    elif not panel.startswith("$"):
        assert labels == {"topic"}


@pytest.mark.parametrize("panel", KAFKA_OBSERV_LIB)
def test_every_expression_of_kafka_observ_lib_returns_series(watched: Watched, panel: str) -> None:
    """Panels, the variable and both alerts on lag, which see the group that falls behind."""

    def complete() -> list[dict[str, Any]]:
        found = watched.series(KAFKA_OBSERV_LIB[panel])
        assert {row["metric"]["kafka_cluster"] for row in found} == {"zads"}
        groups = {row["metric"].get("consumergroup") for row in found}
        return found if "consumergroup" not in KAFKA_OBSERV_LIB[panel] or "behind" in groups else []

    wait(complete, 40)


@pytest.mark.parametrize("name", documented())
def test_every_expression_of_the_docs_returns_series(watched: Watched, name: str) -> None:
    """Each of docs/exporters.md, on the group or the topic that it is about."""
    wanted = {
        "velocity": ("consumergroup", "behind"),
        "time-to-close": ("consumergroup", "closing"),
        "retention-headroom-messages": ("consumergroup", "behind"),
        "retention-headroom-seconds": ("consumergroup", "behind"),
        "lag-bytes": ("consumergroup", "behind"),
        "abandoned": ("topic", "given-up"),
        "written": ("topic", "watched"),
        "read": ("consumergroup", "living"),
        "under-min-isr": ("topic", "unsafe"),
    }
    label, value = wanted[name]
    found = wait(lambda: [row for row in watched.series(documented()[name]) if row["metric"].get(label) == value], 40)
    if name == "abandoned":
        assert len(watched.series(documented()[name])) == 1, "only what the living group gave up"
    if name == "time-to-close":
        assert 0 < float(found[0]["value"][1]) < 100_000
    if name == "retention-headroom-seconds":
        assert 86_000 < float(found[0]["value"][1]) < 86_401
