"""A real Kafka that hangs, dies and comes back, as its service is seen."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporters.services.collector import build
from tests.integration.conftest import Node
from zads.collector import CollectorLoop
from zads.config import Config, parse

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "kafka")
    try:
        yield node.start()
    finally:
        node.stop()


def _config(node: Node, folder: Path) -> Config:
    return parse(
        f"""
        [kafka.public]
        bootstrap = ["{node.address}"]
        [[host]]
        name = "kafka"
        address = "127.0.0.1"
        probe = "{node.address}"
        [[service]]
        name = "kafka-public"
        host = "kafka"
        role = "kafka"
        probe = "kafka://{node.address}"
        process = '{re.escape(str(node.folder))}'
        unit = "no-such-unit.service"
        [exporters]
        state_dir = "{folder}"
        """
    )


def _see(loop: CollectorLoop) -> dict[str, float]:
    found = {}
    for line in loop.once().body.decode().splitlines():
        if line.startswith(("zads_service_", "zads_host_")):
            name, value = re.sub(r"\{.*\}", "", line).split(" ")
            found[name.removeprefix("zads_service_")] = float(value)
    return found


def test_a_kafka_that_hangs_dies_and_comes_back(node: Node, tmp_path: Path) -> None:
    """Up and answering; hanging: up and not answering; gone: neither; back: one restart, counted by another exporter too."""
    loop = CollectorLoop(build(_config(node, tmp_path)), 5.0)
    seen = _see(loop)
    assert (seen["up"], seen["answering"], seen["restarts_total"]) == (1, 1, 0)
    assert seen["start_time_seconds"] == pytest.approx(time.time(), abs=120)
    assert seen["resident_memory_bytes"] > 50_000_000
    assert seen["max_open_files"] > seen["open_files"] > 10
    assert seen["zads_host_answering"] == 1

    node.signal(signal.SIGSTOP)
    begin = time.monotonic()
    seen = _see(loop)
    assert time.monotonic() - begin < 4
    assert (seen["up"], seen["answering"]) == (1, 0)
    assert "probe_seconds" not in seen
    node.signal(signal.SIGCONT)

    node.kill()
    seen = _see(loop)
    assert (seen["up"], seen["answering"], seen["zads_host_answering"]) == (0, 0, 0)
    assert "start_time_seconds" not in seen
    loop.stop()

    node.start()
    loop = CollectorLoop(build(_config(node, tmp_path)), 5.0)
    seen = _see(loop)
    assert (seen["up"], seen["answering"], seen["restarts_total"]) == (1, 1, 1)
    loop.stop()
