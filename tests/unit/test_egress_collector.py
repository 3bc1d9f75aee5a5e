"""The collector of egress: when one of its two measurements fails, the other goes on; totals never jump."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from exporters.broker_egress.collector import BrokerEgressCollector
from exporters.broker_egress.ledger import Connection
from exporters.broker_egress.offsets import OffsetEgress
from exporters.broker_egress.wire import NotKafkaHostError, Wire
from tests.unit.test_egress_offsets import FakeKafka
from zads.collector import Reading
from zads.config import load

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")


class FakeWire:
    """Plays the kernel: the figures to give, or the error to raise."""

    def __init__(self) -> None:
        self.acked, self.key, self.error = 0, "a", None
        self.events_lost = 0
        self.watch_errors = 0
        self.closed: Callable[[Connection], None] | None = None
        self.ports: frozenset[int] = frozenset()

    def start_with(self, ports) -> None:
        self.ports = frozenset(ports)

    def watch_also(self, ports) -> list[Connection]:
        self.ports |= frozenset(ports)
        return []

    def look(self) -> list[Connection]:
        if self.error is not None:
            raise self.error
        return [Connection(self.key, "127.0.1.1", self.acked, 0, 0.1, 0)]

    def watch(self, closed, stop: threading.Event) -> None:
        if self.watch_errors:
            self.watch_errors -= 1
            raise PermissionError(1, "no")
        self.closed = closed
        stop.wait()

    def close(self) -> None: ...


class World:
    def __init__(self, folder: Path) -> None:
        self.wire, self.kafka, self.file = FakeWire(), FakeKafka(), folder / "egress.json"
        self.boot = folder / "boot_id"
        self.boot.write_text("boot-1\n")
        self.restart()

    def restart(self) -> None:
        """Make a collector as after a kill: nothing was closed."""
        offsets = OffsetEgress(CONFIG, self.kafka)  # type: ignore[arg-type]
        self.collector = BrokerEgressCollector(CONFIG, self.wire, offsets, self.file, boot_id=self.boot)

    def collect(self) -> Reading:
        reading = self.collector.collect()
        self.collector._watcher.look()
        return reading


@pytest.fixture
def world(tmp_path: Path):
    world = World(tmp_path)
    yield world
    world.collector.close()


def _value(reading: Reading, name: str, **labels: str) -> float | None:
    for family in [*reading.families, *reading.always]:
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def _bytes(reading: Reading, source: str) -> float | None:
    return _value(reading, "zads_community_egress_bytes_total", community="lasair", source=source)


@pytest.mark.parametrize(
    "error", [PermissionError(1, "Operation not permitted"), InterruptedError(4, "interrupted"), KeyError("x")]
)
def test_a_wire_that_cannot_be_read_leaves_the_offsets(world: World, caplog, error: Exception) -> None:
    """No permission, or whatever else a library raises, at the first look too: a clear message, no figures of the wire."""
    world.wire.error = error
    with caplog.at_level(logging.WARNING):
        first = world.collect()
    assert _value(first, "zads_egress_wire_readable") == 0
    assert first.ok
    assert first.errors == {type(error).__name__: 1}
    assert "AF_NETLINK" in caplog.text
    assert "committed offsets alone" in caplog.text
    world.kafka.commits["lasair"] = 1010
    world.collect()
    reading = world.collect()
    assert _bytes(reading, "wire") is None
    assert _value(reading, "zads_community_connections") is None
    assert _bytes(reading, "offsets") == 10 * 50_000
    world.wire.error = None
    world.collector._watcher.look()
    assert _value(world.collect(), "zads_egress_wire_readable") == 1


def test_an_error_later_on_ends_no_thread(world: World) -> None:
    """A dump that is interrupted now and then is tried again a second later."""
    world.collect()
    world.wire.error = InterruptedError(4, "interrupted dump")
    time.sleep(1.3)
    world.wire.error = None
    time.sleep(1.3)
    assert all(thread.is_alive() for thread in world.collector._watcher._threads)
    reading = world.collect()
    assert _value(reading, "zads_egress_wire_readable") == 1
    assert reading.errors["InterruptedError"] >= 1


def test_events_that_cannot_be_read_are_counted_and_tried_again(world: World, monkeypatch) -> None:
    """And those that the kernel had to drop are counted too."""
    monkeypatch.setattr("exporters.broker_egress.watcher._WATCH_AGAIN", 0.05)
    world.wire.watch_errors = 2
    errors = Counter(world.collect().errors)
    time.sleep(0.4)
    world.wire.events_lost = 3
    errors.update(world.collect().errors)
    assert errors == {"EventsUnreadable": 2, "EventsLost": 3}


def test_a_reading_that_hangs_is_not_readable(world: World) -> None:
    """Frozen figures are no figures."""
    world.collect()
    now = [time.monotonic() + 60]
    world.collector._watcher._monotonic = lambda: now[0]
    world.wire.error = OSError("hangs, so to say")
    assert _value(world.collector.collect(), "zads_egress_wire_readable") == 0


def test_a_cluster_that_is_away_takes_no_wire_with_it(world: World) -> None:
    """And on the rounds between two readings of offsets it is still away."""
    world.kafka.metadata = lambda: (_ for _ in ()).throw(ConnectionRefusedError())  # type: ignore[method-assign]
    for _ in range(3):
        reading = world.collect()
        assert _bytes(reading, "offsets") is None
        assert _bytes(reading, "wire") == 0
        assert reading.ok
    world.wire.error = OSError("both")
    world.collect()
    assert not world.collect().ok


def test_totals_never_come_back_lower_after_a_kill(world: World) -> None:
    """What is published was saved before; what was sent meanwhile is added once."""
    world.collect()
    for sent in (10**9, 3 * 10**9):
        world.wire.acked = sent
        world.collect()
        published = _bytes(world.collect(), "wire")
        old = world.collector
        world.restart()
        assert _bytes(world.collect(), "wire") == published
        old._watcher.close()
    assert published == 3 * 10**9


def test_what_ended_just_before_a_kill_is_not_lost(world: World) -> None:
    """The kernel forgets a connection with its end: it is written down at once, not with the next collection."""
    world.collect()
    deadline = time.monotonic() + 10
    while world.wire.closed is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert world.wire.closed is not None
    for number in range(3):
        world.wire.closed(Connection(f"short{number}", "127.0.1.1", 4000, 0, 0.1, 0))
    while json.loads(world.file.read_text())["bytes"].get("lasair") != 12_000 and time.monotonic() < deadline:
        time.sleep(0.05)
    old = world.collector
    world.restart()
    assert _bytes(world.collect(), "wire") == 12_000
    old._watcher.close()


def test_a_clock_that_moves_is_no_new_boot(world: World) -> None:
    """The boot's id decides, not its time: connections go on where they were; after a real boot they are new ones."""
    world.wire.acked = 0
    world.collect()
    world.wire.acked = 1000
    world.collector._watcher.look()
    world.collector.close()
    world.restart()
    assert _bytes(world.collect(), "wire") == 1000
    world.collector.close()
    world.boot.write_text("boot-2\n")
    world.wire.acked = 300  # another socket that happens to have the same name
    world.restart()
    assert _bytes(world.collect(), "wire") == 1300


def test_a_state_file_that_is_no_good_begins_anew(world: World, caplog) -> None:
    """Broken or of another shape: nothing stops, it is counted, said once, and kept aside."""
    world.collector.close()
    good = json.loads(world.file.read_text())
    shapes = ({"known": 3}, {"known": {}, "offsets": {}}, {**good, "offsets": {**good["offsets"], "replayed": 3}})
    for number, content in enumerate(("{{{", "[]", *map(json.dumps, shapes)), 1):
        world.file.write_text(content)
        world.restart()
        reading = world.collect()
        assert _bytes(reading, "wire") == 0
        assert reading.errors == {"StateDamaged": 1}
        assert world.collect().errors == {}
        world.collector.close()
        assert content in [aside.read_text() for aside in world.file.parent.glob("egress.json.damaged-*")]
        assert caplog.text.count("is damaged") == number


def test_a_state_folder_that_cannot_be_written_is_said_once(world: World, caplog) -> None:
    """Counted at each try; what is measured goes on."""
    world.collector.close()
    world.file = world.file.parent / "boot_id" / "egress.json"  # a file where the folder should be
    world.restart()
    for _ in range(4):
        reading = world.collect()
    assert reading.errors["StateNotSaved"] >= 1
    assert _bytes(reading, "wire") == 0
    assert caplog.text.count("cannot be kept in") == 1


def test_on_a_machine_without_kafka_the_wire_sees_nothing_and_says_so() -> None:
    """Zero connections there are not zero connections of communities."""
    wire = Wire([1])
    with pytest.raises(NotKafkaHostError, match="nothing listens on Kafka's port 1 "):
        wire.look()
    wire.close()


def test_the_ports_that_are_watched(world: World) -> None:
    """Those of bootstrap, and those that the brokers advertise; where some are named, these alone; known over a restart."""
    world.collect()
    assert world.wire.ports == {22092} | {port for _, port in world.kafka.metadata().brokers.values()}
    assert json.loads(world.file.read_text())["ports"] == sorted(world.wire.ports)
    world.collector.close()
    exporters = CONFIG.exporters.model_copy(update={"community_ports": (9092, 9093)})
    config = CONFIG.model_copy(update={"exporters": exporters})
    offsets = OffsetEgress(config, world.kafka)  # type: ignore[arg-type]
    collector = BrokerEgressCollector(config, world.wire, offsets, world.file, boot_id=world.boot)
    assert world.wire.ports == frozenset(), "they are added, so that what was sent there before is not counted"
    collector.collect()
    assert world.wire.ports == {9092, 9093}
    collector.close()


def test_events_that_stay_unreadable_are_said_once(world: World, caplog, monkeypatch) -> None:
    """Not every five seconds."""
    monkeypatch.setattr("exporters.broker_egress.watcher._WATCH_AGAIN", 0.02)
    world.wire.watch_errors = 10
    world.collect()
    deadline = time.monotonic() + 10
    while world.wire.watch_errors and time.monotonic() < deadline:
        time.sleep(0.02)
    assert world.wire.watch_errors == 0
    assert caplog.text.count("events of closed connections cannot be read") == 1
