"""Render zads.toml into what other programs read: Prometheus, Alertmanager, thresholds as series.

What a service is to the stream (`part`: upstream, mirror, public, or other) follows from its role and its probe,
so that no rule and no inhibition knows a service's name.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml

from zads import render_scrape
from zads.commands import commands
from zads.config import Community, Config, Service, Severity, duration_text, host_port, reachable
from zads.hosts import host_of

# Secrets from the environment that Alertmanager and Prometheus need, which read files only.
SECRETS = (
    "secrets/alertmanager_token",
    "secrets/smtp_password",
    "secrets/slack_token",
    "secrets/pagerduty_key",
    render_scrape.PASSWORD,
)
_TOKEN, _PASSWORD, _SLACK, _KEY, _SCRAPE = SECRETS
_HEAD = "# Rendered from zads.toml by `zads config render`; edit that instead.\n"
# What the parts of the stream are called where no [[service]] says so.
_PARTS = {"upstream": "kafka-upstream", "mirror": "mirrormaker", "public": "kafka-public"}
# How communities write themselves; `label` of a [[community]] goes before it.
_SPELLING = {
    "alerce": "ALeRCE",
    "ampel": "AMPEL",
    "antares": "ANTARES",
    "mars": "MARS",
    "pitt-google": "Pitt-Google",
    "pittgoogle": "Pitt-Google",
    "snaps": "SNAPS",
}


def _yaml(content: object, *comments: str) -> str:
    lines = "".join(f"# {comment}\n" for comment in comments)
    return _HEAD + lines + yaml.safe_dump(content, sort_keys=False, width=120)


def part_of(config: Config, service: Service) -> str:
    """Return what the service is to the stream: upstream, mirror, public or other."""
    if service.role == "mirror":
        return "mirror"
    address = host_port(service.probe)
    for cluster, entry in config.kafka.items():
        if address in {host_port(bootstrap) for bootstrap in entry.bootstrap}:
            return cluster
    if service.role != "kafka":
        return "other"
    # Probed at another listener than the one that is read: its name may say which cluster it is.
    return "upstream" if "upstream" in config.kafka and "upstream" in service.name else "public"


def severity_of(config: Config, service: Service) -> Severity:
    """Return what the service's end is: as zads.toml says, else a page where alerts stand still without it and we can help.

    IPAC's Kafka is a ticket: nobody at ZADS can start it, and alerts that wait at IPAC are paged by themselves.
    """
    return service.severity or ("page" if part_of(config, service) in {"public", "mirror"} else "ticket")


def part_names(config: Config) -> dict[str, str]:
    """Return the service's name for each part of the stream, the customary one where no [[service]] covers it."""
    found = {part_of(config, service): service.name for service in reversed(config.services)}
    taken = {service.name for service in config.services}
    free = {part: f"{name}-cluster" if name in taken else name for part, name in _PARTS.items()}
    return {part: found.get(part, name) for part, name in free.items()}


def community_label(community: Community) -> str:
    """Return how messages write the community: as it does itself."""
    written = community.label or _SPELLING.get(community.name, "")
    return written or community.name.replace("-", " ").replace("_", " ").title()


def prometheus(config: Config, rules: Path) -> str:
    """Return prometheus.yml; `rules` is the folder of the rule files.

    Raises ConfigErrors when what the exporters ask of Prometheus cannot be had.
    """
    return _yaml(
        {
            "global": {
                "scrape_interval": duration_text(config.prometheus.scrape_interval),
                "evaluation_interval": duration_text(config.prometheus.evaluation_interval),
            },
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [reachable(config.alertmanager.address)]}]}]},
            "rule_files": [str(rules / "*.rules.yml"), "thresholds.rules.yml"],
            "scrape_configs": _scrape_jobs(config, render_scrape.settings(config)),
        }
    )


def _scrape_jobs(config: Config, secured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what Prometheus scrapes; `secured` is what the jobs of our own exporters say about TLS and the login."""

    def target(address: str, **labels: str) -> dict[str, Any]:
        return {"targets": [reachable(address)], "labels": {"host": host_of(config, address), **labels}}

    def job(name: str, address: str) -> dict[str, Any]:
        return {"job_name": name, "static_configs": [target(address)]}

    jobs = []
    for name, (served, path) in render_scrape.places(config).items():
        own_path = {} if path == "/metrics" else {"metrics_path": path}
        # The services exporter names the host of each service itself.
        jobs.append({**job(name, served), **own_path, "honor_labels": True, **secured})
    if config.prometheus.node_exporter:
        jobs.append(job("node", config.prometheus.node_exporter))
    agents = {"upstream": _jmx(config, "upstream"), "mirror": config.mirror.jmx, "public": _jmx(config, "public")}
    hosts = {service.name: service.host for service in config.services}
    jmx = []
    for part, service in part_names(config).items():
        if address := agents[part]:
            where = {"host": hosts[service]} if service in hosts else {}
            jmx.append(target(address, service=service, **where))
    if jmx:
        # A paused JVM accepts and never answers: its scrape has to fail before the next is due.
        timeout = duration_text(min(5.0, config.prometheus.scrape_interval))
        jobs.append({"job_name": "jmx", "scrape_timeout": timeout, "static_configs": jmx})
    jobs.append(job("prometheus", config.prometheus.address))
    jobs.append(job("alertmanager", config.alertmanager.address))
    jobs.append(job("notifier", config.notifier.listen))
    return jobs


def _jmx(config: Config, cluster: str) -> str | None:
    entry = config.kafka.get(cluster)  # type: ignore[call-overload]
    return entry.jmx if entry else None


def _secret_file(config: Config, named: Path | None, name: str) -> str:
    """Return the file of a secret: the one that zads.toml names, or where a secret of the environment is written."""
    return str((named or config.rendered.directory / name).resolve())


def _bearer(file: str) -> dict[str, Any]:
    return {"http_config": {"authorization": {"type": "Bearer", "credentials_file": file}}}


def _webhook(config: Config, path: str) -> dict[str, Any]:
    url = f"http://{reachable(config.notifier.listen)}{path}"
    token = _secret_file(config, config.notifier.token_file, _TOKEN)
    return {"url": url, "send_resolved": True, **_bearer(token)}


def alertmanager(config: Config) -> str:
    """Return alertmanager.yml: all to the notifier at once; what is about the notifier goes around it."""
    page, ticket, told = _around(config)
    fast: dict[str, Any] = {"group_wait": "1s", "group_interval": "5s", "repeat_interval": "4h"}
    route: dict[str, Any] = {
        "receiver": "notifier",
        # One group per incident: an alert that is new never waits for the group's interval.
        "group_by": ["..."],
        **fast,
        "routes": [
            {
                "receiver": "heartbeat",
                "matchers": ['alertname="Watchdog"'],
                "group_wait": "0s",
                "group_interval": "30s",
                "repeat_interval": "30s",
            },
            {"receiver": "direct-page", "matchers": ['path="direct"', 'severity="page"'], **fast},
            {"receiver": "direct-ticket", "matchers": ['path="direct"'], **fast},
        ],
    }
    receivers = [
        {"name": "notifier", "webhook_configs": [_webhook(config, "/v1/alertmanager")]},
        {"name": "heartbeat", "webhook_configs": [_webhook(config, "/v1/heartbeat/alertmanager")]},
        {"name": "direct-page", **page},
        {"name": "direct-ticket", **ticket},
    ]
    return _yaml({"route": route, "inhibit_rules": _inhibitions(), "receivers": receivers}, told)


def _around(config: Config) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the receivers of pages and of tickets about the notifier itself, and a sentence about them.

    Pages go to e-mail and PagerDuty, tickets to e-mail, since a ticket wakes nobody; where there is neither, to
    Slack.
    """
    mail, pager, slack = _mail(config), _pager(config, "critical"), _slack(config)
    page = {**mail, **pager} or slack
    ticket = mail or slack or _pager(config, "warning")
    last = {"webhook_configs": [_webhook(config, "/v1/alertmanager")]}
    if not page:
        words = "neither e-mail nor Slack nor PagerDuty is configured, so they go to the notifier all the same"
        return last, last, f"path=direct (about the notifier): {words}."
    names = {"email_configs": "e-mail", "pagerduty_configs": "PagerDuty", "slack_configs": "Slack"}
    texts = [" and ".join(names[key] for key in receiver) for receiver in (page, ticket)]
    return page, ticket, f"path=direct (about the notifier, so around it): pages to {texts[0]}, tickets to {texts[1]}."


_WORDS = (
    "{{ range .Alerts }}{{ .Annotations.summary }}\n{{ .Annotations.impact }}\nFirst: {{ .Annotations.first }}\n"
    "Runbook: {{ .Annotations.runbook_url }}\n{{ end }}Sent by Alertmanager itself, around the notifier.\n"
)


def _mail(config: Config) -> dict[str, Any]:
    mail = config.notifier.email
    if mail is None:
        return {}
    entry: dict[str, Any] = {
        "to": ", ".join(mail.to),
        "from": mail.sender,
        "smarthost": mail.smarthost,
        "require_tls": mail.starttls,
        "hello": host_port(mail.smarthost)[0],
        "send_resolved": True,
        "headers": {"Subject": "[ZADS] {{ .CommonLabels.headline }} ({{ .Status }})"},
        "html": "",
        "text": _WORDS,
    }
    if mail.username:
        password = _secret_file(config, mail.password_file, _PASSWORD)
        entry |= {"auth_username": mail.username, "auth_password_file": password}
    return {"email_configs": [entry]}


def _pager(config: Config, severity: str) -> dict[str, Any]:
    pager = config.notifier.pagerduty
    if pager is None:
        return {}
    entry = {
        "routing_key_file": _secret_file(config, pager.routing_key_file, _KEY),
        "url": f"{pager.base_url.rstrip('/')}/v2/enqueue",
        "description": "{{ .CommonAnnotations.summary }}",
        "severity": severity,
        "send_resolved": True,
    }
    return {"pagerduty_configs": [entry]}


def _slack(config: Config) -> dict[str, Any]:
    """Return Slack by the bot's token: Alertmanager posts to the Web API when the token goes in the header."""
    slack = config.notifier.slack
    if slack is None:
        return {}
    entry = {
        "api_url": f"{slack.base_url.rstrip('/')}/chat.postMessage",
        "channel": slack.channel,
        "title": "{{ .CommonLabels.headline }} ({{ .Status }})",
        "text": _WORDS,
        "send_resolved": True,
        **_bearer(_secret_file(config, slack.token_file, _SLACK)),
    }
    return {"slack_configs": [entry]}


def _inhibitions() -> list[dict[str, Any]]:
    """Return what is silent while its cause fires: the host's services, Kafka's communities, a mirror's delays."""

    def rule(source: list[str], target: list[str], *equal: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"source_matchers": source, "target_matchers": target}
        return entry | ({"equal": list(equal)} if equal else {})

    gone = 'alertname=~"ServiceDown|ServiceNotAnswering|ServiceRecovering|ServiceJustBack"'
    paged = 'alertname=~"ServiceDown|ServiceNotAnswering"'
    # Late at the exposure's stage is late before the mirror.
    slow, disk = "CommunityStalled|CommunityBelowContract", 'alertname="DiskWillFill"'
    mirrored = ['alertname=~"MirrorLagging|AlertsArrivingSlowly"', 'stage!="exposure"']
    return [
        rule(['alertname="HostDown"'], ['service=~".+"'], "host"),
        rule(['alertname="HostDown"'], ['alertname=~"ExporterDown|CollectorFailing|CollectorStale"'], "host"),
        rule([gone, 'part="public"'], ['about=~"community|stream"']),
        rule([paged, 'part="public"'], [paged, 'part="mirror"']),
        rule([gone, 'part="mirror"'], ['alertname="AlertsNotArriving"']),
        rule([gone, 'part="mirror"'], [*mirrored]),
        rule([gone, 'part="upstream"'], ['about=~"stream|upstream"']),
        rule(['alertname="ServiceDown"'], ['alertname="ServiceNotAnswering"'], "service"),
        rule(['alertname="CommunitiesBehind"'], [f'alertname=~"CommunityLagging|{slow}"']),
        # One community's trouble is told once, by what says most: it is away, it stands, it is late, it takes too little.
        rule(['alertname="CommunityDisconnected"'], [f'alertname=~"CommunityLagging|{slow}"'], "community"),
        rule(['alertname="CommunityStalled"'], ['alertname=~"CommunityLagging|CommunityBelowContract"'], "community"),
        rule(['alertname="CommunityBelowContract"'], ['alertname="CommunityLagging"'], "community"),
        rule(['alertname="CommunityWillLoseAlerts"'], [f'alertname=~"CommunityLagging|{slow}"'], "community"),
        rule([disk, 'severity="page"'], [disk, 'severity="ticket"'], "host", "mountpoint"),
        rule(['alertname="AlertsNotArriving"'], mirrored),
        rule(['alertname="MirrorTaskFailed"'], mirrored),
        rule(['alertname="MonitoringBlind"'], ['alertname="ExporterDown"']),
        rule(['alertname="NotifierDown"'], ['alertname="AlertmanagerNotSending"']),
    ]


def thresholds(config: Config) -> str:
    """Return thresholds.rules.yml: the numbers and names that rules compare and speak with, as series."""
    rules: list[dict[str, Any]] = []

    def record(series: str, value: float, **labels: str) -> None:
        rules.append({"record": series, "expr": f"vector({value:.12g})", **({"labels": labels} if labels else {})})

    for key, value in config.thresholds.model_dump().items():
        record(f"zads:threshold_{key}", float(value))
    for program in config.stream.public_programs:
        record("zads:public_program", 1, program=str(program))
    record("zads:threshold_latency_objective", config.stream.latency_objective)
    record("zads:retention_seconds", config.stream.retention)
    record("zads:slo_objective", config.slo.objective)
    expected = Counter(
        (job["job_name"], one["labels"]["host"]) for job in _scrape_jobs(config, {}) for one in job["static_configs"]
    )
    for (name, host), number in expected.items():
        record("zads:expected_targets", number, job=name, host=host)
    for watched in config.services:
        if watched.unit:
            record("zads:watched_unit", 1, host=watched.host, name=watched.unit)
    for community in config.communities:
        record("zads:community_info", 1, community=community.name, label=community_label(community))
        record("zads:community_contract_bytes", community.contracted_bytes_per_second, community=community.name)
        record("zads:community_commit_batch", community.commit_batch, community=community.name)
    for part, name in part_names(config).items():
        record("zads:part_info", 1, part=part, service=name)
    for name, one in commands(config).items():
        record("zads:commands", 1, of=name, **one.labels())
    for service in config.services:
        record(
            "zads:service_info",
            1,
            service=service.name,
            host=service.host,
            severity=severity_of(config, service),
            label=service.label or service.name,
            part=part_of(config, service),
        )
    if not any(part_of(config, service) == "public" for service in config.services):
        # Without a [[service]] nobody looks at Kafka's process; that it does not answer is seen all the same.
        bootstrap = config.kafka["public"].bootstrap[0]
        record(
            "zads:service_info",
            1,
            service=part_names(config)["public"],
            host=host_of(config, bootstrap),
            severity="page",
            label="Kafka",
            part="public",
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


def secrets(config: Config) -> dict[str, str]:
    """Return the files with the secrets that Alertmanager and Prometheus need and that stand in the environment.

    Raises SecretError when one is not there.
    """
    notifier, files = config.notifier, dict[str, str]()
    if notifier.token_env:
        files[_TOKEN] = notifier.token()
    if notifier.email and notifier.email.password_env:
        files[_PASSWORD] = notifier.email.password() or ""
    if notifier.slack and notifier.slack.token_env:
        files[_SLACK] = notifier.slack.token()
    if notifier.pagerduty and notifier.pagerduty.routing_key_env:
        files[_KEY] = notifier.pagerduty.routing_key()
    if config.exporters.scrape.password_env:
        files[_SCRAPE] = config.exporters.scrape.password() or ""
    return files


def render(config: Config, rules: Path) -> dict[str, str]:
    """Return every file by its name in the folder that `rendered.directory` names.

    Raises SecretError when a secret that Alertmanager or Prometheus needs should stand in the environment and does
    not, ConfigErrors when the exporters ask of Prometheus what it does not have.
    """
    return {
        "prometheus.yml": prometheus(config, rules),
        "alertmanager.yml": alertmanager(config),
        "thresholds.rules.yml": thresholds(config),
        "firewalld-zads-communities.xml": firewalld(config),
        **secrets(config),
    }


def write(files: Mapping[str, str], directory: Path) -> None:
    """Write the files, each replaced whole; none is replaced before all are written."""
    partials = []
    try:
        for name, text in files.items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            partials.append((file.with_name(f"{file.name}.new"), file))
            _write_through(partials[-1][0], text, 0o640 if name in SECRETS else 0o644)
        for partial, file in partials:
            partial.replace(file)
    finally:
        for partial, _ in partials:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def _write_through(file: Path, text: str, mode: int) -> None:
    """Write a file to the disk itself: after a loss of power the new name never holds half of it."""
    file.unlink(missing_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        os.fchmod(handle, mode)  # whatever the umask is: the readers are other users
        stream.write(text)
        stream.flush()
        os.fsync(handle)
