"""What is asked of Prometheus: only what stands in the dashboard, whatever a browser sends; and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from wall.boards import ask, times, variables
from wall.boards.frames import Cell, Field, Frame
from wall.boards.links import Context
from wall.boards.marks import marks, sources
from wall.boards.panel import Panel
from wall.boards.transform import Unsupported, transform

NOW = 1_795_540_000.0
SPAN = times.between("now-6h", "now", NOW)
EVIL = 'a"} or up{job="b\\'
COMMUNITY = {
    "type": "query",
    "name": "community",
    "query": {"query": "label_values(zads:community_info, community)"},
    "refresh": 2,
}


def _resolved(wanted: Sequence[str], values: Sequence[str] = ("lasair", "fink", EVIL), **more: Any) -> variables.Variable:
    def asking(questions: Sequence[ask.Question]) -> dict[ask.Question, ask.Answer]:
        return {question: ask.Answer(list(values)) for question in questions}

    return variables.resolve([{**COMMUNITY, **more}], {"community": wanted}, SPAN, {}, asking)["community"]


def _expression(variable: variables.Variable, text: str = 'lag{community=~"$community"}') -> str:
    return variables.substitute(text, {"community": variable}, {"__interval": "30s"})


@pytest.mark.parametrize("sent", ["nobody", '"} or vector(1) #', "$__all", ""])
def test_a_value_that_is_not_the_variables_own_is_not_taken(sent: str):
    """The browser chooses among what Prometheus listed; anything else leaves the default."""
    assert _expression(_resolved([sent])) == 'lag{community=~"lasair"}'


def test_values_stand_in_the_expression_as_themselves():
    """Quotes, backslashes and signs of patterns in a label end no string and match nothing else."""
    assert _expression(_resolved(["fink"])) == 'lag{community=~"fink"}'
    assert _expression(_resolved([EVIL])) == 'lag{community=~"a\\"} or up{job=\\"b\\\\"}'
    several = _resolved(["fink", "lasair"], multi=True)
    assert _expression(several) == 'lag{community=~"(fink|lasair)"}'
    assert _expression(_resolved(["a.b"], ["a.b", "acb"], multi=True)) == 'lag{community=~"a\\\\.b"}'


def test_all_is_everything_or_what_the_dashboard_says():
    every = {"multi": True, "includeAll": True}
    assert _expression(_resolved(["$__all"], ["a", "b"], **every)) == 'lag{community=~"(a|b)"}'
    assert _expression(_resolved(["$__all"], ["a", "b"], **every, allValue=".+")) == 'lag{community=~".+"}'
    assert _resolved([], ["a", "b"], **every).chosen == ("$__all",)


def test_names_that_nobody_knows_stay():
    """label_replace's $1 is none of ours; all ways to write a variable are."""
    fink = _resolved(["fink"])
    assert _expression(fink, '"$1 ${community} [[community]] ${community:regex} $__interval"') == '"$1 fink fink fink 30s"'


def test_a_variable_that_cannot_be_listed_says_why():
    assert _resolved([], query="query_result(up)").said == "only label_values(metric, label) is supported by zads wall"
    assert _resolved([], type="adhoc").said == "variables of type adhoc are not supported by zads wall"
    assert _resolved([], []).said == "no values yet"


def _panel(**more: Any) -> Panel:
    source = {"id": 1, "type": "timeseries", "title": "x", "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8}, **more}
    return Panel(source, Context({}, SPAN), 10.0, NOW)


def test_a_rates_window_follows_the_step():
    """Four scrapes at least, one step and a scrape where that is more; the whole range by its name."""
    panel = _panel(targets=[{"expr": "rate(a[$__rate_interval]) + b[$__range] + c[$__interval]", "refId": "A"}])
    assert panel.queries[0].expression == "rate(a[70s]) + b[6h] + c[1m]"
    wide = Panel({**panel.source, "timeFrom": "30m"}, Context({}, SPAN), 10.0, NOW)
    assert "[40s]" in wide.queries[0].expression


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"type": "piechart"}, "panel type piechart is not supported by zads wall; open it in Grafana"),
        ({"repeat": "job"}, "a panel repeated for each value is not supported by zads wall; open it in Grafana"),
        (
            {"targets": [{"expr": "x", "datasource": {"type": "loki"}}]},
            "data source loki is not supported by zads wall; open it in Grafana",
        ),
        (
            {"transformations": [{"id": "heatmap"}], "targets": []},
            "transformation heatmap is not supported by zads wall; open it in Grafana",
        ),
        (
            {"type": "stat", "options": {"reduceOptions": {"calcs": ["variance"]}}, "targets": [{"expr": "x"}]},
            "calculation variance is not supported by zads wall; open it in Grafana",
        ),
    ],
)
def test_what_the_page_cannot_show_it_says(more: dict[str, Any], said: str):
    """In the panel's place, and nothing is asked for it in vain."""
    panel = _panel(**more)
    row = {"metric": {}, "values": [[NOW, "1"]]}
    answers = {q.question: ask.Answer({"resultType": "matrix", "result": [row]}) for q in panel.queries}
    view = panel.view(answers)
    assert view["error"] == said
    assert "lines" not in view


def test_an_error_stands_in_its_panel_in_words():
    panel = _panel(targets=[{"expr": "sum(", "refId": "A"}, {"expr": "up", "refId": "B"}])
    bad, good = (q.question for q in panel.queries)
    view = panel.view({bad: ask.Answer(error="Prometheus refuses the expression: x"), good: ask.Answer({"result": []})})
    assert view["error"] == "Prometheus refuses the expression: x"


def _table(**columns: list[Cell]) -> Frame:
    kinds = {str: "string", float: "number"}
    return Frame(tuple(Field(n, kinds[type(next(v for v in vs if v is not None))], tuple(vs)) for n, vs in columns.items()))  # type: ignore[arg-type]


def _rows(frame: Frame) -> list[tuple[Cell, ...]]:
    return list(zip(*(f.values for f in frame.fields), strict=True))


def test_tables_are_merged_ordered_and_renamed():
    """As our dashboards do: merge, choose columns, rename, sort; rows without a value come last."""
    lag = _table(community=["fink", "lasair", "ampel"], lag=[None, 4.0, 9.0])
    late = _table(community=["lasair", "fink"], late=[1.0, 0.0])
    steps = [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": ["community", "lag", "late"]}}},
        {
            "id": "organize",
            "options": {"indexByName": {"late": 0, "community": 1, "lag": 2}, "renameByName": {"lag": "Lag"}},
        },
        {"id": "sortBy", "options": {"sort": [{"field": "Lag", "desc": True}]}},
    ]
    (frame,) = transform([lag, late], steps)
    assert [f.name for f in frame.fields] == ["late", "community", "Lag"]
    assert _rows(frame) == [(None, "ampel", 9.0), (1.0, "lasair", 4.0), (0.0, "fink", None)]


def test_tables_with_columns_of_their_own_are_merged_by_what_they_share():
    """One knows the version, the other how long it is up: one row for each service; what contradicts stays apart."""
    versions = _table(service=["kafka", "mirror"], version=["17", "17"])
    up = _table(service=["mirror", "kafka", "kafka"], up=[5.0, 9.0, 8.0])
    (frame,) = transform([versions, up], [{"id": "merge"}])
    assert _rows(frame) == [("kafka", "17", 9.0), ("mirror", "17", 5.0), ("kafka", None, 8.0)]


def test_tables_are_joined_by_a_column():
    joined = transform(
        [_table(a=["x", "y"], b=[1.0, 2.0]), _table(a=["y"], c=[3.0])], [{"id": "joinByField", "options": {"byField": "a"}}]
    )
    assert _rows(joined[0]) == [("x", 1.0, None), ("y", 2.0, 3.0)]
    inner = [{"id": "joinByField", "options": {"byField": "a", "mode": "inner"}}]
    assert _rows(transform([_table(a=["x", "y"], b=[1.0, 2.0]), _table(a=["y"], c=[3.0])], inner)[0]) == [("y", 2.0, 3.0)]
    with pytest.raises(Unsupported):
        transform([], [{"id": "heatmap"}])


def test_annotations_become_marks():
    """A condition lasts from its first to its last point without a gap; a value that is a time is a moment."""
    board = {
        "annotations": {
            "list": [
                {"name": "Alerts", "expr": "ALERTS", "step": "30s", "titleFormat": "{{alertname}}", "iconColor": "#d1480a"},
                {"name": "Starts", "expr": "started", "useValueForTime": True, "titleFormat": "start"},
                {"name": "Off", "expr": "off", "enable": False},
            ]
        }
    }
    found = sources(board, Context({}, SPAN), 10.0)
    assert len(found) == 2
    step = found[0].step
    points = [[NOW - 20 * step + i * step, "1"] for i in (0, 1, 2, 9)]
    data = [
        {"metric": {"alertname": "KafkaDown"}, "values": points},
    ]
    begun = [{"metric": {}, "values": [[NOW, str((NOW - 60) * 1000)]]}]
    answers = {
        found[0].question: ask.Answer({"resultType": "matrix", "result": data}),
        found[1].question: ask.Answer({"resultType": "matrix", "result": begun}),
    }
    seen = marks(found, answers, SPAN)
    assert [(m["text"], round(m["to"] - m["from"])) for m in seen] == [
        ("KafkaDown", 2 * step),
        ("KafkaDown", 0),
        ("start", 0),
    ]
    assert seen[0]["color"] == "#d1480a"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("/d/zads-community?var-community=$community", "/d/zads-community?var-community=a%20b%26c"),
        ("https://example.org/x", "https://example.org/x"),
        ("javascript:alert(1)", ""),
        ("//elsewhere.example/x", ""),
        ("docs/runbook.md", ""),
        ("data:text/html,x", ""),
    ],
)
def test_links_lead_to_pages_of_ours_or_to_the_web(url: str, kept: str):
    """Values are encoded; what would run or leave unseen is no link."""
    variable = variables.Variable("community", "", "query", (), ("a b&c",))
    assert Context({"community": variable}, SPAN).fill(url) == kept
