"""The rules of grafana/dashboard-linter, as its sources state them; what is excluded stands in dashboards/json/.lint with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.board_queries import JSON, boards
from tests.support.promql import leaves, nodes, parse

BOARDS = boards()
EXCLUSIONS = yaml.safe_load((JSON / ".lint").read_text(encoding="utf-8"))["exclusions"]
# Panel types that the linter's rules about panels look at.
_JUDGED = {"stat", "timeseries", "table", "gauge"}
_RATES = {"rate", "irate", "increase"}
Finding = tuple[str, str, str]


def _variables(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {v["name"]: v for v in board["templating"]["list"]}


def _of_board(board: dict[str, Any]) -> Iterator[str]:
    """Give the rules about the whole board that it breaks."""
    sources = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
    if [(v["name"], v["label"], v["query"]) for v in sources] != [("datasource", "Data source", "prometheus")]:
        yield "template-datasource-rule"
    for name in ("job", "instance"):
        variable = _variables(board).get(name, {})
        good = variable.get("multi") and variable.get("allValue") == ".+" and variable.get("label") == name.title()
        if not good or variable["datasource"]["uid"] != "${datasource}":
            yield f"template-{name}-rule"
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            if variable["refresh"] != 2:
                yield "template-on-time-change-reload-rule"
            if not re.fullmatch(r"label_values\((.+, )?\w+\)", variable["query"]["query"]):
                yield "template-label-promql-rule"
    if board["editable"]:
        yield "uneditable-dashboard"


def _of_panel(panel: dict[str, Any]) -> Iterator[str]:
    """Give the rules about a panel that it breaks."""
    if panel["type"] == "row":
        return
    if panel["datasource"]["uid"] != "${datasource}":
        yield "panel-datasource-rule"
    if panel["type"] in _JUDGED:
        if not panel["title"] or not panel["description"]:
            yield "panel-title-description-rule"
        if not panel["fieldConfig"]["defaults"]["unit"]:
            yield "panel-units-rule"
    if not panel["targets"]:
        yield "panel-no-targets-rule"
    for target in panel["targets"]:
        yield from _of_target(target["expr"])


def _of_target(expr: str) -> Iterator[str]:
    tree = parse(re.sub(r"\$__range\b", "1h", expr.replace("$__rate_interval", "424242s")))
    texts = [leaf for leaf in leaves(tree) if re.match(r"[a-zA-Z_:]", leaf)]
    for name in ("job", "instance"):
        if not all(f'{name}=~"${name}"' in text for text in texts):
            yield f"target-{name}-rule"
    rated = {leaf for node in nodes(tree) if getattr(node, "name", "") in _RATES for leaf in leaves(node)}
    if any("[424242s]" not in leaf for leaf in rated if leaf[:1].isalpha()):
        yield "target-rate-interval-rule"
    if any(re.match(r"\w+_total\b", leaf) and leaf not in rated for leaf in texts):
        yield "target-counter-agg-rule"


def _findings() -> set[Finding]:
    found: set[Finding] = set()
    for board in BOARDS.values():
        found |= {(rule, board["title"], "") for rule in _of_board(board)}
        found |= {(rule, board["title"], panel["title"]) for panel in board["panels"] for rule in _of_panel(panel)}
    return found


FINDINGS = _findings()


def _covers(entry: dict[str, str], finding: Finding) -> bool:
    return entry["dashboard"] == finding[1] and entry.get("panel", finding[2]) == finding[2]


def test_nothing_is_found_that_is_not_excluded() -> None:
    left = [f for f in FINDINGS if not any(_covers(e, f) for e in EXCLUSIONS.get(f[0], {}).get("entries", ()))]
    assert not sorted(left)


@pytest.mark.parametrize("rule", EXCLUSIONS)
def test_every_exclusion_has_a_reason_and_is_needed(rule: str) -> None:
    assert EXCLUSIONS[rule]["reason"].endswith(".")
    for entry in EXCLUSIONS[rule]["entries"]:
        assert any(f[0] == rule and _covers(entry, f) for f in FINDINGS), f"{rule}: {entry} is not needed any more"


def test_the_rules_find_what_is_wrong() -> None:
    """Each rule about queries sees a query that breaks it, and none sees a good one."""
    assert set(_of_target('sum(rate(x_total{job=~"$job", instance=~"$instance"}[$__rate_interval]))')) == set()
    assert set(_of_target('rate(x_total{job=~"$job", instance=~"$instance"}[5m])')) == {"target-rate-interval-rule"}
    assert set(_of_target("sum(x_total)")) == {"target-job-rule", "target-instance-rule", "target-counter-agg-rule"}
