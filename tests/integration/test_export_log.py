"""The logs of real exporters while Kafka is away or was never there: each fault once, no end that is none."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Node
from tests.integration.test_kafka_lag_cli import Export, free_port
from zads.config import KafkaCluster

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]
NAMES = ("broker-egress", "alert-arrival", "kafka-lag", "all")


class Watched(Export):
    """A process of its own, with Kafka at an address."""

    def __init__(self, folder: Path, name: str, address: str) -> None:
        folder.mkdir()
        self.name = name
        super().__init__(folder, KafkaCluster(bootstrap=(address,)))
        key = f"{name.replace('-', '_')}_port"
        ports = {f"{one}_port": free_port() for one in ("kafka_lag", "broker_egress", "alert_arrival", "services", "all")}
        self.port = ports[key]
        self.write('[[community]]\nname = "lasair"\ngroups = ["lasair"]\nnetworks = ["127.0.7.1/32"]\n', **ports)

    def rounds(self, name: str) -> float:
        """Return the errors counted so far: that the faults go on is what makes a quiet log worth something."""
        text = self.get("/metrics")[1]
        found = re.findall(rf'^zads_collector_errors_total{{collector="{name}",[^}}]*}} (\S+)$', text, re.MULTILINE)
        return sum(float(value) for value in found)

    def faults(self) -> list[str]:
        """Return the lines about faults, without their time and level."""
        words = ("collection failed", "could not be read", "collects", "no more", "cannot be read", "failed:")
        return [line for line in self.log().splitlines() if any(word in line for word in words)]


def wait(condition: object, seconds: float, what: object = "") -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.2)


@contextlib.contextmanager
def started(exports: list[Watched]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for export in exports:
            stack.enter_context(export.serving(export.name))
        yield


def test_a_fault_that_lasts_is_said_once_and_its_end_once(tmp_path: Path) -> None:
    """Kafka never there, and Kafka taken away for 20 collections and given back: some lines each, no line repeated."""
    node = Node(tmp_path / "kafka")
    try:
        node.start()
        living = [Watched(tmp_path / name, name, node.address) for name in NAMES]
        nowhere = [Watched(tmp_path / f"{name}-nowhere", name, f"127.0.0.1:{free_port()}") for name in NAMES]
        with started([*living, *nowhere]):
            for export in living:
                wait(lambda e=export: e.get("/-/ready")[0] == 200, 30, export.log)
                assert not export.faults(), export.faults()
            node.stop()
            for export in (*living, *nowhere):
                one = "broker-egress" if export.name == "all" else export.name
                wait(lambda e=export, c=one: e.rounds(c) >= 20, 60, export.log)
            for export in (*living, *nowhere):
                bodies = [re.sub(r"^.*? (?=broker-egress|alert-arrival|kafka-lag)", "", line) for line in export.faults()]
                assert bodies, export.log()
                assert not [line for line in bodies if "again" in line], bodies
                assert len(bodies) == len(set(bodies)), bodies
                assert len(bodies) <= 3 * (3 if export.name == "all" else 1), bodies
            node.start()
            for export in living:
                count = 3 if export.name == "all" else 1
                wait(lambda e=export, n=count: e.log().count("collects all again") == n, 75, export.log)
                assert "collects all again" in export.faults()[-1], export.faults()
    finally:
        node.stop()


def test_a_damaged_state_file_is_said_kept_and_counted_by_a_real_process(tmp_path: Path) -> None:
    """All three files that are no JSON, one folder: each once in the log, each old content still there, nothing stops."""
    node = Node(tmp_path / "kafka")
    try:
        node.start()
        export = Watched(tmp_path / "damaged", "all", node.address)
        state = export.folder / "state"
        state.mkdir()
        files = ("broker-egress.json", "alert-arrival.json", "services.json")
        for name in files:
            (state / name).write_text("{{{")
        with started([export]):
            wait(lambda: export.get("/-/ready")[0] == 200, 30, export.log)
            wait(lambda: export.value("zads_collector_errors_total", reason="StateDamaged") == 1, 10, export.log)
            text = export.get("/metrics")[1]
        for name in files:
            collector = name.removesuffix(".json")
            assert f'zads_collector_errors_total{{collector="{collector}",reason="StateDamaged"}} 1.0' in text
            assert [aside.read_text() for aside in state.glob(f"{name}.damaged-*")] == ["{{{"]
            said = [line for line in export.log().splitlines() if f"{name} is damaged" in line]
            assert len(said) == 1, export.log()
        assert "StateDamaged" not in export.log()
        assert (state / "broker-egress.json").read_text().startswith('{"known"')
    finally:
        node.stop()
