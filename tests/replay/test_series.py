"""What is played is what would have been exported: names, labels, stale markers, flows that add up."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from tests.replay import foreign
from tests.replay.evaluate import RULES, thresholds
from tests.replay.exposition import Exposition
from tests.replay.flow import Flow
from tests.replay.play import site
from tests.replay.scenario import HOUR, Fault, Reader, Scenario
from tests.replay.series import encode
from zads.metrics import METRICS

TROUBLE = (
    Fault("task failed", 600, 1200),
    Fault("restricted", 700, 1200, "3"),
    Fault("dead", 900, 1000, "public"),
    Fault("upgraded", 1300, 1320, "kafka-lag"),
)
TARGET = {"job", "instance", "host", "service"}
_NAME = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?")


@pytest.fixture(scope="module")
def flow() -> Flow:
    return Flow(Scenario("names", "2026-03-20T05:00", 0.5, faults=TROUBLE), site())


@pytest.fixture(scope="module")
def names(flow: Flow) -> list[tuple[str, set[str]]]:
    low = int(np.searchsorted(flow.times, 0))
    found = []
    for series in Exposition(flow, low, len(flow.times)).series:
        match = _NAME.fullmatch(series)
        assert match is not None
        found.append((match[1], set(re.findall(r'(\w+)="', match[2] or ""))))
    return found


def test_every_series_is_one_that_somebody_exports(names: list[tuple[str, set[str]]]) -> None:
    """Each name and label stands in the catalogue, or in the list of what other programs export."""
    for name, labels in names:
        if name == "up":
            assert labels <= TARGET
            continue
        metric = METRICS.get(re.sub(r"_(bucket|count|sum)$", "", name)) or METRICS.get(name)
        if metric is None:
            assert name in foreign.LABELS, name
            assert labels <= {*foreign.LABELS[name].split(), *TARGET}, (name, labels)
        else:
            assert labels - {"job", "instance", "host", "le"} <= set(metric.labels) | {"host"}, (name, labels)
            assert set(metric.labels) <= labels, (name, labels)


def test_no_rule_is_played_without_what_it_reads(names: list[tuple[str, set[str]]]) -> None:
    """A rule whose series are missing would be silent in every replay, and prove nothing."""
    played = {name for name, _ in names} | {series.split("{")[0] for series in thresholds(site())}
    for file in RULES.glob("*.rules.yml"):
        rules = [rule for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
        for rule in rules:
            read = re.findall(r"\b((?:zads|kafka|node|prometheus|alertmanager)[_:][A-Za-z0-9_:]+)", rule["expr"])
            for name in read:
                if ":" not in name or name in thresholds(site()):
                    assert name in played | OPTIONAL, f"{rule.get('alert') or rule.get('record')}: {name} is not played"


# Series that only some sites have.
OPTIONAL: set[str] = set()


def test_series_end_with_a_stale_marker() -> None:
    """As Prometheus writes one when a target or a topic is gone; a Prometheus that is away writes nothing."""
    nan = np.nan
    values = np.array([1, 1, 1, nan, nan, 2.5, nan, 7])
    assert encode(values) == "1x2 stale _x1 2.5 stale 7"
    away = np.array([False, False, False, True, True, False, False, False])
    assert encode(values, away) == "1x2 _x2 2.5 stale 7"


def test_alerts_flow_as_they_should(flow: Flow) -> None:
    """Nothing is passed on before it is there, by nobody; what a dead Kafka held up comes afterwards."""
    assert flow.upstream[-1] > 10_000
    assert (flow.public <= flow.upstream).all()
    assert flow.public[-1] == flow.upstream[-1]
    for community in flow.communities.values():
        assert (community.committed <= community.taken).all()
        assert (community.taken <= flow.public).all()
    dead = flow.gone("public")
    assert len(set(flow.public[dead].tolist())) == 1
    assert flow.upstream[dead][-1] > flow.upstream[dead][0]


def test_age_is_that_of_the_oldest_unread_alert() -> None:
    """A reader that stands still is behind by the time since the next alert came."""
    away = Scenario("age", "2026-03-20T05:00", 1, faults=(Fault("away", HOUR / 2, 2 * HOUR, "ampel"),))
    flow = Flow(away, site())
    age = flow.age(flow.public, flow.communities["ampel"].committed)
    assert age[flow.times < HOUR / 2].max() == 0
    assert HOUR / 2 - 120 < age[-1] <= HOUR / 2


def test_a_batch_leaves_its_tail() -> None:
    """Lasair commits whole batches of 250: up to 249 alerts wait in a pause."""
    flow = Flow(Scenario("tail", "2026-03-20T05:00", 0.2, readers={"ampel": Reader(batch=1)}), site())
    waiting = flow.communities["lasair"].taken - flow.communities["lasair"].committed
    assert 0 < waiting.max() <= 249
    assert (flow.communities["ampel"].taken == flow.communities["ampel"].committed).all()
