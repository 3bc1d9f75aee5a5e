"""Let the rules' own engine evaluate series: promtool runs Prometheus' rule manager over them, in simulated time.

So `for`, `keep_firing_for`, ALERTS read by rules (an alert that holds itself) and groups that read each other are what
they are in Prometheus; docs/decisions/0016-replays-by-promtool.md says why nothing is evaluated outside.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.replay.series import text
from zads import render
from zads.config import Config

RULES = Path(__file__).resolve().parents[2] / "alertrules"
# Recorded series first, then who silences or is read by others.
_FIRST = ("zads-recorded", "zads-slo", "hosts", "services", "alert_stream", "communities")
# Promtool evaluates every group at one pace: these, which count minutes or look back over weeks, are theirs only each
# minute and are left out where the pace is faster.
EACH_MINUTE = ("zads-slo", "zads-slow", "reliability")
# Looks back over weeks, for notes only; promtool reads so many samples of a series, and no more.
NOTES, SAMPLES = ("zads-slow",), 10_000
_ASKED = 'ALERTS{alertname!="Watchdog",alertstate="firing"}'
_BLOCK = re.compile(
    r'expr: "ALERTS[^\n]*", time: (?P<time>\S+),\s*exp: nil\s*got: (?P<got>.*?)(?=\n\s*\n|\n\s*expr:|\Z)', re.DOTALL
)
_LABELS = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_SAMPLE = re.compile(r'\{((?:\w+="(?:[^"\\]|\\.)*"(?:, )?)*)\} [-+.\dEeNaIinf]+')
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}

Alert = tuple[tuple[str, str], ...]


class ReplayError(Exception):
    """The engine did not run, or said what was not understood."""


@dataclass(frozen=True)
class Firing:
    """Which alerts fired at which evaluation (seconds), and which group each alert stands in."""

    at: dict[float, frozenset[Alert]]
    groups: Mapping[str, str]
    evaluate: float


def rule_groups(folder: Path = RULES) -> dict[str, list[str]]:
    """Return the names of the alerts of each group, in the order of evaluation."""
    found: dict[str, list[str]] = {}
    for file in sorted(folder.glob("*.rules.yml")):
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            found[group["name"]] = [rule["alert"] for rule in group["rules"] if "alert" in rule]
    order = [name for name in _FIRST if name in found]
    records = [name for name, alerts in found.items() if not alerts and name not in order]
    rest = [name for name in found if name not in order and name not in records]
    return {name: found[name] for name in (*order[:2], *records, *order[2:], *rest)}


def thresholds(config: Config) -> dict[str, float]:
    """Return the series of thresholds.rules.yml: constants, so they are given instead of evaluated."""
    groups = yaml.safe_load(render.thresholds(config))["groups"]
    constant = re.compile(r"vector\((.+)\)")
    found = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        match = constant.fullmatch(rule["expr"])
        if match is None:
            raise ReplayError(f"{rule['record']} of thresholds.rules.yml is no constant: {rule['expr']}")
        found[text(rule["record"], rule.get("labels", {}))] = float(match[1])
    return found


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _test_file(
    series: Mapping[str, str], step: int, evaluate: int, seconds: float, groups: Iterable[str], folder: Path
) -> str:
    quoted = (f"      - {{series: {_quoted(name)}, values: '{values}'}}" for name, values in series.items())
    times = range(0, int(seconds) + 1, evaluate)
    asked = (f"      - {{expr: '{_ASKED}', eval_time: {at}s, exp_samples: []}}" for at in times)
    files = ", ".join(f'"{file}"' for file in sorted(folder.glob("*.rules.yml")))
    return "\n".join(
        [
            f"rule_files: [{files}]",
            f"group_eval_order: [{', '.join(groups)}]",
            f"evaluation_interval: {evaluate}s",
            "tests:",
            f"  - interval: {step}s",
            "    input_series:",
            *quoted,
            "    promql_expr_test:",
            *asked,
            "",
        ]
    )


def evaluate(
    series: Mapping[str, str],
    *,
    step: int,
    every: int,
    seconds: float,
    rules: Path = RULES,
    without: Iterable[str] = (),
) -> Firing:
    """Evaluate all rules (groups of `without` left out) over the series, each `every` seconds.

    Raises ReplayError when promtool does not run to its end.
    """
    every_group = rule_groups(rules)
    left_out = set(without)
    by_alert = {alert: group for group, alerts in every_group.items() for alert in alerts}
    with tempfile.TemporaryDirectory(prefix="zads-replay-") as place:
        folder, groups = rules, list(every_group)
        if left_out:
            folder = Path(place) / "rules"
            folder.mkdir()
            groups = _kept(rules, folder, left_out)
        file = Path(place) / "replay.yml"
        file.write_text(_test_file(series, step, every, seconds, groups, folder), encoding="utf-8")
        command = ["promtool", "test", "rules", str(file)]
        # Memory is there, and an eighth of the time went into tidying it.
        calm = {"GOGC": "400", **os.environ}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=calm)
    said = done.stdout + done.stderr
    found = {float(at): frozenset[Alert]() for at in range(0, int(seconds) + 1, every)}
    blocks = list(_BLOCK.finditer(said))
    if (done.returncode == 0) != (not blocks) or said.count("expr:") != len(blocks):
        raise ReplayError(f"promtool said what was not understood: {said[:2000]}")
    for block in blocks:
        at = sum(int(number) * _SECONDS[unit] for number, unit in _DURATION.findall(block["time"]))
        samples = _SAMPLE.findall(block["got"])
        if not samples:
            raise ReplayError(f"promtool said what was not understood: {block[0]}")
        found[at] = frozenset(
            tuple(sorted(pair for pair in _LABELS.findall(labels) if pair[0] not in {"__name__", "alertstate"}))
            for labels in samples
        )
    return Firing(found, by_alert, every)


def _kept(rules: Path, folder: Path, left_out: set[str]) -> list[str]:
    """Write the rule files without some of their groups; return the groups' names in the order of evaluation."""
    for file in rules.glob("*.rules.yml"):
        groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        kept = [{k: v for k, v in group.items() if k != "interval"} for group in groups if group["name"] not in left_out]
        if kept:
            (folder / file.name).write_text(yaml.safe_dump({"groups": kept}, sort_keys=False, width=10**6), encoding="utf-8")
    return [name for name in rule_groups(rules) if name not in left_out]
