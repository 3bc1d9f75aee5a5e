"""What people look at says what is told: the wall's BEHIND waits as long as the alert does."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from zads.signals import SIGNALS

RULES = Path(__file__).resolve().parents[2] / "alertrules"
LASAIR = '{community="lasair"}'
COMMON = {
    'zads:community_info{community="lasair",label="Lasair"}': "1x200",
    f"zads:community_commit_batch{LASAIR}": "250x200",
    "zads:threshold_community_lag": "1800x200",
    f"zads_community_connections{LASAIR}": "1x200",
    f"zads_community_lag_known{LASAIR}": "1x200",
    'zads:service_info{service="broker",host="k1",severity="page",label="Kafka",part="public"}': "1x200",
}
# Single alerts by day, read at once; the wire is seen one scrape after the arrival.
TRICKLE = COMMON | {
    'zads_service_answering{service="broker",role="kafka",host="k1"}': "1x200",
    'zads_community_lag_seconds{community="lasair",program="1",night="n"}': "4000x200",
    'zads_community_lag_alerts{community="lasair",program="1",night="n"}': "200x200",
    'zads_alerts_arrived_bytes_total{cluster="public",program="1"}': "0x40 70000x40 140000x40 210000x80",
    'zads_community_egress_bytes_total{community="lasair",source="wire"}': "0x42 70000x40 140000x40 210000x78",
}
BEHIND = COMMON | {
    'zads_service_answering{service="broker",role="kafka",host="k1"}': "1x200",
    'zads_community_lag_seconds{community="lasair",program="1",night="n"}': "4000x200",
    'zads_community_lag_alerts{community="lasair",program="1",night="n"}': "400x200",
}
GONE = COMMON | {
    'zads_service_answering{service="broker",role="kafka",host="k1"}': "0x200",
    f"zads_community_connections{LASAIR}": "0x200",
}


def _highest(signal: str) -> str:
    return f"max_over_time(({SIGNALS[signal].expression})[15m:5s])"


@pytest.mark.parametrize(
    ("series", "expression", "at", "value"),
    [
        (TRICKLE, "max_over_time(zads:community_late:bool[15m])", "900s", 1),
        (TRICKLE, _highest("community_late"), "900s", 0),
        (TRICKLE, _highest("community_state"), "900s", 0),
        (BEHIND, SIGNALS["community_late"].expression, "20s", 0),
        (BEHIND, SIGNALS["community_late"].expression, "60s", 1),
        (BEHIND, SIGNALS["community_state"].expression, "60s", 5),
        (GONE, SIGNALS["community_state"].expression, "60s", 2),
    ],
    ids=[
        "the condition flickers",
        "the word does not",
        "nor in Grafana",
        "not early",
        "behind",
        "behind in Grafana",
        "waiting",
    ],
)
def test_behind_is_said_when_it_is_told(
    series: dict[str, str], expression: str, at: str, value: float, tmp_path: Path
) -> None:
    test: dict[str, Any] = {
        "rule_files": [str(RULES / "communities.rules.yml"), str(RULES / "recording.rules.yml")],
        "group_eval_order": ["zads-recorded", "communities"],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {"expr": expression, "eval_time": at, "exp_samples": [{"labels": LASAIR, "value": value}]}
                ],
            }
        ],
    }
    file = tmp_path / "signal_test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
