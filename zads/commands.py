"""What an operator types to look at a service, to read its log, to restart or stop it: with systemd, or on the local stack.

Alert rules are static and know a service's name, not its unit, nor who supervises it. `thresholds.rules.yml` says it
to them as `zads:commands`, one series for each service of zads.toml and each program of ours.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from zads import render_scrape
from zads.config import Config, Service, host_port
from zads.hosts import host_of

# Debian's units of what is not ours, and what the stack calls it.
_FOREIGN = {
    "prometheus": ("prometheus", "prometheus"),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "node": ("prometheus-node-exporter", "node-exporter"),
}


@dataclass(frozen=True)
class Commands:
    """What to type about one service; "" for what is not there. `clients` lists who is connected to it."""

    status: str
    log: str = ""
    restart: str = ""
    stop: str = ""
    clients: str = ""

    def labels(self) -> dict[str, str]:
        """Return those that are there, by their names."""
        return {name: command for name, command in asdict(self).items() if command}


def commands(config: Config) -> dict[str, Commands]:
    """Return the commands by service, and by scrape job for what watches; "monitoring" is all of what watches."""
    addresses = {name: address for name, (address, _) in render_scrape.places(config).items()}
    addresses |= {"notifier": config.notifier.listen, "prometheus": config.prometheus.address}
    addresses |= {"alertmanager": config.alertmanager.address}
    if config.prometheus.node_exporter:
        addresses["node"] = config.prometheus.node_exporter
    found = {"monitoring": _monitoring(config)}
    for job, address in addresses.items():
        program = "all" if config.exporters.one_process and job in render_scrape.places(config) else job
        unit, component = _FOREIGN.get(job, (f"zads-{program}", job))
        found[job] = _of(config, component, unit, host_of(config, address))
    for service in config.services:
        unit = (service.unit or service.name).removesuffix(".service")
        found[service.name] = _of(config, service.name, unit, service.host, _clients(service))
    return found


def _of(config: Config, component: str, unit: str, host: str, clients: str = "") -> Commands:
    if config.site.stack:
        return Commands(
            f"zads stack logs {component}",
            f"zads stack logs {component} -n 100",
            f"zads sim heal, else zads sim restart {component}",
            f"zads sim stop {component}",
            clients,
        )
    return Commands(
        f"systemctl status {unit} on {host}",
        f"journalctl -u {unit} -n 100 on {host}",
        f"systemctl restart {unit} on {host}",
        f"systemctl stop {unit} on {host}",
        f"{clients} on {host}" if clients else "",
    )


def _monitoring(config: Config) -> Commands:
    if config.site.stack:
        return Commands("zads stack status")
    host = host_of(config, config.prometheus.address)
    return Commands(f"systemctl status 'zads-*' prometheus prometheus-alertmanager on {host}")


def _clients(service: Service) -> str:
    """Return what lists the connections to a service that is reached by TCP."""
    return f"ss -tn 'sport = :{host_port(service.probe)[1]}'"
