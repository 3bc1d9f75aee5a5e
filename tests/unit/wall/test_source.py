"""The wall asks Prometheus only when somebody looks, survives its loss, and one bad expression spoils one tile."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.unit.wall import scenes
from tests.unit.wall.fake_prometheus import FakePrometheus
from wall.app import application
from wall.source import Source


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    fake = FakePrometheus(scenes.clear_night())
    yield fake
    fake.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(prometheus: FakePrometheus, clock: Clock) -> Source:
    config = scenes.config()
    address = config.prometheus.model_copy(update={"address": prometheus.address})
    return Source(config.model_copy(update={"prometheus": address}), clock=clock)


def test_ten_screens_cost_as_much_as_one(prometheus: FakePrometheus, source: Source, clock: Clock):
    """One answer serves four seconds; nothing is asked before somebody looks."""
    assert prometheus.queries == 0
    assert source.wall().headline.word == "ALL WELL"
    asked = prometheus.queries
    assert asked == 4  # all signals at once, the impacts, two lines
    for _ in range(10):
        source.wall()
    assert prometheus.queries == asked
    clock.ahead = 4.5
    source.wall()
    assert prometheus.queries == asked + 2


def test_a_lost_prometheus_is_blind_and_comes_back(prometheus: FakePrometheus, source: Source, clock: Clock):
    source.wall()
    prometheus.silent = True
    clock.ahead = 5
    lost = source.wall()
    assert (lost.headline.word, dict(lost.chart)) == ("BLIND", {})
    assert "no data since" in lost.headline.line
    clock.ahead = 65
    # Since when: since it last answered, not since the last attempt.
    assert re.search(r"\((6[5-9]|[789]\d) s\)", source.wall().headline.line)
    prometheus.silent = False
    clock.ahead = 4.5
    assert source.wall().headline.word == "ALL WELL"


def test_one_refused_expression_spoils_one_tile(prometheus: FakePrometheus, source: Source):
    prometheus.refuses = "tonight"
    wall = source.wall()
    assert not wall.blind
    assert wall.sky[1].look == "idle"
    assert wall.sky[0].word == "DARK, ARRIVING"


def test_the_pages_carry_a_strict_policy(source: Source):
    """Every answer forbids other origins and inline scripts; the JSON is the wall; panels are listed."""
    client = TestClient(application(source))
    for path in ("/", "/wall.css", "/wall.js", "/api/health.json", "/api/dashboards", "/-/healthy"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'none'"), path
        assert "unsafe" not in answer.headers["content-security-policy"]
    assert client.get("/api/health.json").json()["headline"]["word"] == "ALL WELL"
    boards = client.get("/api/dashboards").json()["dashboards"]
    health = next(board for board in boards if board["uid"] == "zads-health")
    assert all(panel["description"] and panel["expressions"] for panel in health["panels"])
