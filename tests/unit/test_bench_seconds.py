"""The benchmark of lag in seconds: the other method is written as its source says, and errors are counted rightly."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest

from benchmarks.seconds_interpolation import Interpolation, LookupTable
from benchmarks.seconds_plot import plot
from benchmarks.seconds_report import Point, quantile, table
from benchmarks.seconds_scenarios import Player, offsets, scenarios
from benchmarks.seconds_world import Seen, true_lag


def _table(*points: tuple[int, float], size: int = 60) -> LookupTable:
    made = LookupTable(size)
    for offset, time in points:
        made.add(offset, time)
    return made


@pytest.mark.parametrize(
    ("points", "offset", "time"),
    [
        ([(100, 0.0), (200, 30.0)], 150, 15.0),
        ([(100, 0.0), (200, 30.0), (200, 60.0)], 150, 15.0),
        ([(100, 0.0), (200, 30.0)], 50, -15.0),
        ([(100, 0.0), (200, 30.0), (800, 60.0)], 0, 60.0 - 800 * 60 / 700),
        ([(100, 0.0), (200, 30.0)], 230, 39.0),
        ([(100, 0.0), (100, 30.0), (100, 60.0)], 90, -math.inf),
    ],
    ids=["between two polls", "before a flat stretch", "before all", "on the whole table's line", "after all", "flat"],
)
def test_the_time_of_an_offset_is_what_the_source_computes(
    points: list[tuple[int, float]], offset: int, time: float
) -> None:
    """Interpolated between polls, else on the line through the first and the last point; a flat line is infinite."""
    assert _table(*points).time_of(offset) == pytest.approx(time)


def test_the_table_drops_and_merges_as_the_source_does() -> None:
    """What goes back is dropped, a flat line is two points, the oldest of sixty goes."""
    assert _table((100, 30.0), (90, 60.0), (100, 20.0)).time_of(100) is None
    assert math.isnan(_table((100, 30.0), (90, 60.0)).time_of(50) or 0.0), "one point only"
    flat = _table((0, 0.0), (100, 10.0), *((100, 20.0 + step) for step in range(100)), (200, 130.0))
    assert flat.time_of(50) == pytest.approx(5.0)
    assert flat.time_of(150) == pytest.approx((119.0 + 130.0) / 2)
    short = _table(*((step * 10, step * 1.0) for step in range(10)), size=3)
    assert short.time_of(0) == pytest.approx(0.0), "outside, on the line of the last three"


def test_a_group_is_as_late_as_its_latest_partition_and_unknown_when_one_is() -> None:
    """Scala's maxBy takes NaN for the largest."""
    method = Interpolation()
    ends = {("t", 0): 100, ("t", 1): 50}
    assert math.isnan(method.poll(ends, {"g": {("t", 0): 100, ("t", 1): 40}}, 0.0)["g"])
    found = method.poll({("t", 0): 200, ("t", 1): 60}, {"g": {("t", 0): 150, ("t", 1): 60}}, 30.0)
    assert found["g"] == pytest.approx(15.0)


def test_what_is_true_is_the_oldest_unread_record() -> None:
    """Zero when the next record is not written yet, be it that it never is or that it comes later."""
    truth = {("s", 0, 5): 90.0, ("s", 1, 7): 80.0, ("s", 1, 8): 130.0}
    assert true_lag(Seen("m", "s", 100.0, ((0, 5), (1, 7)), 0.0), truth) == 20.0
    assert true_lag(Seen("m", "s", 100.0, ((0, 6), (1, 8)), 0.0), truth) == 0.0


def test_nothing_said_is_not_right_and_is_no_error_in_seconds() -> None:
    """It stands in a column of its own; quantiles are over what was said."""
    known = scenarios(60, 1.0, 10.0)
    points = [Point("m", "steady", t, value, 100.0) for t, value in enumerate([100.0, 106.0, 94.9, math.nan])]
    row = next(line for line in table(points, known, {"m": 30.0}).splitlines() if line.startswith("| steady"))
    assert [cell.strip() for cell in row.split("|")[4:-1]] == ["4", "1", "5.10", "6.00", "6.00", "6.00", "25.0 %", "75.0 %"]
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0


def test_scenarios_play_the_same_in_any_steps_and_never_read_what_is_not_there() -> None:
    """Partitions share the messages; a group is never ahead of them."""
    for scenario in scenarios(100, 5.0, 10.0):
        fine, coarse = Player(scenario), Player(scenario)
        for step in range(1, 101):
            fine.due(step * 1.0)
            read = fine.position(step * 1.0)
            assert sum(read.values()) <= fine.sent
        coarse.due(100.0)
        assert fine.sent == coarse.sent == sum(offsets(fine.sent).values())


def test_the_picture_is_xml_with_a_line_for_each_method() -> None:
    """Where nothing was said the line is broken."""
    known = scenarios(60, 1.0, 10.0)[:1]
    points = [Point(m, "steady", float(t), math.nan if t == 50 else 1.0, 2.0) for m in ("a", "b") for t in range(100)]
    root = ElementTree.fromstring(plot(points, known, ["a", "b"]))
    lines = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert len(lines) == 5, "what is true, and both methods in two parts"
