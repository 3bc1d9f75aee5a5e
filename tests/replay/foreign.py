"""What other programs export: node_exporter, the JMX agents, Prometheus and Alertmanager; only what rules read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tests.replay.exposition import Exposition

# Name to labels (beside job, instance, host, service): node_exporter 1.5, Prometheus 2.42, Alertmanager 0.25, and the
# agents' rules in zads/stack/kafka_files.py.
LABELS = {
    "node_boot_time_seconds": "",
    "node_time_seconds": "",
    "node_timex_offset_seconds": "",
    "node_timex_sync_status": "",
    "node_filesystem_avail_bytes": "device fstype mountpoint",
    "node_filesystem_size_bytes": "device fstype mountpoint",
    "node_filesystem_files": "device fstype mountpoint",
    "node_filesystem_files_free": "device fstype mountpoint",
    "node_filesystem_readonly": "device fstype mountpoint",
    "node_filesystem_device_error": "device fstype mountpoint",
    "node_memory_MemAvailable_bytes": "",
    "node_memory_MemTotal_bytes": "",
    "node_cpu_seconds_total": "cpu mode",
    "node_load5": "",
    "node_network_receive_errs_total": "device",
    "node_network_transmit_errs_total": "device",
    "node_network_receive_drop_total": "device",
    "node_network_transmit_drop_total": "device",
    "node_network_receive_packets_total": "device",
    "node_network_transmit_packets_total": "device",
    "node_network_receive_bytes_total": "device",
    "node_network_transmit_bytes_total": "device",
    "node_network_speed_bytes": "device",
    "node_network_up": "device",
    "node_systemd_unit_state": "name state type",
    "node_scrape_collector_success": "collector",
    "node_reboot_required": "",
    "apt_upgrades_pending": "arch origin",
    "zads_backup_last_success_timestamp_seconds": "backup",
    "prometheus_rule_evaluation_failures_total": "rule_group",
    "prometheus_config_last_reload_successful": "",
    "alertmanager_config_last_reload_successful": "",
    "alertmanager_notifications_failed_total": "integration",
    "alertmanager_notifications_total": "integration",
    "kafka_connect_task_status": "connector task status",
    "kafka_controller_kafkacontroller_offlinepartitionscount": "",
}
_DISK = 4e12


def export(to: Exposition) -> None:
    """Write all of them."""
    _node(to)
    _agents(to)
    _watchers(to)


def _node(to: Exposition) -> None:
    life = to.times + 30 * 86400
    to.put("node", "node_boot_time_seconds", to.since(-30 * 86400.0))
    to.put("node", "node_time_seconds", to.times - to.times[0])
    to.put("node", "node_timex_offset_seconds", 0.0002)
    to.put("node", "node_timex_sync_status", 1)
    disk = {"device": "/dev/sdb1", "fstype": "xfs", "mountpoint": "/var/lib/kafka"}
    # Eight nights of 70 GB, written and deleted in turn.
    free = _DISK * 0.6 - to.flow.public[to._cut] * 70_000.0 % 70e9
    for fault in to.scenario.of("disk fills"):
        left = np.clip((fault.end - to.times) / (fault.end - fault.begin), 0, 1)
        free = np.where(to.times >= fault.begin, np.minimum(free, 0.28 * _DISK * left), free)
    to.put("node", "node_filesystem_avail_bytes", free, **disk)
    to.put("node", "node_filesystem_size_bytes", _DISK, **disk)
    to.put("node", "node_filesystem_files", 2e8, **disk)
    to.put("node", "node_filesystem_files_free", 1.9e8, **disk)
    to.put("node", "node_filesystem_readonly", 0, **disk)
    to.put("node", "node_filesystem_device_error", 0, **disk)
    to.put("node", "node_memory_MemAvailable_bytes", 40e9)
    to.put("node", "node_memory_MemTotal_bytes", 64e9)
    to.put("node", "node_load5", 1.2)
    to.put("node", "node_scrape_collector_success", 1, collector="systemd")
    to.put("node", "node_reboot_required", 0)
    to.put("node", "apt_upgrades_pending", 3, arch="all", origin="Debian:bookworm/stable")
    # The nightly backup, written by its script for the textfile collector.
    backup = np.floor((to.times + to.clock) / 86400) * 86400 - to.clock
    to.put("node", "zads_backup_last_success_timestamp_seconds", to.since(0.0) + backup, backup="monitor")
    for cpu in "0123":
        for mode, share in (("idle", 0.8), ("iowait", 0.02), ("system", 0.06), ("user", 0.12)):
            to.put("node", "node_cpu_seconds_total", life * share, cpu=cpu, mode=mode)
    for way in ("receive", "transmit"):
        for what, rate in (("errs", 0.0), ("drop", 0.0), ("packets", 900.0), ("bytes", 2e6)):
            to.put("node", f"node_network_{way}_{what}_total", life * rate, device="eth0")
    to.put("node", "node_network_speed_bytes", 1.25e9, device="eth0")
    to.put("node", "node_network_up", 1, device="eth0")
    for unit in ("kafka.service", "mirrormaker.service", "firewalld.service"):
        for state in ("active", "failed"):
            where = {"name": unit, "state": state, "type": "simple"}
            to.put("node", "node_systemd_unit_state", float(state == "active"), **where)


def _agents(to: Exposition) -> None:
    failed = to.during("task failed")
    for task in "0123":
        broken = failed & (task == "0")
        for status, there in (("running", ~broken), ("failed", broken)):
            where = {"connector": "MirrorSourceConnector", "task": task, "status": status, "service": "mirrormaker"}
            to.put("jmx", "kafka_connect_task_status", 1, seen=there, **where)
    to.put("jmx", "kafka_controller_kafkacontroller_offlinepartitionscount", 0, service="kafka-public")


def _watchers(to: Exposition) -> None:
    to.put("prometheus", "prometheus_rule_evaluation_failures_total", 0, rule_group="/etc/zads/services.rules.yml;services")
    to.put("prometheus", "prometheus_config_last_reload_successful", 1)
    to.put("alertmanager", "alertmanager_config_last_reload_successful", 1)
    failed = np.cumsum(to.during("target down", "notifier"))
    for integration in ("email", "pagerduty", "webhook"):
        bad = failed if integration == "webhook" else 0
        to.put("alertmanager", "alertmanager_notifications_failed_total", bad, integration=integration)
        to.put("alertmanager", "alertmanager_notifications_total", (to.times - to.times[0]) / 30, integration=integration)
