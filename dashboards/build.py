"""Write dashboards/json from the modules: `python -m dashboards.build [--check]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import community, health, kafka, monitoring, report

FOLDER = Path(__file__).resolve().parent / "json"
_DASHBOARDS = {
    "zads-health.json": health,
    "zads-report.json": report,
    "zads-community.json": community,
    "zads-kafka.json": kafka,
    "zads-monitoring.json": monitoring,
}
# What Grafana's Prometheus source reads of an annotation, and the foundation's builder does not know.
_NOTES = {
    "Nights": {"titleFormat": "Night", "textFormat": "dark", "step": "60s"},
    "Alerts": {"titleFormat": "{{headline}}", "textFormat": "{{alertname}}", "tagKeys": "severity", "step": "30s"},
    "Deployments": {"titleFormat": "ZADS Monitor {{version}}", "textFormat": "first seen", "step": "60s"},
}
# Classic schema that Grafana 9.4 to 13 load.
_SCHEMA = 38


def texts() -> dict[str, str]:
    """Return every file's text by name."""
    result = {}
    for name, module in _DASHBOARDS.items():
        content = json.loads(JSONEncoder(sort_keys=True, indent=2).encode(module.build().build()))
        content["schemaVersion"] = _SCHEMA
        for number, panel in enumerate(content["panels"], 1):
            panel["id"] = number
        for note in content.get("annotations", {}).get("list", ()):
            note.update(_NOTES.get(note["name"], {}))
        result[name] = json.dumps(content, indent=2, sort_keys=True) + "\n"
    return result


def main(arguments: list[str]) -> int:
    """Write the files, or with --check say which differ and return 1."""
    FOLDER.mkdir(exist_ok=True)
    differ = 0
    for name, text in texts().items():
        path = FOLDER / name
        if "--check" in arguments:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                sys.stderr.write(f"{path} differs from what dashboards/ builds: run `make generate`\n")
                differ = 1
        else:
            path.write_text(text, encoding="utf-8")
    return differ


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
