"""Which rights the exporter needs, on a real Kafka that refuses what is not allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from exporters.kafka_lag.collector import build
from tests.integration.conftest import Node, free_pair
from tests.integration.test_kafka_lag import Bench
from tests.integration.test_kafka_lag_faults import eventually, samples
from zads.collector import CollectorLoop, Snapshot
from zads.config import Config, KafkaCluster, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


class Guarded:
    """A Kafka with an authorizer: on the plain listener all is allowed, user zads has what it is given."""

    def __init__(self, folder: Path) -> None:
        port, self._sasl = free_pair(), free_pair()
        self._folder = folder
        listeners = f"PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{self._sasl}"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule"
        self.node = Node(
            folder / "node",
            port=port,
            extra=f"""listeners={listeners},CONTROLLER://127.0.0.1:{port + 1}
advertised.listeners={listeners}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config={login} required user_zads="secret";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
""",
        )
        self.node.start()
        self.bench = Bench(KafkaCluster(bootstrap=(self.node.address,)))
        (folder / "password").write_text("secret\n", encoding="utf-8")

    def config(self) -> Config:
        return parse(
            f'[kafka.public]\nbootstrap = ["127.0.0.1:{self._sasl}"]\nsecurity_protocol = "SASL_PLAINTEXT"\n'
            f'sasl_mechanism = "PLAIN"\nsasl_username = "zads"\nsasl_password_file = "{self._folder}/password"\n'
            f'[exporters]\nstate_dir = "{self._folder}/state"\n'
        )

    def allow(self, kind: Any, name: str, operation: Any = ACLOperation.DESCRIBE) -> None:
        pattern = ResourcePattern(kind, name)
        self.bench.admin.create_acls(
            [
                ACL(
                    principal="User:zads",
                    host="*",
                    operation=operation,
                    permission_type=ACLPermissionType.ALLOW,
                    resource_pattern=pattern,
                )
            ]
        )


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        yield made
    finally:
        made.node.stop()


def test_describe_alone_is_enough_and_what_needs_more_is_missing_alone(guarded: Guarded) -> None:
    """DESCRIBE on topics, groups and the cluster: lag, its age, sizes, the controller; settings need DESCRIBE_CONFIGS.

    Without any right there is nothing to see, and nothing is made up.
    """
    bench = guarded.bench
    bench.topic("guarded", 1)
    bench.send("guarded", 9)
    bench.commit("guarded-group", "guarded", {0: 2})

    def look() -> Snapshot:
        loop = CollectorLoop(build(guarded.config()), 5.0)
        try:
            return loop.once()
        finally:
            loop.stop()

    assert not samples(look(), "kafka_consumergroup_lag_sum", "topic")
    for kind, name in ((ResourceType.TOPIC, "*"), (ResourceType.GROUP, "*"), (ResourceType.CLUSTER, "kafka-cluster")):
        guarded.allow(kind, name)
    snapshot = eventually(lambda: (s := look()) and samples(s, "kafka_consumergroup_lag_sum", "topic") and s)
    assert snapshot.ok
    assert samples(snapshot, "kafka_consumergroup_lag_sum", "consumergroup", "topic") == {("guarded-group", "guarded"): 7}
    assert samples(snapshot, "kafka_consumergroup_members", "consumergroup") == {("guarded-group",): 0}
    assert 0 < samples(snapshot, "zads_consumergroup_lag_seconds", "topic")[("guarded",)] < 60
    assert samples(snapshot, "zads_topic_log_bytes", "topic")[("guarded",)] > 900
    assert samples(snapshot, "zads_kafka_controller_id") == {(): 1}
    assert not samples(snapshot, "zads_topic_retention_seconds", "topic")
    assert samples(snapshot, "zads_collector_errors_total", "reason") == {("TopicAuthorizationFailed",): 1}
    guarded.allow(ResourceType.TOPIC, "*", ACLOperation.DESCRIBE_CONFIGS)
    snapshot = eventually(lambda: (s := look()) and samples(s, "zads_topic_retention_seconds", "topic") and s)
    assert samples(snapshot, "zads_topic_retention_seconds", "topic") == {("guarded",): 86_400}
    assert not samples(snapshot, "zads_collector_errors_total", "reason")
