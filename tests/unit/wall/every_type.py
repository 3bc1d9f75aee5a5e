"""A dashboard with every type of panel that the page draws, one that it does not, a broken one, and an empty one."""

from __future__ import annotations

from typing import Any

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OK, WARN, BAD = "#3fb5a6", "#ffb91a", "#f55f19"
_WORDS = [{"type": "value", "options": {"0": {"text": "DOWN", "color": BAD}, "1": {"text": "OK", "color": OK}}}]


def _steps(*pairs: tuple[float | None, str]) -> dict[str, Any]:
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in pairs]}


def _panel(number: int, kind: str, title: str, place: tuple[int, int, int, int], *exprs: str, **more: Any) -> dict[str, Any]:
    x, y, w, h = place
    how: dict[str, Any] = more.pop("how", {"instant": True})
    defaults = {"unit": "short", "custom": {}, "mappings": [], "thresholds": _steps((None, OK)), **more.pop("defaults", {})}
    return {
        "id": number,
        "type": kind,
        "title": title,
        "description": f"{title}, described.",
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": w, "h": h},
        "targets": [
            {"expr": e.partition("|")[0], "legendFormat": e.partition("|")[2], "refId": chr(65 + i), **how}
            for i, e in enumerate(exprs)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        **more,
    }


def board() -> dict[str, Any]:
    """Return the dashboard."""
    line = {"range": True}
    table = {"instant": True, "format": "table"}
    late = {"unit": "s", "thresholds": _steps((None, OK), (60, WARN), (600, BAD))}
    filled = {"colorMode": "background", "textMode": "value_and_name", "reduceOptions": {"calcs": ["last"]}}
    dashed = {
        "unit": "Bps",
        "custom": {"lineWidth": 3, "thresholdsStyle": {"mode": "dashed"}},
        "thresholds": _steps((None, OK), (1.2e6, BAD)),
    }
    markdown = {
        "mode": "markdown",
        "content": "**READING** of $community\n\n[all](/d/every) <script>window.bad = 1</script>",
    }
    rename = {"renameByName": {"Value": "Takes"}, "excludeByName": {"Time": True}}
    egress = 'sum by (community) (rate(zads_community_egress_bytes_total{community=~"$community"}[$__rate_interval]))|{{community}}'
    panels = [
        _panel(1, "stat", "Lag", (0, 0, 6, 4), "zads:community_lag_seconds:max|{{community}}", defaults=late, options=filled),
        _panel(2, "gauge", "Budget", (6, 0, 6, 4), "100 * max(zads:slo_bad_minutes:quarter / zads:slo_budget_minutes:quarter)|spent",
               defaults={"unit": "percent", "min": 0, "max": 100}),
        _panel(3, "bargauge", "Waiting", (12, 0, 6, 4), "zads:community_lag_alerts:sum|{{community}}"),
        _panel(4, "text", "Words", (18, 0, 6, 4), options=markdown),
        _panel(5, "timeseries", "Egress of $community", (0, 4, 12, 8), egress, how=line, defaults=dashed, options={"legend": {}}),
        {"id": 6, "type": "row", "title": "States", "collapsed": False, "gridPos": {"x": 0, "y": 12, "w": 24, "h": 1}, "panels": []},
        _panel(7, "state-timeline", "Services", (0, 13, 12, 6), "zads_service_answering|{{service}}", how=line,
               defaults={"mappings": _WORDS}),
        _panel(8, "table", "Takes", (12, 13, 12, 6), "sum by (community) (rate(zads_community_egress_bytes_total[5m]))", how=table,
               transformations=[{"id": "organize", "options": rename}], defaults={"unit": "Bps"},
               overrides=[{"matcher": {"id": "byName", "options": "community"}, "properties": [
                   {"id": "links", "value": [{"url": "/d/every?var-community=${__value.text}"}]}]}]),
        _panel(9, "piechart", "Pie", (0, 19, 6, 4), "up"),
        _panel(10, "stat", "Broken", (6, 19, 6, 4), "sum(up"),
        _panel(11, "stat", "Empty", (12, 19, 6, 4), "nothing_here", defaults={"noValue": "UNKNOWN"}, options=filled),
        _panel(12, "table", "None", (18, 19, 6, 4), "nothing_here", how=table, defaults={"noValue": "nothing fires"}),
        {"id": 13, "type": "row", "title": "Folded", "collapsed": True, "gridPos": {"x": 0, "y": 23, "w": 24, "h": 1},
         "panels": [_panel(14, "timeseries", "Inside", (0, 24, 24, 6), "up|{{job}}", how=line)]},
    ]  # fmt: skip
    every = {
        "type": "query",
        "name": "community",
        "label": "Community",
        "query": {"query": "label_values(zads:community_info, community)"},
    }
    marks = {"name": "Nights", "expr": "max(zads_observing_night) == 1", "titleFormat": "Night", "iconColor": "#56b4e9"}
    return {
        "uid": "every",
        "title": "Every type",
        "description": "All that the page draws.",
        "tags": ["zads"],
        "refresh": "5s",
        "time": {"from": "now-3h", "to": "now"},
        "panels": panels,
        "templating": {"list": [
            {"type": "datasource", "name": "datasource", "query": "prometheus"},
            {**every, "multi": True, "includeAll": True, "allValue": ".+", "sort": 1},
        ]},
        "annotations": {"list": [{**marks, "enable": True, "datasource": _SOURCE}]},
        "links": [{"type": "dashboards", "title": "ZADS", "tags": ["zads"], "keepTime": True, "includeVars": True}],
    }  # fmt: skip
