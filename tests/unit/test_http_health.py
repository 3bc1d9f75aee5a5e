"""/-/healthy and /-/ready over a real socket, in each state that a collection loop can be in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.unit.test_http_server import Site, Source
from zads.collector import Reading


class Hanging(Source):
    """A collector whose next collection can be made to hang."""

    def __init__(self, name: str = "test") -> None:
        super().__init__(name, 10)
        self.go, self.entered = threading.Event(), threading.Event()
        self.go.set()

    def collect(self) -> Reading:
        self.entered.set()
        self.go.wait(60)
        return super().collect()


class Clock:
    """A monotonic clock that is put forward by hand."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def wait(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Hanging:
    return Hanging()


@pytest.fixture
def site(source: Hanging, clock: Clock) -> Iterator[Site]:
    made = Site(source, Source("other", 10), monotonic=clock, interval=0.05)
    yield made
    source.go.set()
    for loop in made.loops.values():
        loop.stop()
    made.server.stop()


def answers(site: Site) -> tuple[int, int]:
    return site.get("/-/healthy")[0], site.get("/-/ready")[0]


def test_before_the_first_collection_has_ended_it_is_healthy_and_not_ready(site: Site, source: Hanging) -> None:
    """Also while that one hangs: it names who is not ready, and the others' pages are served."""
    source.go.clear()
    for loop in site.loops.values():
        loop.start()
    assert source.entered.wait(5)
    wait(lambda: b"zads_cluster_up" in site.get("/other/metrics")[2])
    assert answers(site) == (200, 503)
    assert site.get("/-/ready")[2] == b"test: no collection has finished yet\n"
    assert b"zads_cluster_up" not in site.get("/test/metrics")[2]
    assert "does not see: no collection has finished yet" in site.get("/")[2].decode()
    source.go.set()
    wait(lambda: answers(site) == (200, 200))


def test_a_collection_that_hangs_makes_it_not_ready_and_later_not_healthy(site: Site, source: Hanging, clock: Clock) -> None:
    """Three intervals on, its values are no news and disappear; five minutes on, a restart is called for; and back."""
    for loop in site.loops.values():
        loop.start()
    wait(lambda: answers(site) == (200, 200))
    source.entered.clear()
    source.go.clear()
    assert source.entered.wait(5)
    wait(lambda: answers(site) == (200, 503))
    assert site.get("/-/ready")[2] == b"test: the last collection hangs\n"
    page = site.get("/test/metrics")[2]
    assert b'zads_collector_success{collector="test"} 0.0' in page
    assert b"zads_cluster_up" not in page
    assert b"zads_cluster_up" in site.get("/other/metrics")[2]
    clock.ahead = 290.0
    assert site.get("/-/healthy")[0] == 200
    clock.ahead = 310.0
    status, _, body = site.get("/-/healthy")
    assert status == 503
    assert body.startswith(b"test: a collection has been hanging for 31")
    source.go.set()
    wait(lambda: answers(site) == (200, 200))
    assert b"zads_cluster_up" in site.get("/test/metrics")[2]


def test_values_that_went_stale_are_gone_and_it_is_healthy(site: Site, source: Hanging) -> None:
    """A cluster that is away is no fault of the exporter: not ready, healthy, no frozen value."""
    for loop in site.loops.values():
        loop.start()
    wait(lambda: answers(site) == (200, 200))
    source.error = ConnectionError("no broker answers")
    wait(lambda: b"zads_cluster_up" not in site.get("/test/metrics")[2])
    assert answers(site) == (200, 503)
    assert site.get("/-/ready")[2] == b"test: ConnectionError: no broker answers\n"
    assert b'zads_collector_errors_total{collector="test",reason="ConnectionError"}' in site.get("/metrics")[2]
    source.error = None
    wait(lambda: answers(site) == (200, 200))


def test_a_loop_that_died_is_named(site: Site) -> None:
    """One of several: the process is not healthy, though the others go on."""
    for loop in site.loops.values():
        loop.start()
    wait(lambda: answers(site) == (200, 200))
    site.loops["other"].ask_to_stop()
    wait(lambda: site.get("/-/healthy")[0] == 503)
    assert site.get("/-/healthy")[2] == b"other: its loop has ended\n"
