"""What is read from the engine is what fires, and what is silent is what Alertmanager silences."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.replay.evaluate import RULES, Firing, evaluate
from tests.replay.play import site
from tests.replay.told import Inhibition, told
from zads import render
from zads.stack import programs

TESTS = RULES / "tests"


def _cases(file: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield promtool tests (whole seconds) with what they ask about alerts."""
    content = yaml.safe_load((TESTS / file).read_text(encoding="utf-8"))
    for test in content["tests"]:
        yield content, test


def _seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    return float(text[:-1]) * units[text[-1]]


@pytest.mark.parametrize("file", ["hosts_test.yml", "meta_test.yml"])
def test_it_reads_from_the_engine_what_the_engine_itself_says(file: str) -> None:
    """The rules' own tests, played here: at each of their times exactly the alerts that promtool accepts fire."""
    asked = 0
    for content, test in list(_cases(file))[:6]:
        cases = test.get("alert_rule_test", [])
        if not cases:
            continue  # it asks for expressions only
        every, last = int(_seconds(content["evaluation_interval"])), max(_seconds(c["eval_time"]) for c in cases)
        series = {one["series"]: one["values"] for one in test["input_series"]}
        seen = evaluate(series, step=int(_seconds(test["interval"])), every=every, seconds=last)
        for case in cases:
            if case["alertname"] == "Watchdog":
                continue  # fires always, and is not asked for
            at = _seconds(case["eval_time"])
            fires = [dict(a) for a in seen.at[at - at % every] if dict(a)["alertname"] == case["alertname"]]
            wanted = [{"alertname": case["alertname"], **one["exp_labels"]} for one in case["exp_alerts"]]
            assert sorted(map(str, map(sorted, map(dict.items, fires)))) == sorted(
                map(str, map(sorted, map(dict.items, wanted)))
            ), (test.get("name"), case["eval_time"])
            asked += 1
    assert asked > 5


def _alert(name: str, **labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"alertname": name, "severity": "page", **labels}.items()))


ALERTS = [
    _alert("HostDown", host="kafka"),
    _alert("ServiceDown", host="kafka", service="kafka-public", part="public"),
    _alert("ServiceDown", host="ipac", service="kafka-upstream", part="upstream"),
    _alert("ServiceNotAnswering", host="kafka", service="mirrormaker", part="mirror"),
    _alert("ExporterDown", host="kafka", job="node"),
    _alert("ExporterDown", host="monitor", job="notifier"),
    _alert("MonitoringBlind"),
    _alert("AlertsNotArriving", service="mirrormaker", about="stream", program="1"),
    _alert("AlertsArrivingSlowly", service="mirrormaker", about="stream", stage="mirror"),
    _alert("AlertsArrivingSlowly", service="kafka-upstream", about="stream", stage="exposure"),
    _alert("MirrorLagging", service="mirrormaker", about="stream", program="1"),
    _alert("CommunitiesBehind", about="community"),
    _alert("CommunityLagging", about="community", community="lasair", label="Lasair"),
    _alert("CommunityWillLoseAlerts", about="community", community="ampel", label="AMPEL"),
    _alert("CommunityLagging", about="community", community="ampel", label="AMPEL"),
    _alert("RestrictedDataExposed", about="security", service="kafka-public", program="3"),
    _alert("UpstreamSilent", about="upstream", service="kafka-upstream"),
    _alert("NotifierDown", host="monitor", path="direct"),
    _alert("AlertmanagerNotSending", host="monitor", path="direct"),
]
SETS = {
    "all": ALERTS,
    "no host, no public Kafka": [a for a in ALERTS if a[0] != ("alertname", "HostDown") and ("part", "public") not in a],
    "communities": [a for a in ALERTS if ("about", "community") in a],
    "stream": [a for a in ALERTS if ("about", "stream") in a or ("about", "upstream") in a],
    "upstream": [a for a in ALERTS if ("service", "kafka-upstream") in a or ("about", "stream") in a],
    "meta": [a for a in ALERTS if dict(a)["alertname"] in {"MonitoringBlind", "ExporterDown", "NotifierDown"}],
}


def _get(address: str, path: str) -> Any:
    with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
        body = answer.read()
    return json.loads(body) if body.startswith((b"[", b"{")) else body


def _silenced(alerts: list[Any], folder: Path) -> set[Any]:
    """Return which alerts a real Alertmanager with the rendered file holds back."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    written = yaml.safe_load(render.alertmanager(site()))
    quiet = {"route": {"receiver": "none"}, "receivers": [{"name": "none"}], "inhibit_rules": written["inhibit_rules"]}
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(quiet))
    command = [str(programs.find("alertmanager")), f"--config.file={folder}/alertmanager.yml"]
    command += [f"--storage.path={folder}/data", f"--web.listen-address={address}", "--cluster.listen-address="]
    now = datetime.now(UTC)
    body = [
        {"labels": dict(a), "startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=10)).isoformat()} for a in alerts
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            posted = False
            for _ in range(300):
                time.sleep(0.1)
                try:
                    if not posted:
                        url, kind = f"http://{address}/api/v2/alerts", {"Content-Type": "application/json"}
                        urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), kind), timeout=5)
                        posted = True
                    found = _get(address, "/api/v2/alerts")
                except OSError:
                    continue
                states = [one["status"]["state"] for one in found]
                if len(found) == len(alerts) and "unprocessed" not in states:
                    return {tuple(sorted(o["labels"].items())) for o in found if o["status"]["inhibitedBy"]}
        finally:
            process.terminate()
            process.wait(10)
    raise AssertionError((folder / "log").read_text())


@pytest.mark.parametrize("name", SETS)
def test_what_is_silenced_is_what_alertmanager_silences(name: str, tmp_path: Path) -> None:
    """The same alerts at once in a real Alertmanager with the rendered rules: the same ones are held back."""
    alerts, inhibition = SETS[name], Inhibition(site())
    ours = {target for target in alerts if any(inhibition.silences(source, target) for source in alerts)}
    assert ours == _silenced(alerts, tmp_path)
    assert 0 < len(ours) < len(alerts)


def test_a_silence_needs_its_source_first() -> None:
    """Across groups a source counts from the evaluation after it fired: groups are evaluated at moments of their own."""
    down, lagging = _alert("ServiceDown", host="kafka", part="public"), _alert("MirrorLagging", about="stream")
    groups = {"ServiceDown": "services", "MirrorLagging": "alert_stream"}
    at_once = Firing({0.0: frozenset(), 5.0: frozenset({down, lagging})}, groups, 5)
    assert [one.name for one in told(at_once, site())] == ["MirrorLagging", "ServiceDown"]
    later = Firing({0.0: frozenset({down}), 5.0: frozenset({down, lagging})}, groups, 5)
    assert [one.name for one in told(later, site())] == ["ServiceDown"]


def test_what_was_held_back_is_told_when_its_cause_ends_first() -> None:
    """An alert that still fires then is news; one that ends and fires again is told again."""
    down, lagging = _alert("ServiceDown", host="kafka", part="public"), _alert("MirrorLagging", about="stream")
    at = {0.0: {down}, 5.0: {down, lagging}, 10.0: {lagging}, 15.0: {lagging}, 20.0: set(), 25.0: {lagging}}
    firing = Firing({when: frozenset(alerts) for when, alerts in at.items()}, {}, 5)
    assert [(one.name, one.at, one.until) for one in told(firing, site())] == [
        ("ServiceDown", 0.0, 5.0),
        ("MirrorLagging", 10.0, 15.0),
        ("MirrorLagging", 25.0, 25.0),
    ]
