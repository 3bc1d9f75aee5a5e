"""The committed dashboard is what the code builds, is complete, and Prometheus parses every expression."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards import build
from zads.signals import SIGNALS

BOARD: dict[str, Any] = json.loads(build.texts()["zads-health.json"])
PANELS: list[dict[str, Any]] = BOARD["panels"]
DATA = [panel for panel in PANELS if panel["type"] != "text"]


def test_the_committed_json_is_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """--check is silent now, and says 1 as soon as a file differs."""
    assert build.main(["--check"]) == 0
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    assert build.main([]) == 0
    (tmp_path / "zads-health.json").write_text("{}", encoding="utf-8")
    assert build.main(["--check"]) == 1


def test_the_board_follows_the_conventions():
    """Classic schema, not editable, one datasource variable named datasource, known panel types."""
    assert 36 <= BOARD["schemaVersion"] <= 39
    assert BOARD["uid"] == "zads-health"
    assert BOARD["editable"] is False
    assert [(v["name"], v["type"], v["query"]) for v in BOARD["templating"]["list"]] == [
        ("datasource", "datasource", "prometheus")
    ]
    assert {panel["type"] for panel in PANELS} <= {"stat", "timeseries", "text"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_every_panel_says_what_it_is(panel: dict[str, Any]):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("panel", [p for p in DATA if p["type"] == "stat"], ids=lambda panel: panel["title"])
def test_no_tile_is_green_for_lack_of_data(panel: dict[str, Any]):
    """Nothing is a word, never a colour: null maps to UNKNOWN, and so does an absent series."""
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["noValue"]
    special = [m for m in defaults["mappings"] if m["type"] == "special"]
    assert special[0]["options"]["result"]["text"] == "UNKNOWN"


def test_one_screen_without_scrolling():
    """Panels fill 24 columns and at most 22 rows, and none lies on another."""
    cells = [
        (x, y)
        for g in (panel["gridPos"] for panel in PANELS)
        for x in range(g["x"], g["x"] + g["w"])
        for y in range(g["y"], g["y"] + g["h"])
    ]
    assert len(cells) == len(set(cells)) == 24 * 22
    assert max(x for x, _ in cells) == 23
    assert max(y for _, y in cells) == 21


def test_every_expression_parses(tmp_path: Path):
    """All signals and all panels' expressions, as rules that promtool checks."""
    promtool = shutil.which("promtool")
    assert promtool, "promtool is needed (package prometheus)"
    expressions = [target["expr"] for panel in DATA for target in panel["targets"]]
    expressions += [signal.expression for signal in SIGNALS.values()]
    rules = [
        {"record": f"check:expression_{i}", "expr": text.replace("$__rate_interval", "1m")}
        for i, text in enumerate(expressions)
    ]
    path = tmp_path / "check.rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}), encoding="utf-8")
    result = subprocess.run([promtool, "check", "rules", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(rules)} rules found" in result.stdout


def test_every_query_uses_the_datasource_variable():
    assert {panel["datasource"]["uid"] for panel in DATA} == {"${datasource}"}
