"""What only several keys of zads.toml together can get wrong, and what is only worth a warning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from zads.config_findings import Finding
from zads.config_models import KafkaCluster
from zads.config_notifier import CHANNELS
from zads.config_notifier_checks import notifier_findings
from zads.config_schema import Config, Path
from zads.config_scrape_checks import scrape_findings
from zads.config_types import host_port, joined


def findings(config: Config) -> Iterator[Finding]:
    """Yield everything that contradicts itself."""
    yield from _stream(config)
    yield from _kafka(config)
    yield from _names(config)
    yield from _communities(config)
    yield from _networks(config)
    yield from _secrets(config)
    yield from _routes(config)
    yield from notifier_findings(config)
    yield from scrape_findings(config.exporters.scrape, secured=config.exporters.web_config_file is not None)
    yield from _listeners(config)
    yield from _community_ports(config)


def warnings(config: Config) -> Iterator[Finding]:
    """Yield what is allowed and probably not meant."""
    for index, community in enumerate(config.communities):
        path: Path = ("community", index)
        if not community.groups and not community.networks:
            yield Finding(path, f"{community.name!r} has neither groups nor networks: nothing of it can be measured")
        elif not community.groups and community.commits:
            yield Finding(
                path, f"{community.name!r} has no groups: how far it is behind stays unknown (or write commits = false)"
            )
    notifier = config.notifier
    have = [name for name in CHANNELS if getattr(notifier, name) is not None]
    if not have:
        words = ", ".join(f"[notifier.{name}]" for name in CHANNELS)
        yield Finding(("notifier",), f"none of {words}: nobody is told of anything")
    elif not notifier.routes["page"]:
        yield Finding(("notifier", "routes", "page"), "is empty: nobody is woken when all stands still")
    elif not notifier.routes["ticket"]:
        yield Finding(("notifier", "routes", "ticket"), "is empty: nobody hears of a slow community")
    if notifier.email and not notifier.email.starttls and not _loopback(notifier.email.smarthost):
        yield Finding(
            ("notifier", "email", "starttls"), "is off and the server is not on this machine: mail can be read on the way"
        )


def _loopback(address: str) -> bool:
    host = host_port(address)[0]
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _stream(config: Config) -> Iterator[Finding]:
    both = set(config.stream.public_programs) & set(config.stream.restricted_programs)
    if both:
        yield Finding(
            ("stream", "restricted_programs"),
            f"{', '.join(map(str, sorted(both)))} is also in public_programs: one of them is wrong",
            (("stream", "public_programs"),),
        )
    if config.mirror.source_alias == config.mirror.target_alias:
        yield Finding(("mirror", "target_alias"), "is the same as source_alias", (("mirror", "source_alias"),))


def _kafka(config: Config) -> Iterator[Finding]:
    if "public" not in config.kafka:
        yield Finding(("kafka", "public"), 'is missing: write [kafka.public] with bootstrap = ["HOST:9092"]')
    for name, cluster in config.kafka.items():
        yield from _security(("kafka", name), cluster)


def _security(table: Path, cluster: KafkaCluster) -> Iterator[Finding]:
    """Check that login and encryption are whole: half a login fails at night, and half a TLS is none."""
    protocol = ((*table, "security_protocol"),)
    mechanism = (*table, "sasl_mechanism")
    if cluster.security_protocol.startswith("SASL_"):
        if cluster.sasl_mechanism is None:
            yield Finding(mechanism, f"is missing: security_protocol is {cluster.security_protocol}", protocol)
        elif cluster.sasl_mechanism != "GSSAPI":
            needs = (*protocol, mechanism)
            if cluster.sasl_username is None:
                yield Finding((*table, "sasl_username"), f"is missing: {cluster.sasl_mechanism} logs in with a name", needs)
            keys = ((*table, "sasl_password_file"), (*table, "sasl_password_env"))
            if not cluster.has_sasl_password:
                yield Finding(
                    (*table, "sasl_password_file"),
                    f"is missing: {cluster.sasl_mechanism} logs in with a password; write this or sasl_password_env",
                    (*needs, *keys),
                )
    else:
        for key in ("sasl_mechanism", "sasl_username", "sasl_password_file", "sasl_password_env"):
            if getattr(cluster, key) is not None:
                words = (
                    f"would not be used: security_protocol is {cluster.security_protocol}, not SASL_SSL or SASL_PLAINTEXT"
                )
                yield Finding((*table, key), words, protocol)
    if "SSL" not in cluster.security_protocol:
        for key in ("ca_file", "cert_file", "key_file"):
            if getattr(cluster, key) is not None:
                words = f"would not be used: security_protocol is {cluster.security_protocol}, which does not encrypt"
                yield Finding((*table, key), words, protocol)
    elif cluster.key_file and not cluster.cert_file:
        yield Finding((*table, "key_file"), "needs cert_file, the certificate that it belongs to", ((*table, "cert_file"),))


def _names(config: Config) -> Iterator[Finding]:
    rows = {
        "community": [entry.name for entry in config.communities],
        "host": [entry.name for entry in config.hosts],
        "service": [entry.name for entry in config.services],
    }
    for kind, names in rows.items():
        seen: dict[str, int] = {}
        for index, name in enumerate(names):
            if name in seen:
                words = f"{name!r} is already {kind}[{seen[name]}]"
                yield Finding((kind, index, "name"), words, ((kind, seen[name], "name"),))
            seen.setdefault(name, index)
    for index, service in enumerate(config.services):
        if service.host not in rows["host"]:
            known = ", ".join(sorted(rows["host"])) or "none"
            words = f"{service.host!r} is no [[host]]; known: {known}"
            yield Finding(("service", index, "host"), words, (("host", None, "name"),))


def _communities(config: Config) -> Iterator[Finding]:
    owners: dict[str, tuple[int, int, str]] = {}
    for index, community in enumerate(config.communities):
        path: Path = ("community", index)
        if not community.commits and "commit_batch" in community.model_fields_set:
            yield Finding((*path, "commit_batch"), "means nothing with commits = false", ((*path, "commits"),))
        for position, group in enumerate(community.groups):
            if group in owners:
                owner, where, name = owners[group]
                words = "is listed twice" if owner == index else f"{group!r} is already one of {name}'s"
                yield Finding((*path, "groups", position), words, (("community", owner, "groups", where),))
            owners.setdefault(group, (index, position, community.name))


def _networks(config: Config) -> Iterator[Finding]:
    """Find networks of two owners that share addresses: egress could not be told apart."""
    owned: list[tuple[Path, Path, str, IPv4Network | IPv6Network]] = []
    lists: list[tuple[Path, str, Iterable[str]]] = [(("internal",), "internal", config.internal.networks)]
    lists += [(("community", i), f"{c.name} (community[{i}])", c.networks) for i, c in enumerate(config.communities)]
    for table, owner, networks in lists:
        for position, text in enumerate(networks):
            path, network = (*table, "networks", position), ip_network(text)
            for other_table, other_path, other_owner, other in owned:
                if other_table == table:
                    if network == other:
                        yield Finding(path, f"{text} is listed twice")
                elif network.version == other.version and network.overlaps(other):
                    words = f"{text} overlaps {other} of {other_owner}: traffic could not be told apart"
                    yield Finding(path, words, (other_path,))
            owned.append((table, path, owner, network))


def _secrets(config: Config) -> Iterator[Finding]:
    """Check that each secret is named exactly once, where one is needed."""
    notifier: Path = ("notifier",)
    rows: list[tuple[Path, object, str, bool]] = [
        (("kafka", name), cluster, "sasl_password", False) for name, cluster in config.kafka.items()
    ]
    rows += [(notifier, config.notifier, "token", True), (notifier, config.notifier, "password", False)]
    rows.append((notifier, config.notifier, "password_hash", False))
    if config.notifier.slack:
        slack: Path = (*notifier, "slack")
        rows.append((slack, config.notifier.slack, "token", not config.notifier.slack.has_webhook_url))
        rows.append((slack, config.notifier.slack, "webhook_url", False))
    if config.notifier.pagerduty:
        rows.append(((*notifier, "pagerduty"), config.notifier.pagerduty, "routing_key", True))
        rows.append(((*notifier, "pagerduty"), config.notifier.pagerduty, "api_token", False))
    if config.notifier.webhook:
        rows.append(((*notifier, "webhook"), config.notifier.webhook, "secret", True))
    email = config.notifier.email
    if email:
        path = (*notifier, "email")
        rows.append((path, email, "password", email.username is not None))
        if email.username is None and (email.password_file or email.password_env):
            words = "is missing: there is a password and no name to log in with"
            yield Finding((*path, "username"), words, ((*path, "password_file"), (*path, "password_env")))
    page = config.notifier
    if (page.password_file or page.password_env) and (page.password_hash_file or page.password_hash_env):
        key = "password_hash_file" if page.password_hash_file else "password_hash_env"
        needs = ((*notifier, "password_file"), (*notifier, "password_env"))
        yield Finding((*notifier, key), "there is a password too: keep one of them", needs)
    for table, holder, key, needed in rows:
        file, variable = (*table, f"{key}_file"), (*table, f"{key}_env")
        has_file, has_variable = (getattr(holder, f"{key}_{kind}") is not None for kind in ("file", "env"))
        if has_file and has_variable:
            yield Finding(variable, f"there is a {key}_file too: keep one of them", (file,))
        elif needed and not has_file and not has_variable:
            yield Finding(file, f"is missing: write this or {key}_env", (variable,))


def _routes(config: Config) -> Iterator[Finding]:
    for severity, channels in config.notifier.routes.items():
        path: Path = ("notifier", "routes", severity)
        for channel in dict.fromkeys(channels):
            if getattr(config.notifier, channel) is None:
                yield Finding(path, f"names {channel}, but [notifier.{channel}] is missing", (("notifier", channel),))
            if channels.count(channel) > 1:
                yield Finding(path, f"names {channel} twice")


def _listeners(config: Config) -> Iterator[Finding]:
    """Find two programs on one address: the second would not start."""
    exporters = config.exporters
    rows: list[tuple[Path, str]] = []
    for name, cluster in config.kafka.items():
        rows += [(("kafka", name, "bootstrap", i), address) for i, address in enumerate(cluster.bootstrap)]
        rows += [(("kafka", name, "jmx"), cluster.jmx)] if cluster.jmx else []
    rows += [(("mirror", "jmx"), config.mirror.jmx)] if config.mirror.jmx else []
    each = ("kafka_lag_port", "broker_egress_port", "alert_arrival_port", "services_port")
    for key in ("all_port",) if exporters.one_process else (*each, "all_port"):
        rows.append((("exporters", key), joined(exporters.listen, getattr(exporters, key))))
    rows.append((("prometheus", "address"), config.prometheus.address))
    if config.prometheus.node_exporter:
        rows.append((("prometheus", "node_exporter"), config.prometheus.node_exporter))
    rows.append((("alertmanager", "address"), config.alertmanager.address))
    rows += [(("notifier", "listen"), config.notifier.listen), (("wall", "listen"), config.wall.listen)]
    taken: list[tuple[Path, str, int]] = []
    for path, address in rows:
        host, port = host_port(address)
        for other, other_host, other_port in taken:
            if port == other_port and _one_machine(host, other_host):
                where = ".".join(str(part) for part in other if isinstance(part, str))
                words = f"{address} is already taken by {where}: two programs cannot listen on one address"
                # Two exporters share their address, whatever it is.
                listen = ("exporters", "listen")
                one_exporter = (path[0] == "exporters") != (other[0] == "exporters")
                yield Finding(path, words, (other, listen) if one_exporter else (other,))
                break
        taken.append((path, host, port))


def _community_ports(config: Config) -> Iterator[Finding]:
    """Find ports that are named twice, and those at which one of our own exporters is read."""
    exporters = config.exporters
    own = {getattr(exporters, key): key for key in type(exporters).model_fields if key.endswith("_port")}
    for index, port in enumerate(exporters.community_ports):
        path: Path = ("exporters", "community_ports", index)
        if port in exporters.community_ports[:index]:
            yield Finding(path, f"names {port} twice")
        elif port in own:
            words = f"{port} is exporters.{own[port]}, which is no listener of Kafka's"
            yield Finding(path, words, (("exporters", own[port]),))


def _one_machine(host: str, other: str) -> bool:
    """Tell whether two listeners on one port collide: the same address, or one on all addresses and one on this machine."""
    first, second = (_plain(name) for name in (host, other))
    everywhere, local = {"0.0.0.0", "::"}, {"127.0.0.1", "::1", "0.0.0.0", "::"}
    return first == second or (first in everywhere and second in local) or (second in everywhere and first in local)


def _plain(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower().rstrip(".")
