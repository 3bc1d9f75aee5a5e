"""docs/exporters.md names tests and metrics that exist, covers the whole list, and its expressions compute what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.expressions import DOC, documented
from zads.metrics import METRICS

TESTS = Path(__file__).resolve().parents[1]
TEXT = DOC.read_text(encoding="utf-8")
_SUFFIXES = ("", "_bucket", "_sum", "_count")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_every_test_that_is_named_exists() -> None:
    """As a function of this name in a file of tests."""
    there = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert len(named) > 50
    assert named - there == set()


def test_every_metric_that_is_named_is_in_the_catalogue() -> None:
    """In the text, in the tables and in the expressions."""
    named = {
        name for name in re.findall(r"\b(?:zads|kafka)_[a-z_0-9]+\b", TEXT) if name not in {"kafka_exporter", "kafka_lag"}
    }
    assert len(named) > 40
    unknown = named - METRICS.keys() - {"kafka_cluster"}  # a label
    assert unknown == set()


def test_each_feature_and_each_complaint_says_what_holds_and_what_shows_it() -> None:
    """57 features; what is left out has its reason; each complaint has a test, or why it does not apply and a test."""
    features = rows("Features")
    assert [int(row[0]) for row in features] == list(range(1, 58))
    for number, _, here, by, shown in features:
        assert "left out: " in here or "`" in shown or "zads probe" in here, number
        assert "left out: " in here or "`" in by + here + shown, number
    complaints = rows("Complaints")
    assert len(complaints) == 35
    assert all(len(row) == 4 and row[2] and "`test_" in row[3] for row in complaints)


SERIES = {
    # 100 behind, 0.5 fewer a second; then 200 behind and 1 more a second.
    'zads_consumergroup_sum_lag{consumergroup="closing"}': "1000-5x60",
    'zads_consumergroup_sum_lag{consumergroup="growing"}': "200+10x60",
    'kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="0"}': "150+10x60",
    'kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="1"}': "900+10x60",
    'kafka_topic_partition_current_offset{topic="t",partition="0"}': "1000+20x60",
    'kafka_topic_partition_current_offset{topic="t",partition="1"}': "1000x60",
    'kafka_topic_partition_oldest_offset{topic="t",partition="0"}': "100x60",
    'kafka_topic_partition_oldest_offset{topic="t",partition="1"}': "600x60",
    'kafka_topic_partition_replicas{topic="t",partition="0"}': "2x60",
    'kafka_topic_partition_replicas{topic="t",partition="1"}': "2x60",
    'kafka_topic_partition_in_sync_replica{topic="t",partition="0"}': "1x60",
    'kafka_topic_partition_in_sync_replica{topic="t",partition="1"}': "2x60",
    'zads_topic_min_in_sync_replicas{topic="t"}': "2x60",
    'zads_topic_retention_seconds{topic="t"}': "3600x60",
    'zads_consumergroup_lag_seconds{consumergroup="g",topic="t"}': "600x60",
    'zads_topic_log_bytes{topic="t"}': "500000x60",
    'kafka_consumergroup_lag_sum{consumergroup="g",topic="t"}': "40x60",
    'kafka_consumergroup_lag_sum{consumergroup="g",topic="given-up"}': "7x60",
    'kafka_consumergroup_lag_sum{consumergroup="dead",topic="t"}': "9x60",
    'zads_consumergroup_assigned_partitions{consumergroup="g",topic="t"}': "2x60",
    'zads_consumergroup_state{consumergroup="g",state="Stable"}': "1x60",
    'zads_consumergroup_state{consumergroup="dead",state="Stable"}': "0x60",
}
# At 600 s: the series and their values.
EXPECTED: dict[str, dict[str, float]] = {
    "velocity": {'{consumergroup="closing"}': -0.5, '{consumergroup="growing"}': 1.0},
    "time-to-close": {'{consumergroup="closing"}': 700 / 0.5},
    "retention-headroom-messages": {'{consumergroup="g",topic="t"}': 650.0},
    "retention-headroom-seconds": {'{consumergroup="g",topic="t"}': 3000.0},
    # 2,100 in one log and 400 in the other, twice each: 100 bytes a message.
    "lag-bytes": {'{consumergroup="g",topic="t"}': 4000.0, '{consumergroup="dead",topic="t"}': 900.0},
    "abandoned": {'kafka_consumergroup_lag_sum{consumergroup="g",topic="given-up"}': 7.0},
    "written": {'{topic="t"}': 2.0},
    "read": {'{consumergroup="g",topic="t"}': 2.0},
    "under-min-isr": {'kafka_topic_partition_in_sync_replica{topic="t",partition="0"}': 1.0},
}


@pytest.fixture
def document() -> dict[str, Any]:
    """Return promtool's test of all expressions, as data."""
    expressions = documented()
    return {
        "evaluation_interval": "10s",
        "tests": [
            {
                "interval": "10s",
                "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
                "promql_expr_test": [
                    {
                        "expr": expressions[name],
                        "eval_time": "600s",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
                    }
                    for name, samples in EXPECTED.items()
                ],
            }
        ],
    }


def test_the_expressions_of_the_docs_compute_what_they_say(document: dict[str, Any], tmp_path: Path) -> None:
    """All of them, by promtool."""
    assert documented().keys() == EXPECTED.keys()
    file = tmp_path / "expressions_test.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
