"""Numbers, times, states of the dashboards in words: as Grafana's units, mappings, thresholds and overrides declare them."""

from __future__ import annotations

from typing import Any

import pytest

from wall.boards import fields, reduce, times, units
from wall.boards.draw_values import look
from wall.boards.fields import Shown
from wall.boards.frames import Field, legend
from wall.boards.times import BadTime

OK, WARN, BAD = "#2f8f83", "#e69f00", "#d1480a"


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "said"),
    [
        (2460.0, "s", 0, "41 min"),
        (0.0, "s", None, "0 s"),
        (0.012, "s", None, "12 ms"),
        (534.6, "m", None, "8.91 h"),
        (312_480.0, "locale", 0, "312,480"),
        (312_480.0, "short", None, "312 K"),
        (38.7, "none", None, "38.7"),
        (1.23e6, "Bps", None, "1.23 MB/s"),
        (3.3 * 1024**3, "bytes", None, "3.3 GiB"),
        (0.9876, "percentunit", 1, "98.8%"),
        (99.96, "percent", None, "100%"),
        (12.0, "mps", None, "12 messages/s"),
        (3.0, "cpm", None, "3 counts/min"),
        (2460.0, "dtdurations", None, "41 minutes"),
        (7500.0, "dtdurations", 1, "2 hours, 5 minutes"),
        (1_795_540_000_000.0, "time:HH:mm", None, "17:06"),
        (1_795_540_000_000.0, "dateTimeAsIso", None, "2026-11-24 17:06:40"),
        (-0.001, "short", 1, "0.0"),
        (float("inf"), "s", None, "∞"),
        (2.5, "furlong", None, "2.5 furlong"),
        (2.5, "suffix: per exposure", None, "2.5 per exposure"),
    ],
)
def test_numbers_have_the_unit_of_their_panel(value: float, unit: str, decimals: int | None, said: str):
    """A unit that nobody knows says its name beside the number."""
    assert units.text(value, unit, decimals) == said


def _config(**more: Any) -> dict[str, Any]:
    steps = [{"value": None, "color": OK}, {"value": 60, "color": WARN}, {"value": 600, "color": BAD}]
    return {"unit": "s", "decimals": 0, "custom": {}, "thresholds": {"mode": "absolute", "steps": steps}, **more}


@pytest.mark.parametrize(("value", "color"), [(-5.0, OK), (59.9, OK), (60.0, WARN), (600.0, BAD), (1e9, BAD)])
def test_a_threshold_colours_from_its_value_on(value: float, color: str):
    assert fields.show(_config(), value).color == color


def test_thresholds_in_percent_are_of_what_the_panel_spans():
    """Of min and max, or of what is seen where the panel has none."""
    rules = {"mode": "percentage", "steps": [{"value": None, "color": OK}, {"value": 80, "color": BAD}]}
    assert fields.level(_config(thresholds=rules, min=0, max=1000), 799.0) == OK
    assert fields.level(_config(thresholds=rules, min=0, max=1000), 800.0) == BAD
    assert fields.level(_config(thresholds=rules), 9.0, (0.0, 10.0)) == BAD


@pytest.mark.parametrize(
    ("value", "said", "color"),
    [
        (0.0, "DAY", "#3a414c"),
        (3.0, "few", WARN),
        ("kafka-public", "of Kafka: public", OK),
        (None, "UNKNOWN", "#5b6470"),
        (7.0, "7 s", OK),
    ],
)
def test_mappings_turn_values_into_words(value: float | str | None, said: str, color: str):
    """By value, range, pattern, and what there is not; the first that fits says it."""
    mappings = [
        {"type": "value", "options": {"0": {"text": "DAY", "color": "#3a414c"}}},
        {"type": "range", "options": {"from": 2, "to": 5, "result": {"text": "few", "color": WARN}}},
        {"type": "regex", "options": {"pattern": "/^kafka-(.*)/", "result": {"text": "of Kafka: $1", "color": OK}}},
        {"type": "special", "options": {"match": "null+nan", "result": {"text": "UNKNOWN", "color": "#5b6470"}}},
    ]
    shown = fields.show(_config(mappings=mappings), value)
    assert (shown.text, shown.color) == (said, color)


def test_overrides_are_of_the_columns_that_they_name():
    """By name, pattern, query; the last that fits counts; the others keep the defaults."""
    panel = {
        "fieldConfig": {
            "defaults": {"unit": "short"},
            "overrides": [
                {"matcher": {"id": "byRegexp", "options": "/^late/"}, "properties": [{"id": "unit", "value": "s"}]},
                {"matcher": {"id": "byName", "options": "late B"}, "properties": [{"id": "unit", "value": "m"}]},
                {"matcher": {"id": "byFrameRefID", "options": "C"}, "properties": [{"id": "custom.width", "value": 90}]},
            ],
        }
    }
    found = [
        fields.configure(panel, Field(name, "number", (), {}, ref))
        for name, ref in (("late A", "A"), ("late B", "B"), ("x", "C"))
    ]
    assert [config["unit"] for config in found] == ["s", "m", "short"]
    assert [config["custom"].get("width") for config in found] == [None, None, 90]


def test_a_series_is_called_by_its_legend():
    labels = {"__name__": "up", "job": "node", "host": "zads"}
    assert legend("{{job}} on {{ host }}", labels, "up") == "node on zads"
    assert legend("{{nothing}}", labels, "up") == ""
    assert legend("", labels, "up") == 'up{host="zads", job="node"}'
    assert legend("__auto", {"job": "node"}, "up") == "node"
    assert legend("", {}, "sum(up)") == "sum(up)"


def test_one_number_of_many():
    """What is missing does not count; of nothing there is nothing."""
    values = (1.0, None, 4.0, None)
    assert [reduce.reduce(c, values) for c in ("last", "lastNotNull", "mean", "max", "sum", "count")] == [
        None,
        4.0,
        2.5,
        4.0,
        5.0,
        4.0,
    ]
    assert reduce.reduce("mean", (None,)) is None
    with pytest.raises(KeyError):
        reduce.reduce("variance", values)


def test_times_are_read_as_dashboards_write_them():
    """Relative, rounded to a day, and seconds since 1970; what cannot be read or is too long is refused in words."""
    now = 1_795_540_000.0  # 2026-11-24 17:06:40 UTC
    assert times.between("now-6h", "now", now).seconds == 6 * 3600
    assert times.between("now/d", "now/d", now).seconds == 86400
    assert times.between("now-1d/d", "now-1d/d", now).stop == times.moment("now/d", now)
    assert times.between("1795530000", "1795540000000", now).seconds == 10_000
    for begin, end in (("yesterday", "now"), ("now", "now-6h"), ("now-900d", "now"), ("now-1h;drop", "now")):
        with pytest.raises(BadTime):
            times.between(begin, end, now)


def test_points_are_as_far_apart_as_the_picture_is_wide():
    """A round step, never below the scrape; the rate's window always holds four scrapes."""
    span = times.between("now-6h", "now", 1e9)
    assert times.step(span, 480, 10) == 60
    assert times.step(span, 100_000, 10) == 10
    assert times.written(times.step(times.between("now-90d", "now", 1e9), 400, 10)) == "6h"


@pytest.mark.parametrize(
    ("shown", "value", "expected"),
    [
        (Shown("ON TIME", "#2f8f83"), 0.0, "calm"),
        (Shown("READING", "rgba(170, 178, 189, 0.09)"), 1.0, "calm"),
        (Shown("BEHIND", "#ffb91a"), 5.0, "loud"),
        (Shown("UNKNOWN", "#123456"), -1.0, "unknown"),
        (Shown("BLIND: no data", "#2f8f83"), None, "unknown"),
        (Shown("no data", "#a7b0bb"), None, "unknown"),
    ],
)
def test_a_tile_is_calm_loud_or_unknown(shown: Shown, value: float | None, expected: str):
    """What is not known never looks well, whatever colour the dashboard gave it."""
    assert look(shown, value) == expected
