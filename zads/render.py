"""Render zads.toml into what other programs read: Prometheus, Alertmanager, thresholds as series."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

from zads.config import Config, host_port

_HEAD = "# Rendered from zads.toml by `zads config render`; edit that instead.\n"


def _yaml(content: object) -> str:
    return _HEAD + yaml.safe_dump(content, sort_keys=False, width=120)


def prometheus(config: Config, rules: Path) -> str:
    """Return prometheus.yml; `rules` is the folder of the rule files."""
    exporters = config.exporters
    host = config.hosts[0].name if config.hosts else "zads"

    def job(name: str, address: str, **labels: str) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [{"targets": [address], "labels": {"host": host, **labels}}]}

    listen = "127.0.0.1" if exporters.listen in {"0.0.0.0", "::"} else exporters.listen
    ports = {
        "kafka-lag": exporters.kafka_lag_port,
        "broker-egress": exporters.broker_egress_port,
        "alert-arrival": exporters.alert_arrival_port,
        "services": exporters.services_port,
    }
    # The services exporter names the host of each service itself.
    jobs = [{**job(name, f"{listen}:{port}"), "honor_labels": True} for name, port in ports.items()]
    if config.prometheus.node_exporter:
        jobs.append(job("node", config.prometheus.node_exporter))
    agents = {
        "kafka-upstream": _jmx(config, "upstream"),
        "kafka-public": _jmx(config, "public"),
        "mirrormaker": config.mirror.jmx,
    }
    jmx = [
        {"targets": [address], "labels": {"host": host, "service": service}}
        for service, address in agents.items()
        if address
    ]
    if jmx:
        # A paused JVM accepts and never answers: its scrape has to fail before the next is due.
        jobs.append({"job_name": "jmx", "scrape_timeout": "5s", "static_configs": jmx})
    jobs.append(job("prometheus", config.prometheus.address))
    jobs.append(job("alertmanager", config.alertmanager.address))
    jobs.append(job("notifier", config.notifier.listen))
    return _yaml(
        {
            "global": {
                "scrape_interval": _duration(config.prometheus.scrape_interval),
                "evaluation_interval": _duration(config.prometheus.evaluation_interval),
            },
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [config.alertmanager.address]}]}]},
            "rule_files": [str(rules / "*.rules.yml"), "thresholds.rules.yml"],
            "scrape_configs": jobs,
        }
    )


def _jmx(config: Config, cluster: str) -> str | None:
    entry = config.kafka.get(cluster)  # type: ignore[call-overload]
    return entry.jmx if entry else None


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds < 1 else f"{round(seconds)}s"


def alertmanager(config: Config) -> str:
    """Return alertmanager.yml: all to the notifier at once; what is about the notifier goes around it."""
    base = f"http://{config.notifier.listen}"
    authorization = {"type": "Bearer", "credentials_file": str(config.notifier.token_file.resolve())}

    def webhook(path: str) -> dict[str, Any]:
        return {"url": base + path, "send_resolved": True, "http_config": {"authorization": authorization}}

    direct: dict[str, Any] = {"name": "direct"}
    mail, pager = config.notifier.email, config.notifier.pagerduty
    if mail:
        entry: dict[str, Any] = {
            "to": ", ".join(mail.to),
            "from": mail.sender,
            "smarthost": mail.smarthost,
            "require_tls": mail.starttls,
            "hello": host_port(mail.smarthost)[0],
            "send_resolved": True,
            "headers": {"Subject": "[ZADS] {{ .CommonLabels.headline }} ({{ .Status }})"},
        }
        if mail.username and mail.password_file:
            entry |= {"auth_username": mail.username, "auth_password_file": str(mail.password_file.resolve())}
        direct["email_configs"] = [entry]
    if pager:
        direct["pagerduty_configs"] = [
            {
                "routing_key_file": str(pager.routing_key_file.resolve()),
                "url": f"{pager.base_url.rstrip('/')}/v2/enqueue",
                "description": "{{ .CommonAnnotations.summary }}",
                "send_resolved": True,
            }
        ]
    fast: dict[str, Any] = {"group_wait": "1s", "group_interval": "5s"}
    route: dict[str, Any] = {
        "receiver": "notifier",
        # One group per incident: an alert that is new never waits for the group's interval.
        "group_by": ["..."],
        **fast,
        "repeat_interval": "4h",
        "routes": [
            {
                "receiver": "heartbeat",
                "matchers": ['alertname="Watchdog"'],
                "group_wait": "0s",
                "group_interval": "30s",
                "repeat_interval": "30s",
            },
            {"receiver": "direct", "matchers": ['path="direct"'], **fast, "repeat_interval": "4h"},
        ],
    }
    return _yaml(
        {
            "route": route,
            "inhibit_rules": _inhibitions(),
            "receivers": [
                {"name": "notifier", "webhook_configs": [webhook("/v1/alertmanager")]},
                {"name": "heartbeat", "webhook_configs": [webhook("/v1/heartbeat/alertmanager")]},
                direct,
            ],
        }
    )


def _inhibitions() -> list[dict[str, Any]]:
    """Return what is silent while its cause fires: the host's services, Kafka's communities, a mirror's delays."""

    def rule(source: list[str], target: list[str], *equal: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"source_matchers": source, "target_matchers": target}
        return entry | ({"equal": list(equal)} if equal else {})

    gone = 'alertname=~"ServiceDown|ServiceNotAnswering|ServiceJustBack"'
    paged = 'alertname=~"ServiceDown|ServiceNotAnswering"'
    return [
        rule(['alertname="HostDown"'], ['service=~".+"'], "host"),
        rule([gone, 'service="kafka-public"'], ['about=~"community|stream"']),
        rule([paged, 'service="kafka-public"'], [paged, 'service="mirrormaker"']),
        rule([gone, 'service="mirrormaker"'], ['alertname=~"AlertsNotArriving|MirrorLagging|AlertsArrivingSlowly"']),
        rule([gone, 'service="kafka-upstream"'], ['about="stream"']),
        rule(['alertname="ServiceDown"'], ['alertname="ServiceNotAnswering"'], "service"),
        rule(['alertname="CommunitiesBehind"'], ['alertname="CommunityLagging"']),
        rule(['alertname="AlertsNotArriving"'], ['alertname=~"MirrorLagging|AlertsArrivingSlowly"']),
    ]


def thresholds(config: Config) -> str:
    """Return thresholds.rules.yml: the numbers that rules compare with, as series."""
    rules: list[dict[str, Any]] = []

    def record(name: str, value: float, **labels: str) -> None:
        rules.append({"record": name, "expr": f"vector({value:g})", **({"labels": labels} if labels else {})})

    for key, value in config.thresholds.model_dump().items():
        record(f"zads:threshold_{key}", float(value))
    for program in config.stream.public_programs:
        record("zads:public_program", 1, program=str(program))
    record("zads:threshold_latency_objective", config.stream.latency_objective)
    record("zads:slo_objective", config.slo.objective)
    for community in config.communities:
        record("zads:community_contract_bytes", community.contracted_bytes_per_second, community=community.name)
        record("zads:community_commit_batch", community.commit_batch, community=community.name)
    for service in config.services:
        record(
            "zads:service_info",
            1,
            service=service.name,
            host=service.host,
            severity=service.severity,
            label=service.label or service.name,
        )
    return _yaml({"groups": [{"name": "thresholds", "interval": "5s", "rules": rules}]})


def firewalld(config: Config) -> str:
    """Return the firewalld zone that lets the communities' networks reach Kafka and nobody else."""
    port = host_port(config.kafka["public"].bootstrap[0])[1]
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<zone>", "  <short>zads-communities</short>"]
    for community in config.communities:
        for network in community.networks:
            family = f"ipv{ip_network(network).version}"
            lines.append(
                f'  <rule family="{family}"><source address="{network}"/>'
                f'<port port="{port}" protocol="tcp"/><accept/></rule>'
            )
    return "\n".join([*lines, "</zone>"]) + "\n"


def render(config: Config, rules: Path) -> dict[str, str]:
    """Return every file by name."""
    return {
        "prometheus.yml": prometheus(config, rules),
        "alertmanager.yml": alertmanager(config),
        "thresholds.rules.yml": thresholds(config),
        "firewalld-zads-communities.xml": firewalld(config),
    }


def write(files: Mapping[str, str], directory: Path) -> None:
    """Write the files, each replaced whole."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        partial = directory / f"{name}.new"
        partial.write_text(text, encoding="utf-8")
        partial.replace(directory / name)
