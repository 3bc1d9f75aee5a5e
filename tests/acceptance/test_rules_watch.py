"""On the running stack each rule, its comparison removed, returns series: no rule watches what nobody exports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.acceptance.conftest import Stack
from tests.support.promql import watched

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
FILES = sorted((Path(__file__).resolve().parents[2] / "alertrules").glob("*.rules.yml"))
# What the stack has not, by a regular expression on what is asked; why; and what has to be there instead, where anything.
EXCUSED = {
    r"node_systemd_unit_state|collector=\"systemd\"": ("node_exporter runs here without systemd's collector", ""),
    r"apt_upgrades_pending|node_reboot_required|zads:host_updates_waiting": ("no host script writes a textfile here", ""),
    r"zads_backup_last_success_timestamp_seconds": ("no host script writes a textfile here", ""),
    r"zads_service_certificate_expiry_timestamp_seconds": ("no listener of the stack speaks TLS", "zads_service_answering"),
    r"zads_config_last_apply_success": ("nobody has run `zads config apply` here", "zads_service_up"),
    r"zads_restricted_alerts_total|zads:restricted_alerts:sum": (
        "no packet of a restricted program is on the public cluster",
        'zads_night_alerts{cluster="public"} and on (program) zads:public_program',
    ),
    r"zads_alert_decode_errors_total|zads:alert_decode_errors": (
        "no packet was undecodable",
        "zads_alert_packets_decoded_total",
    ),
    r"kafka_connect_task_status\{status=\"failed\"\}": (
        "a task that runs has no other status",
        'kafka_connect_task_status{status="running"} and on (service) zads:service_info',
    ),
    r"zads:upstream_alerts:usual1h": ("it takes ten hours with alerts", "zads:upstream_alerts:increase1h"),
    r"zads:upstream_silent_told:timestamp": ("nobody was told here that IPAC is silent", "zads:part_info{part='upstream'}"),
    r"zads:alert_schema:known": ("it takes an hour", "zads_alert_schema_info"),
}


def _asked() -> Iterator[tuple[str, str]]:
    """Yield each rule's name and one thing that it watches."""
    for file in FILES:
        for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                for expression in watched(rule["expr"]):
                    yield rule.get("alert") or rule["record"], expression


def test_every_rule_watches_what_is_exported(stack: Stack) -> None:
    """All of it, but for what stands above with its reason."""
    missing = list(_asked())

    def all_there() -> bool:
        missing[:] = [(name, asked) for name, asked in missing if not stack.query(asked)]
        return not [1 for _, asked in missing if not any(re.search(pattern, asked) for pattern in EXCUSED)]

    # The slow group runs once a minute, and rates need a few scrapes.
    try:
        stack.wait(240, "every rule returns series without its comparison", all_there)
    except pytest.fail.Exception:
        left = [(n, a) for n, a in missing if not any(re.search(pattern, a) for pattern in EXCUSED)]
        pytest.fail("nobody exports what these rules watch:\n" + "\n".join(f"{name}: {asked}" for name, asked in left))
    for _, instead in EXCUSED.values():
        assert not instead or stack.query(instead), instead


def test_every_excuse_is_used() -> None:
    asked = [expression for _, expression in _asked()]
    assert all(any(re.search(pattern, one) for one in asked) for pattern in EXCUSED)
