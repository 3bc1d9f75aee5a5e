"""The collection loop: honest when it fails, silent about what it does not know."""

from __future__ import annotations

import gzip
import time
import urllib.error
import urllib.request

import pytest

from zads.collector import CollectorLoop, Reading
from zads.http import Server
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


def test_a_scrape_is_served_with_and_without_gzip_and_ready_tells_the_truth() -> None:
    """Over real HTTP."""
    source = Source()
    loop = CollectorLoop(source, 0.1)
    server = Server("127.0.0.1", 0, {"test": loop})
    server.start()
    base = f"http://127.0.0.1:{server.port}"
    try:
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{base}/-/ready", timeout=5)
        assert caught.value.code == 503
        loop.start()
        time.sleep(0.5)
        assert urllib.request.urlopen(f"{base}/-/ready", timeout=5).status == 200
        with urllib.request.urlopen(f"{base}/metrics", timeout=5) as answer:
            plain = answer.read()
        assert b"zads_cluster_up" in plain
        request = urllib.request.Request(f"{base}/test/metrics", headers={"Accept-Encoding": "gzip"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            body = answer.read()
            if answer.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
        assert b"zads_cluster_up" in body
    finally:
        server.stop()
        loop.stop()
    assert source.closed
