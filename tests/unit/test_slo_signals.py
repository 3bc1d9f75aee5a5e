"""The wall's budget is what the rules recorded: the quarter's minutes, and UNKNOWN as soon as nobody counts them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from zads.signals import SIGNALS

RULES = Path(__file__).resolve().parents[2] / "alertrules" / "recording.rules.yml"
SERIES = {
    'zads_night_info{night="20261124"}': "1x40 stale",
    'zads_quarter_dark_seconds{quarter="2026Q4"}': "3240000x40 stale",
    "zads_observing_night": "1x40 stale",
    'zads_cluster_up{cluster="public"}': "1x9 0x23 1x60",
    'zads_cluster_readable{cluster="upstream"}': "1x90",
    'zads_night_alerts{cluster="upstream",program="1",night="20261124"}': "5000x90",
    'zads:public_program{program="1"}': "1x90",
    "zads:slo_objective": "0.99x90",
}


@pytest.mark.parametrize(
    ("signal", "at", "value"),
    [
        ("budget", "5m", 540),
        ("budget_bad", "5m", 0),
        ("budget_bad", "40m", 24),
        ("budget_left", "40m", 516),
        ("budget", "2460s", None),
        ("budget_bad", "2460s", None),
        ("budget_left", "2460s", None),
    ],
)
def test_the_budget_is_said_while_it_is_counted(signal: str, at: str, value: float | None, tmp_path: Path) -> None:
    """540 min at 99 %; 24 bad ones; nothing as soon as the exporter that knows the quarter is gone."""
    samples = [] if value is None else [{"labels": "{}", "value": value}]
    test: dict[str, Any] = {
        "rule_files": [str(RULES)],
        "group_eval_order": ["zads-recorded", "zads-slo"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in SERIES.items()],
                "promql_expr_test": [
                    # Rounded: 1 - 0.99 is no exact number.
                    {"expr": f"round({SIGNALS[signal].expression}, 0.001)", "eval_time": at, "exp_samples": samples}
                ],
            }
        ],
    }
    file = tmp_path / "budget_test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
