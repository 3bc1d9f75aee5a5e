"""The tail on a consumer of plain records: budget, garbage, lost connections."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporters.alert_arrival.content import Content
from exporters.alert_arrival.tail import Follow, Tail
from zads.config import load

CONFIG = load(Path(__file__).resolve().parents[2] / "zads.toml")
PACKET = sorted((Path(__file__).resolve().parents[2] / "zads" / "stack" / "packets").glob("*.avro"))[0].read_bytes()
NAME = "ztf_20260401_programid1"
KEY = ("a", NAME, 0)


class Broker:
    """Plays kafka-python's consumer; only the calls that come back are there."""

    def __init__(self, values: list[bytes | None]) -> None:
        self.values, self.seeks, self.connected, self.failing = values, [], 0, 0
        self.at = self.delivered = 0

    def __call__(self, *_args: object, **_settings: object) -> Broker:
        self.connected += 1
        return self

    def assign(self, parts: list[Any]) -> None:
        self.parts = parts

    def seek(self, part: Any, offset: int) -> None:
        self.seeks.append((part.topic, part.partition, offset))
        self.at = offset

    def poll(self, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        if self.failing:
            self.failing -= 1
            raise ValueError("whatever a library raises")
        found = [
            SimpleNamespace(topic=NAME, partition=0, offset=n, value=v, timestamp=1_780_000_000_000)
            for n, v in enumerate(self.values)
            if n >= self.at
        ][:max_records]
        self.at += len(found)
        self.delivered += len(found)
        if not found:
            time.sleep(0.02)
        return {self.parts[0]: found} if found else {}

    def close(self, **_: object) -> None: ...


def _run(broker: Broker, done: Callable[[Content], bool], *, config=CONFIG, begin: int = 0, end: int = 0) -> Content:
    content = Content(CONFIG.stream.restricted_programs)
    tail = Tail(config, content, lambda part, offset: None, connect=broker)
    tail.follow({KEY: Follow(1, begin, end)})
    deadline = time.monotonic() + 10
    while not done(content) and time.monotonic() < deadline:
        time.sleep(0.02)
    tail.close()
    return content


def _budget(bytes_per_second: int):
    return CONFIG.model_copy(
        update={"exporters": CONFIG.exporters.model_copy(update={"decode_bytes_per_second": bytes_per_second})}
    )


def test_garbage_between_packets_is_counted_by_reason_and_stops_nothing() -> None:
    """Empty, null, truncated, no Avro, 10 MB: all counted, and every good packet decoded."""
    bad: list[bytes | None] = [b"", None, PACKET[:3000], b"garbage", b"Obj\x01" + bytes(10_000_000), bytes(10_000_000)]
    broker = Broker([PACKET, *bad, PACKET, PACKET])
    content = _run(broker, lambda c: c.decoded == 3)
    assert content.decoded == 3
    assert content.errors == {"empty": 2, "truncated": 1, "not_avro": 2, "too_large": 1}
    assert not content.failures


def test_what_is_over_the_budget_is_skipped_unread_and_told() -> None:
    """400 packets wait, the budget reaches 135 of them in 10 s: the newest are read, the share is right."""
    broker = Broker([PACKET] * 400)
    begin = time.monotonic()
    content = _run(broker, lambda c: c.decoded >= 60, config=_budget(1_000_000), end=400)
    assert broker.seeks[-1] == (NAME, 0, 400 - 143)  # 10 MB of the 70 kB that the config expects
    assert broker.delivered == content.decoded
    # What it takes at once is 2 s of the budget and one poll more.
    assert content.decoded * len(PACKET) < 1_000_000 * (2.5 + time.monotonic() - begin) + 50 * len(PACKET)
    ratio = content.sampled_ratio(time.time())
    assert ratio == pytest.approx(content.decoded / (content.decoded + 257))


def test_a_packet_larger_than_the_budget_is_read_all_the_same() -> None:
    """A budget of 20 kB a second reads packets of 74 kB now and then, not never."""
    content = _run(Broker([PACKET] * 3), lambda c: c.decoded == 3, config=_budget(20_000), end=3)
    assert content.decoded == 3


def test_what_is_too_old_is_skipped_on_every_partition_by_the_same_share() -> None:
    """Each look says where the logs end; between two of them nothing is skipped."""
    broker = Broker([PACKET])
    content = Content(())
    tail = Tail(_budget(700_000), content, lambda part, offset: None, connect=broker)
    tail._wanted = {("a", NAME, 0): Follow(1, 0, 1000), ("a", NAME, 1): Follow(1, 0, 3000)}
    tail._positions, tail._moved = {("a", NAME, 0): 0, ("a", NAME, 1): 0}, True
    tail._skip(broker)
    assert broker.seeks == [(NAME, 0, 975), (NAME, 1, 2925)]
    tail._skip(broker)
    assert len(broker.seeks) == 2


def test_a_lost_connection_goes_on_where_it_was(monkeypatch) -> None:
    """The failure is counted, nothing is decoded twice or left out."""
    monkeypatch.setattr("exporters.alert_arrival.tail._RETRY_SECONDS", 0.1)
    broker = Broker([PACKET] * 5)
    original = broker.poll

    def poll(timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:
        found = original(timeout_ms, 2)
        if broker.connected == 1 and broker.at == 4:
            broker.failing = 1
        return found

    broker.poll = poll  # type: ignore[method-assign]
    content = _run(broker, lambda c: c.decoded == 5)
    assert content.decoded == 5
    assert content.failures == {"TailValueError": 1}
    assert broker.seeks == [(NAME, 0, 0), (NAME, 0, 4)]


def test_a_program_that_its_topic_must_not_hold_is_seen_at_once() -> None:
    """A packet of program 3 in a public topic."""
    packets = sorted((Path(__file__).resolve().parents[2] / "zads" / "stack" / "packets").glob("*.avro"))
    content = _run(Broker([packets[1].read_bytes()]), lambda c: c.decoded == 1)
    assert content.restricted == {3: 1}


def test_closing_ends_the_thread() -> None:
    """Within its poll."""
    tail = Tail(CONFIG, Content(()), lambda part, offset: None, connect=Broker([]))
    tail.follow({KEY: Follow(1, 0, 0)})
    tail.close()
    assert tail._thread is not None
    assert not tail._thread.is_alive()
