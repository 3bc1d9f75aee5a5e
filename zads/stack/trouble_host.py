"""The Kafka host alone is gone, as where the monitor is a machine of its own.

On the local stack everything runs on one host, so that a host that is gone would take Prometheus along. For this
trouble Prometheus, Alertmanager and the notifier are scraped under the host `monitor` and IPAC's Kafka under `ipac`,
as at a real site; what then runs on the Kafka host is killed.
"""

from __future__ import annotations

import urllib.request
from collections import Counter
from typing import Any

import yaml

from zads import render
from zads.config import Config, load
from zads.stack.paths import Paths

_MONITOR = {"prometheus", "alertmanager", "notifier"}
# What runs on the Kafka host, of the stack's components.
ON_HOST = ("kafka-public", "mirrormaker", "node-exporter", "kafka-lag", "broker-egress", "alert-arrival", "services")


def set_apart(config: Config, files: dict[str, str]) -> dict[str, str]:
    """Return prometheus.yml and thresholds.rules.yml with the monitor and IPAC on hosts of their own."""
    scraped, rules = (yaml.safe_load(files[name]) for name in ("prometheus.yml", "thresholds.rules.yml"))
    upstream = render.part_names(config)["upstream"]
    targets = Counter[tuple[str, str]]()
    for job in scraped["scrape_configs"]:
        for one in job["static_configs"]:
            labels = one["labels"]
            if job["job_name"] in _MONITOR:
                labels["host"] = "monitor"
            elif labels.get("service") == upstream:
                labels["host"] = "ipac"
            targets[job["job_name"], labels["host"]] += 1
    (group,) = rules["groups"]
    kept = [rule for rule in group["rules"] if rule["record"] != "zads:expected_targets"]
    for rule in kept:
        if rule["record"] == "zads:service_info" and rule["labels"]["service"] == upstream:
            rule["labels"]["host"] = "ipac"
    group["rules"] = kept + [_expected(job, host, number) for (job, host), number in targets.items()]
    return {
        "prometheus.yml": yaml.safe_dump(scraped, sort_keys=False),
        "thresholds.rules.yml": yaml.safe_dump(rules, sort_keys=False),
    }


def _expected(job: str, host: str, number: int) -> dict[str, Any]:
    return {"record": "zads:expected_targets", "expr": f"vector({number})", "labels": {"job": job, "host": host}}


def relabel(paths: Paths, *, apart: bool) -> None:
    """Give the monitor and IPAC hosts of their own, or take these back; Prometheus reads the files again.

    Raises OSError when a file cannot be written or Prometheus does not answer.
    """
    config = load(paths.site)
    files = render.render(config, paths.root / "alertrules")
    render.write(files | (set_apart(config, files) if apart else {}), paths.config)
    ask = urllib.request.Request(f"http://{config.prometheus.address}/-/reload", method="POST")
    with urllib.request.urlopen(ask, timeout=20):
        pass
