"""Generated files are what their sources generate."""

from __future__ import annotations

from pathlib import Path

from dashboards import build
from zads import metrics
from zads.signals import SIGNALS

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_metrics_is_up_to_date() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == metrics.table()


def test_the_dashboards_are_up_to_date() -> None:
    for name, text in build.texts().items():
        assert (build.FOLDER / name).read_text(encoding="utf-8") == text


def test_every_signal_parses(tmp_path: Path) -> None:
    """promtool parses each expression, as a rule."""
    import subprocess

    import yaml

    rules = [{"record": f"signal:{name}", "expr": signal.expression} for name, signal in SIGNALS.items()]
    file = tmp_path / "signals.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "signals", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
