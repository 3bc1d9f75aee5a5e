"""`zads init` looks at a real Kafka: topics, groups with odd names, who committed what; and writes what is right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.structs import OffsetAndMetadata

from tests.integration.conftest import Node
from zads.cli import main
from zads.config import KafkaCluster, load
from zads.kafka import create_topics

TOPIC = "ztf_20261125_programid1"
ODD = 'it\'s "odd"\nand Ünïcode\\'


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    node = Node(tmp_path_factory.mktemp("kafka"))
    try:
        node.start()
        create_topics(KafkaCluster(bootstrap=(node.address,)), {TOPIC: 2, "invoices": 1}, client_id="test")
        for group, topic in (("lasair", TOPIC), (ODD, TOPIC), ("billing", "invoices")):
            consumer = KafkaConsumer(bootstrap_servers=node.address, group_id=group, enable_auto_commit=False)
            consumer.assign([TopicPartition(topic, 0)])
            consumer.commit({TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)})
            consumer.close()
        yield node.address
    finally:
        node.stop()


@pytest.mark.kafka
def test_a_real_kafka_gives_a_file_that_is_right(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """zads.toml first, my-zads.toml when there is one; a folder that cannot be written is said."""
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--bootstrap", broker]) == 0
    out = capsys.readouterr().out
    assert "zads.toml: 1 broker" in out and "it-s-odd-and-unicode, lasair" in out
    assert main(["config", "check"]) == 0
    config = load(tmp_path / "zads.toml")
    assert [c.name for c in config.communities] == ["it-s-odd-and-unicode", "lasair"]
    assert all(c.commits for c in config.communities)
    assert main(["init", "--bootstrap", broker]) == 0
    assert (tmp_path / "my-zads.toml").read_text() == (tmp_path / "zads.toml").read_text()
    assert main(["init", "--bootstrap", broker, "--output", "/proc/nowhere.toml"]) == 1
    assert "/proc/nowhere.toml cannot be written" in capsys.readouterr().err
    assert main(["init", "--bootstrap", broker, "--output", "zads.toml", "--force"]) == 0
