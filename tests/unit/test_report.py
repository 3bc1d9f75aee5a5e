"""The parts of `zads report` that need no Prometheus: counting on a grid, words, what is asked for, plots, the page."""

from __future__ import annotations

import argparse
import io
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from zads.config import Site
from zads.report import cli, html, plots, text, words
from zads.report.asked import dark, named, parse
from zads.report.document import Document, Fact, Line, Plot, Section, Table
from zads.report.errors import ReportError
from zads.report.minutes import Figure, Span, added, grown, quantile, share_within, spans, summed, within, without
from zads.slo_quarter import Quarter

MINUTE = 60.0
TIMES = [60.0 * index for index in range(11)]
PALOMAR = Site()


def _seen(*away: float) -> object:
    return lambda when: when in TIMES and when not in away


def _counter(*values: float | None) -> list[tuple[float, float]]:
    return [(when, value) for when, value in zip(TIMES, values, strict=False) if value is not None]


@pytest.mark.parametrize(
    ("values", "away", "expected"),
    [
        ((5, 6, 7, 7, 7, 7, 7, 7, 7, 7, 9), (), Figure(4, 4)),
        # A gap in the middle costs nothing: the counter went on.
        ((5, 6, None, None, None, 16, 16, 16, 16, 16, 16), (120.0, 180.0, 240.0), Figure(11, 11)),
        # A series that begins while its exporter is there began with 0.
        ((None, None, 4, 4, 4, 4, 4, 4, 4, 4, 6), (), Figure(6, 6)),
        # One that begins after the exporter was away began with what nobody knows.
        ((None, None, 4, 4, 4, 4, 4, 4, 4, 4, 6), (0.0, 60.0), Figure(2, None)),
        # Set back: what came since the sample before is lost.
        ((5, 8, 2, 2, 2, 2, 2, 2, 2, 2, 3), (), Figure(6, None)),
        # Away at the end.
        ((0, 3, 3, None, None, None, None, None, None, None, None), tuple(TIMES[3:]), Figure(3, None)),
        # Gone at the end while its exporter is there (a topic that was deleted): all is known.
        ((0, 3, 3, None, None, None, None, None, None, None, None), (), Figure(3, 3)),
        ((), (), None),
    ],
)
def test_a_counter_says_how_much_it_grew_and_whether_that_is_all(
    values: tuple[float | None, ...], away: tuple[float, ...], expected: Figure | None
) -> None:
    """High None is "at least": nothing is guessed, and nothing that is known is called uncertain."""
    assert grown(_counter(*values), TIMES, _seen(*away), MINUTE) == expected  # type: ignore[arg-type]


def test_sums_are_as_uncertain_as_their_parts() -> None:
    assert added([Figure(1, 1), None, Figure(2, 5)]) == Figure(3, 6)
    assert added([Figure(1, None), Figure(2, 2)]) == Figure(3, None)
    assert added([None]) is None


def test_a_sum_of_series_is_left_out_where_one_of_them_is_not_there() -> None:
    """Two programs, of which one has a gap: the sum has a gap, not a dip."""
    assert summed([[(1, 5.0), (2, 6.0), (3, 7.0)], [(1, 1.0), (3, 2.0)]]) == [(1, 6.0), (3, 9.0)]


def test_stretches() -> None:
    found = spans(TIMES, lambda when: when in {60.0, 120.0, 300.0}, MINUTE)
    assert found == [Span(0, 120), Span(240, 300)]
    assert within(found, [Span(60, 270)]) == [Span(60, 120), Span(240, 270)]
    assert without(found, [Span(30, 60), Span(250, 400)]) == [Span(0, 30), Span(60, 120), Span(240, 250)]


def test_percentiles_are_prometheus_own() -> None:
    """Linear within a bucket; beyond the last edge nobody knows; without observations nothing."""
    buckets = {60.0: 50.0, 120.0: 90.0, math.inf: 100.0}
    assert quantile(0.5, buckets) == 60
    assert quantile(0.7, buckets) == 90
    assert quantile(0.95, buckets) == math.inf
    assert quantile(0.5, {60.0: 0.0, math.inf: 0.0}) is None
    assert share_within(90, buckets) == pytest.approx(0.7)
    assert share_within(120, buckets) == 0.9
    assert share_within(1e9, buckets) == 0.9
    assert share_within(90, {}) is None


def test_only_all_of_it_is_100_percent() -> None:
    """One missing alert of a million is seen."""
    assert words.share(1 - 1e-6) == "99.99 %"
    assert words.share(1.0) == "100 %"
    assert words.share(0.5) == "50.0 %"
    assert words.share(None) == "unknown"
    assert words.shares(Figure(0.9, 1.0)) == "90.0 % to 100 %"


def test_counts_and_sizes_say_how_sure_they_are() -> None:
    assert words.figure(Figure(1200, 1200)) == "1,200"
    assert words.figure(Figure(1200, 1300)) == "1,200 to 1,300"
    assert words.figure(Figure(1200, None)) == "≥ 1,200"
    assert words.figure(None) == "unknown"
    assert words.size(Figure(33.4e9, 33.4e9)) == "33.4 GB"
    assert words.size(Figure(900e3, None)) == "≥ 900 kB"


def test_durations() -> None:
    spoken = [words.lasting(value) for value in (0.5, 4, 45, 300, 754, 3600, 7200, math.inf, None)]
    assert spoken == ["0.5 s", "4 s", "45 s", "5.0 min", "13 min", "60 min", "2.0 h", "over 6 h", "unknown"]


def test_what_can_be_asked_for() -> None:
    assert parse("20261125") == "20261125"
    assert parse("Tonight") == "tonight"
    assert parse("2026q4") == Quarter(2026, 4)
    for wrong in ("yesterday", "20261341", "2026Q5", ""):
        with pytest.raises(ValueError, match="write for example 20261125"):
            parse(wrong)


def test_which_night_is_meant() -> None:
    """Without a word the night that began last; `last` is the one that is over; `tonight` bears tonight's name."""
    (night,) = dark("20261125", PALOMAR)
    dusk, dawn = (datetime.fromtimestamp(when, UTC) for when in (night.start, night.end))
    minute = timedelta(minutes=1)
    assert named("", PALOMAR, dusk - minute) == "20261124"
    assert named("", PALOMAR, dusk + minute) == "20261125"
    assert named("last", PALOMAR, dawn - minute) == "20261124"
    assert named("last", PALOMAR, dawn + minute) == "20261125"
    assert named("tonight", PALOMAR, dusk - minute) == "20261125"
    with pytest.raises(ReportError, match="night 20261126 has not begun: it begins at 2026-11-25 19:47 UTC"):
        named("20261126", PALOMAR, dusk)


def test_a_wrong_word_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    cli.register(parser.add_subparsers())
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(["report", "yesterday"])
    assert caught.value.code == 2
    assert "is neither a night nor a quarter" in capsys.readouterr().err


def test_labels_of_an_axis_are_round_and_reach_the_top() -> None:
    for top in (0.0, 0.3, 1.0, 7.7, 43.4, 99.0, 412.0, 1e6):
        labels = plots.ticks(top)
        assert labels[0] == 0 and labels[-1] >= top and 2 <= len(labels) <= 6


def _plot(**more: object) -> Plot:
    samples = [(600.0 * index, float(index % 7)) for index in range(40) if not 10 <= index < 20]
    lines = (Line("at IPAC", samples, plots.BAD), Line("at ZADS", samples, plots.UNSEEN, "dots"))
    shown = Span(0, 24000)
    return Plot("Alerts per second", "At most 6.", lines, shown, 900.0, **more)  # type: ignore[arg-type]


def _paths(svg: str, number: int) -> list[str]:
    root = ElementTree.fromstring(svg)
    found = []
    for group in root.iter("{http://www.w3.org/2000/svg}g"):
        if f"serie-{number} " in (group.get("class") or "") + " ":
            found += [path.get("d", "") for path in group.iter("{http://www.w3.org/2000/svg}path")]
    return found


def test_a_plot_is_a_still_picture_with_words() -> None:
    svg = plots.draw(_plot(), "p1", plots.WIDE)
    assert "<script" not in svg and "pygal.org" not in svg and "href" not in svg
    root = ElementTree.fromstring(svg)
    assert (root.get("role"), root.get("aria-label")) == ("img", "Alerts per second. At most 6.")
    assert "1 5" in svg, "the second line can be told from the first without colour"


def test_a_gap_in_the_samples_is_a_gap_in_the_line() -> None:
    """And not a straight line over what nobody measured."""
    assert len(_paths(plots.draw(_plot(), "p1", plots.WIDE), 2)) == 2


def test_a_sample_that_stands_alone_is_seen() -> None:
    plot = Plot("x", "y", (Line("a", [(12000.0, 3.0)], plots.BAD),), Span(0, 24000), 900.0)
    (line,) = _paths(plots.draw(plot, "p1", plots.WIDE), 2)
    assert len(line.split()) == 4, "from somewhere to somewhere else"


def test_what_nobody_saw_is_hatched_and_what_was_bad_lies_on_it() -> None:
    svg = plots.draw(_plot(bad=(Span(3000, 6000),), unseen=(Span(0, 9000),)), "p1", plots.WIDE)
    assert "url(#hatch-p1)" in svg
    assert (len(_paths(svg, 0)), len(_paths(svg, 1))) == (2, 1), "the unseen stretch is cut around the bad one"


def test_each_night_of_a_quarter_has_its_bar() -> None:
    """All 92, as high as they are."""
    nights = [(86400.0 * index, 100.0 + index) for index in range(92)]
    line = Line("alerts", nights, plots.BAD, "bars")
    plot = Plot("x", "y", (line,), Span(-43200, 92 * 86400), 86400.0, dates=True)
    assert len(_paths(plots.draw(plot, "p1", plots.WIDE), 2)) == 92


def test_a_plot_of_nothing_is_drawn() -> None:
    plot = Plot("x", "Nothing was measured.", (Line("a", (), plots.BAD),), Span(0, 24000), 900.0)
    assert "<svg" in plots.draw(plot, "p1", plots.NARROW)


def _document(**more: object) -> Document:
    table = Table(("program", "at IPAC", "what"), (("1 public", "1,200", "<b>bold</b>"),), frozenset({2}), frozenset({0}))
    values = {
        "title": "ZADS, night 20261125",
        "headline": "A clear night.",
        "mood": "well",
        "lede": ("None is missing.",),
        "notes": ("Prometheus gave nothing 02:10 to 02:22 UTC.",),
        "sections": (Section("Alerts", ("One.",), table, ("After.",), (_plot(),)),),
        "facts": (Fact("complete", "100 %", "of all"),),
        "foot": "All times are UTC.",
    }
    return Document(**{**values, **more})  # type: ignore[arg-type]


def test_text_is_plain_where_there_is_no_terminal() -> None:
    out = io.StringIO()
    text.show(_document(headline="word " * 40), out)
    lines = out.getvalue().splitlines()
    assert "\x1b" not in out.getvalue()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    assert "1 public     1,200   <b>bold</b>" in out.getvalue()


def test_a_page_has_no_outside_part_and_believes_no_label() -> None:
    page = html.page(_document())
    assert "<script" not in page and "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xlink", "")
    assert "https://" not in page and "default-src 'none'" in page


def test_the_command_writes_what_is_composed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Text by default, a page in a file, JSON alone on the standard output."""
    toml = tmp_path / "zads.toml"
    toml.write_text('[kafka.public]\nbootstrap = ["127.0.0.1:9092"]\n')
    monkeypatch.setattr(cli, "compose", lambda *_: (_document(), {"version": 1}))
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=toml)
    cli.register(parser.add_subparsers())

    def run(*argv: str) -> str:
        args = parser.parse_args(["report", *argv])
        assert args.func(args) == 0
        return capsys.readouterr().out

    assert run().startswith("ZADS, night 20261125\n\nA clear night.\n")
    assert json.loads(run("--json")) == {"version": 1}
    assert f"written to {tmp_path / 'n.html'}" in run("--html", str(tmp_path / "n.html"))
    assert (tmp_path / "n.html").read_text().startswith("<!doctype html>")
