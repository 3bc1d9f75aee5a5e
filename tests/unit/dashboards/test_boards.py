"""The committed dashboards are what the code builds; every query is PromQL over metrics that exist; links and notes lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import build
from tests.support.board_queries import boards
from tests.support.promql import leaves, parse
from zads import render
from zads.config import load
from zads.metrics import METRICS

ROOT = Path(__file__).resolve().parents[3]
BOARDS = boards()
PANELS = [(uid, panel) for uid, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
# What others export: Prometheus, Alertmanager, node_exporter, Java's agent in Kafka and MirrorMaker. The tests on the running stack
# hold each of them against what is really there.
FOREIGN = re.compile(r"(up|scrape_\w+|ALERTS|ALERTS_FOR_STATE|(prometheus|alertmanager|node|process|jvm|kafka)_\w+)")
# Grafana 9.4 knows these, and the wall page draws them.
TYPES = {"stat", "timeseries", "table", "state-timeline", "gauge", "row"}
_WINDOWS = re.compile(r"\$__(range|rate_interval|interval)")


def _targets() -> list[tuple[str, str]]:
    return [(f"{uid} {p['title']}", t["expr"]) for uid, p in PANELS for t in p.get("targets", ())]


def test_the_committed_json_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--check is silent now, and says 1 as soon as a file differs."""
    assert build.main(["--check"]) == 0
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert build.main([]) == 0
    (tmp_path / "zads-health.json").write_text("{}", encoding="utf-8")
    assert build.main(["--check"]) == 1


def test_the_five_dashboards_have_their_names() -> None:
    """Other files and alerts link to these; a file's name is its uid."""
    assert {uid: board["title"] for uid, board in BOARDS.items()} == {
        "zads-health": "ZADS Health",
        "zads-report": "ZADS Report",
        "zads-community": "Community",
        "zads-kafka": "Kafka node",
        "zads-monitoring": "Monitoring",
    }
    assert {path.stem for path in build.FOLDER.glob("*.json")} == set(BOARDS)


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_a_board_is_classic_and_leads_to_the_others(board: dict[str, Any]) -> None:
    """Classic schema for Grafana 9.4 to 13, the panel types that all of them draw, links that keep time and variables."""
    assert 36 <= board["schemaVersion"] <= 38
    assert {panel["type"] for panel in board["panels"]} <= TYPES
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert "zads" in board["tags"]
    (link,) = board["links"]
    assert link["type"] == "dashboards" and link["tags"] == ["zads"]
    assert link["keepTime"] and link["includeVars"] and link["asDropdown"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_a_board_has_notes_of_nights_alerts_and_deployments(board: dict[str, Any]) -> None:
    """With the fields that the Prometheus source of 9.4 reads."""
    notes = {note["name"]: note for note in board["annotations"]["list"]}
    assert {"Nights", "Alerts", "Deployments"} <= set(notes)
    for name in ("Nights", "Alerts", "Deployments"):
        assert notes[name]["expr"] and notes[name]["titleFormat"] and notes[name]["step"]
        assert notes[name]["datasource"]["uid"] == "${datasource}"
        assert list(leaves(parse(notes[name]["expr"])))


@pytest.mark.parametrize(("uid", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"])
def test_every_panel_says_what_it_is(uid: str, panel: dict[str, Any]) -> None:
    """Description, unit, thresholds, and a word for nothing; a title where titles are read."""
    assert panel["title"] or uid == "zads-health"
    assert panel["description"].endswith(".")
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"]
    assert defaults["noValue"]


@pytest.mark.parametrize("board", BOARDS.values(), ids=list(BOARDS))
def test_no_panel_lies_on_another(board: dict[str, Any]) -> None:
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in board["panels"])
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_every_expression_parses(tmp_path: Path) -> None:
    """As rules that promtool checks, Grafana's own variables replaced."""
    promtool = shutil.which("promtool")
    assert promtool, "promtool is needed (package prometheus)"
    expressions = [_WINDOWS.sub("1m", expr) for _, expr in _targets()]
    expressions += [n["expr"] for board in BOARDS.values() for n in board["annotations"]["list"] if n.get("expr")]
    rules = [{"record": f"check:expression_{i}", "expr": text} for i, text in enumerate(expressions)]
    path = tmp_path / "check.rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}), encoding="utf-8")
    result = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(rules)} rules found" in result.stdout


def test_every_metric_is_exported_or_recorded() -> None:
    """A name that is in no catalogue is a typing error or a metric that was renamed."""
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "alertrules").glob("*.rules.yml")]
    files.append(render.thresholds(load(ROOT / "zads.toml")))
    recorded = {r["record"] for text in files for g in yaml.safe_load(text)["groups"] for r in g["rules"] if "record" in r}
    unknown = set()
    for where, expr in _targets():
        for leaf in leaves(parse(_WINDOWS.sub("1m", expr))):
            name = re.match(r"[a-zA-Z_:][\w:]*", leaf)
            if name and not FOREIGN.fullmatch(name[0]) and name[0] not in recorded:
                base = re.sub(r"_(bucket|sum|count)$", "", name[0])
                if name[0] not in METRICS and METRICS.get(base, METRICS["zads_build_info"]).kind != "histogram":
                    unknown.add((where, name[0]))
    assert not unknown


def test_every_variable_has_a_default_that_shows_something() -> None:
    """All of them where several can be chosen, the first (of nights the last) where one can."""
    for board in BOARDS.values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                assert variable["includeAll"] or not variable["multi"]
                assert not variable["includeAll"] or variable["current"]["value"] == "$__all"
                assert variable["description"]
