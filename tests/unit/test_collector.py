"""The collection loop: honest when it fails, silent about what it does not know."""

from __future__ import annotations

import logging
import threading
import time
from itertools import pairwise

import pytest

from zads.collector import Collector, CollectorLoop, Reading
from zads.metrics import gauge


class Source:
    """A collector that does as it is told."""

    name = "test"

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.closed = False

    def collect(self) -> Reading:
        if self.error:
            raise self.error
        family = gauge("zads_cluster_up")
        family.add_metric(["public"], 1)
        return Reading([family])

    def close(self) -> None:
        self.closed = True


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_values_are_kept_for_three_intervals_and_then_vanish() -> None:
    """Absence is honest, a frozen value is a lie; what the exporter says of itself stays."""
    source, clock = Source(), Clock()
    loop = CollectorLoop(source, 5.0, clock=clock, monotonic=clock)
    assert b"zads_cluster_up" in loop.once().body
    source.error = ConnectionError("gone")
    clock.now += 5
    text = loop.once().body
    assert b"zads_cluster_up" in text
    assert b'zads_collector_success{collector="test"} 0.0' in text
    assert b'zads_collector_errors_total{collector="test",reason="ConnectionError"} 1.0' in text
    clock.now += 11
    text = loop.once().body
    assert b"zads_cluster_up" not in text
    assert b"zads_collector_success" in text


def test_a_collection_that_hangs_does_not_keep_old_values_alive() -> None:
    """Nothing is published while it hangs; the scrape itself notices."""
    source, clock = Source(), Clock()
    loop = CollectorLoop(source, 5.0, clock=clock, monotonic=clock)
    loop.once()
    clock.now += 60
    assert b"zads_cluster_up" not in loop.snapshot().body


def _values(snapshot_body: bytes, name: str) -> list[str]:
    return [line for line in snapshot_body.decode().splitlines() if line.startswith(name)]


def test_a_family_that_cannot_be_rendered_is_left_out_alone_and_the_loop_lives_on() -> None:
    """A label with half a surrogate pair: its family is missing and counted, the rest stands, the thread goes on."""

    class Poisoned(Source):
        rounds = 0

        def collect(self) -> Reading:
            self.rounds += 1
            bad, good = gauge("zads_cluster_up"), gauge("kafka_brokers")
            bad.add_metric(["\ud800" if self.rounds == 2 else "public"], 1)
            good.add_metric([], 3)
            return Reading([bad, good])

    source = Poisoned()
    loop = CollectorLoop(source, 0.05)
    loop.once()
    snapshot = loop.once()
    assert not snapshot.ok
    assert _values(snapshot.body, "kafka_brokers") == ["kafka_brokers 3.0"]
    assert not _values(snapshot.body, "zads_cluster_up")
    assert b'zads_collector_errors_total{collector="test",reason="Unrenderable"} 1.0' in snapshot.body
    loop.start()
    deadline = time.monotonic() + 5
    while source.rounds < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    loop.stop()
    assert source.rounds >= 5
    assert loop.snapshot().ok


def test_a_hang_while_only_the_always_families_stand_does_not_freeze_them() -> None:
    """zads_cluster_up of a failed collection may not stand for ever when the next one hangs."""

    class Failing(Source):
        def collect(self) -> Reading:
            family = gauge("zads_cluster_up")
            family.add_metric(["public"], 0)
            return Reading(always=[family], ok=False, errors={"ClusterDoesNotAnswer": 1})

    clock = Clock()
    loop = CollectorLoop(Failing(), 5.0, clock=clock, monotonic=clock)
    assert b"zads_cluster_up" in loop.once().body
    clock.now += 10
    assert b"zads_cluster_up" in loop.snapshot().body
    clock.now += 10
    assert b"zads_cluster_up" not in loop.snapshot().body
    assert b"zads_collector_success" in loop.snapshot().body


def test_failing_collections_keep_their_always_families_for_as_long_as_they_are_fresh() -> None:
    """Ten minutes of failures: what each of them says about the cluster is news."""

    class Failing(Source):
        def collect(self) -> Reading:
            family = gauge("zads_cluster_up")
            family.add_metric(["public"], 0)
            return Reading(always=[family], ok=False)

    clock = Clock()
    loop = CollectorLoop(Failing(), 5.0, clock=clock, monotonic=clock)
    for _ in range(120):
        clock.now += 5
        loop.once()
        assert b"zads_cluster_up" in loop.snapshot().body


def _wait(condition: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.01)
    raise AssertionError("not in time")


def test_a_slow_collection_rests_for_as_long_as_it_took() -> None:
    """0.2 s every 0.05 s would keep the brokers busy all the time: at most half of it, and what is skipped is counted."""
    begun: list[float] = []

    class Slow(Source):
        def collect(self) -> Reading:
            begun.append(time.monotonic())
            time.sleep(0.2)
            return Reading()

    loop = CollectorLoop(Slow(), 0.05)
    loop.start()
    _wait(lambda: len(begun) >= 4)
    loop.stop()
    assert all(after - before > 0.35 for before, after in pairwise(begun))
    skipped = float(_values(loop.snapshot().body, "zads_collector_overruns_total")[0].split()[1])
    assert skipped >= 9


@pytest.mark.parametrize(("takes", "pace"), [(0.1, 5), (2.4, 5), (2.6, 10), (7, 15), (100, 165)])
def test_the_pace_is_told_and_leaves_as_much_rest_as_work_and_a_minute_at_most(takes: float, pace: float) -> None:
    """In whole intervals, from the begin of a collection to the next one's."""
    clock = Clock()

    class Slow(Source):
        def collect(self) -> Reading:
            clock.now += takes
            return super().collect()

    loop = CollectorLoop(Slow(), 5.0, clock=clock, monotonic=clock)
    loop.once()
    assert _values(loop.snapshot().body, "zads_collector_interval_seconds") == [
        f'zads_collector_interval_seconds{{collector="test"}} {pace:.1f}'
    ]


def test_good_collections_that_take_long_do_not_lose_their_values_between_two_of_them() -> None:
    """Four intervals of work and as much rest: the values are the newest that there are."""
    clock = Clock()

    class Slow(Source):
        def collect(self) -> Reading:
            clock.now += 20
            return super().collect()

    loop = CollectorLoop(Slow(), 5.0, clock=clock, monotonic=clock)
    loop.once()
    clock.now += 45
    assert b"zads_cluster_up" in loop.snapshot().body


def test_failures_that_take_long_do_not_keep_values_alive() -> None:
    """Timeouts make a failed collection long; three intervals stay three intervals."""
    source, clock = Source(), Clock()
    loop = CollectorLoop(source, 5.0, clock=clock, monotonic=clock)
    loop.once()
    source.error = TimeoutError("no answer")
    clock.now += 16
    assert b"zads_cluster_up" not in loop.once().body


class Partial(Source):
    """A collector whose collections fail as they are told: reasons, one collection after the other, again and again."""

    def __init__(self, *rounds: tuple[str, ...], ok: bool = True) -> None:
        super().__init__()
        self.rounds, self.ok, self.looks = rounds, ok, 0

    def collect(self) -> Reading:
        self.looks += 1
        reasons = self.rounds[self.looks % len(self.rounds)]
        return Reading(errors=dict.fromkeys(reasons, 1), ok=self.ok or not reasons)


def _logged(source: Source, *phases: tuple[float, object], interval: float = 5.0) -> list[tuple[float, str]]:
    """Let a loop collect for some seconds per phase, each begun by a call; return what was logged at which second."""
    lines: list[tuple[float, str]] = []
    clock = Clock()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((clock.now - 1000.0, f"{record.levelname} {record.getMessage()}"))

    handler, log = Lines(), logging.getLogger("zads.fault_log")
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.INFO)
    try:
        loop = CollectorLoop(source, interval, clock=clock, monotonic=clock)
        for seconds, begin in phases:
            begin()  # type: ignore[operator]
            for _ in range(int(seconds / interval)):
                loop.once()
                clock.now += interval
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    return lines


def test_a_fault_stands_in_the_log_when_it_begins_every_ten_minutes_and_when_it_is_over() -> None:
    """Not every five seconds; over it is after half a minute without it, and that is what is said."""
    source = Source()
    lines = _logged(
        source,
        (50, lambda: None),
        (1500, lambda: setattr(source, "error", ConnectionError("gone"))),
        (300, lambda: setattr(source, "error", None)),
    )
    assert lines == [
        (50, "WARNING test: collection failed: ConnectionError: gone"),
        (650, "WARNING test: still: collection failed: ConnectionError: gone"),
        (1250, "WARNING test: still: collection failed: ConnectionError: gone"),
        (1580, "INFO test: collects all again, for 35 s now"),
    ]


@pytest.mark.parametrize("ok", [True, False])
@pytest.mark.parametrize("interval", [1.0, 5.0, 30.0])
def test_what_is_looked_at_every_few_collections_does_not_begin_and_end_with_each(ok: bool, interval: float) -> None:
    """Commits are read every second time, sizes every sixth: a fault of theirs is one fault, whatever else fails beside it."""
    rounds = [("A",), ("A", "B"), ("A",), ("A",), ("A", "B"), ("A", "C")] if not ok else [("B",), (), (), (), (), ()]
    source = Partial(*rounds, ok=ok)
    lines = [text for _, text in _logged(source, (590, lambda: None), interval=interval)]
    assert 1 <= len(lines) <= (1 if ok else 3), lines
    assert not [text for text in lines if "again" in text]
    assert all(reason in "".join(lines) for reason in ("B" if ok else "ABC"))


def test_a_fault_that_joins_another_is_said_and_each_end_too() -> None:
    """The second one is news; the first one's end does not say that all is well."""
    source = Partial(("A",))
    lines = _logged(
        source,
        (60, lambda: None),
        (60, lambda: setattr(source, "rounds", (("A", "B"),))),
        (120, lambda: setattr(source, "rounds", (("B",),))),
        (120, lambda: setattr(source, "rounds", ((),))),
    )
    assert lines == [
        (0, "WARNING test: parts could not be read: A"),
        (60, "WARNING test: parts could not be read: A, B"),
        (150, "INFO test: no more A for 35 s; not over yet: B"),
        (270, "INFO test: collects all again, for 35 s now"),
    ]


def test_what_the_state_file_says_itself_is_not_said_twice() -> None:
    """It is counted, and no fault of a collection."""
    assert _logged(Partial(("StateNotSaved",), ("StateDamaged",)), (60, lambda: None)) == []


def test_a_collector_is_exchanged_between_two_collections_and_counters_go_on() -> None:
    """What was counted stays; a change that is refused leaves the former one at work."""
    first, second = Source(), Source()
    first.error = ConnectionError("gone")
    loop = CollectorLoop(first, 0.02)
    loop.start()
    _wait(lambda: b"ConnectionError" in loop.snapshot().body)

    def change(old: Collector) -> Collector:
        assert old is first
        old.close()
        return second

    loop.change(change, 0.02)
    _wait(lambda: loop.snapshot().ok)
    assert first.closed
    assert b'reason="ConnectionError"' in loop.snapshot().body

    def refuse(old: Collector) -> Collector:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        loop.change(refuse, 0.02)
    second.error = ConnectionError("again")
    _wait(lambda: not loop.snapshot().ok)
    loop.stop()
    assert second.closed


def test_a_collection_that_hangs_delays_neither_the_end_nor_a_change() -> None:
    """The end comes without it; a change is refused; after five minutes the exporter calls itself ill."""
    release, clock = threading.Event(), Clock()

    class Hanging(Source):
        def collect(self) -> Reading:
            release.wait(20)
            return Reading()

    source = Hanging()
    loop = CollectorLoop(source, 0.01, clock=clock, monotonic=clock)
    loop.start()
    _wait(lambda: loop.ailment() is None)
    with pytest.raises(TimeoutError, match="under way"):
        loop.change(lambda old: old, 0.01, timeout=0.1)
    assert loop.ailment() is None
    clock.now += 301
    assert loop.ailment() == "test: a collection has been hanging for 301 s"
    loop.stop(timeout=0.1)
    assert not source.closed, "its thread still uses it"
    release.set()


def test_a_collector_that_fails_to_close_does_not_stop_the_end() -> None:
    """Closing happens on the way out."""

    class Stubborn(Source):
        def close(self) -> None:
            raise RuntimeError("no")

    CollectorLoop(Stubborn(), 1.0).stop()
