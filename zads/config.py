"""Read zads.toml into frozen, typed models: every error at once, each with its dotted path.

The file names everything once: site, stream, Kafka clusters, communities, hosts, services,
thresholds, routes. All that other programs read is rendered from these models.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class ConfigError:
    """One thing that is wrong: where (dotted path) and what to write instead."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigErrors(Exception):
    """All that is wrong with one config file."""

    def __init__(self, source: str, errors: Iterable[ConfigError]) -> None:
        self.source = source
        self.errors = tuple(errors)
        super().__init__("\n".join(f"{source}: {error}" for error in self.errors))


def parse_duration(value: object) -> float:
    """Return seconds for "90s", "20m", "1h30m" or a plain number of seconds.

    Raises ValueError with what is accepted.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('expected a duration such as "20m"')
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError("a duration cannot be negative")
        return float(value)
    parts = _DURATION.findall(value)
    if not parts or "".join(number + unit for number, unit in parts) != value.replace(" ", ""):
        raise ValueError(f'{value!r} is no duration; write for example "30s", "20m", "1h30m" or "7d"')
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def host_port(address: str) -> tuple[str, int]:
    """Split "host:port", "[v6]:port" or "scheme://host:port/path" into host and port.

    Raises ValueError where the port is missing or out of range.
    """
    bare = address.split("://", 1)[-1].split("/", 1)[0]
    host, separator, port = bare.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f'{address!r} is no address; write "host:port"')
    return host.strip("[]"), int(port)


def read_secret(path: Path) -> str:
    """Return the stripped content of a secret's file.

    Raises OSError (not readable) or ValueError (empty); neither message holds the secret.
    """
    secret = Path(path).read_text(encoding="utf-8").strip()
    if not secret:
        raise ValueError(f"{path} is empty: put the secret on its first line")
    return secret


def _address(value: str) -> str:
    host_port(value)
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return value


def _network(value: str) -> str:
    try:
        ip_network(value)
    except ValueError as error:
        raise ValueError(f'{error}; write a network such as "192.0.2.0/24"') from None
    return value


Seconds = Annotated[float, BeforeValidator(parse_duration)]
Address = Annotated[str, BeforeValidator(_address)]
Regex = Annotated[str, BeforeValidator(_regex)]
Network = Annotated[str, BeforeValidator(_network)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Severity = Literal["page", "ticket", "info"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Site(_Model):
    """The telescope's place, for the night: degrees, metres."""

    name: str = "ZADS"
    latitude: float = Field(33.3573, ge=-90, le=90)
    longitude: float = Field(-116.8599, ge=-180, le=180)
    elevation: float = 1707.0
    sun_limit: float = Field(-12.0, ge=-90, le=10)
    timezone: str = "America/Los_Angeles"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError(f'{value!r} is no time zone; write for example "America/Los_Angeles"') from None
        return value


class Stream(_Model):
    """What an alert topic looks like and how fast alerts should be."""

    topic_pattern: Regex = r"^ztf_(?P<night>\d{8})_programid(?P<program>\d)$"
    public_programs: tuple[int, ...] = (1,)
    restricted_programs: tuple[int, ...] = (2, 3)
    packet_bytes: int = Field(70_000, gt=0)
    partitions: int = Field(16, gt=0)
    latency_objective: Seconds = 1200.0

    @field_validator("topic_pattern")
    @classmethod
    def _named_groups(cls, value: str) -> str:
        missing = {"night", "program"} - set(re.compile(value).groupindex)
        if missing:
            raise ValueError(f"lacks the named group {' and '.join(sorted(missing))}: (?P<night>...)")
        return value

    @property
    def topic_regex(self) -> re.Pattern[str]:
        """The compiled topic pattern; use fullmatch."""
        return re.compile(self.topic_pattern)


class KafkaCluster(_Model):
    """How to reach one Kafka cluster."""

    bootstrap: tuple[Address, ...] = Field(min_length=1)
    jmx: Address | None = None
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER"] | None = None
    sasl_username: str | None = None
    sasl_password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class Mirror(_Model):
    """MirrorMaker 2: its JMX agent and its cluster aliases."""

    jmx: Address | None = None
    source_alias: str = "ipac"
    target_alias: str = "zads"


class Internal(_Model):
    """Networks that are ours: MirrorMaker, exporters."""

    networks: tuple[Network, ...] = ("127.0.0.1/32", "::1/128")


class Community(_Model):
    """One community broker: who it is, how it is recognised, what it was promised."""

    name: Name
    contact: str = ""
    groups: tuple[Regex, ...] = ()
    networks: tuple[Network, ...] = ()
    contracted_bytes_per_second: int = Field(1_000_000, gt=0)
    burst_factor: float = Field(5.0, ge=1)
    commits: bool = True
    commit_batch: int = Field(1, ge=1)


class Host(_Model):
    """A machine that is watched; `probe` is a TCP address that answers while it lives."""

    name: Name
    address: str
    probe: Address


class Service(_Model):
    """A service on one of the hosts."""

    name: Name
    host: Name
    role: Literal["kafka", "mirror", "zookeeper", "http", "tcp"] = "tcp"
    label: str = ""
    probe: Address
    process: Regex = ""
    unit: str | None = None
    severity: Severity = "page"

    @field_validator("probe")
    @classmethod
    def _scheme(cls, value: str) -> str:
        if value.split("://", 1)[0] not in {"kafka", "zookeeper", "http", "https", "tcp", "tls"}:
            raise ValueError(f'{value!r}: begin with "kafka://", "zookeeper://", "http://", "tcp://" or "tls://"')
        return value


class Thresholds(_Model):
    """What alert rules compare with; recorded as series."""

    service_gone: Seconds = 20.0
    service_recovering: Seconds = 300.0
    restarts_per_hour: int = 3
    community_lag: Seconds = 1800.0
    mirror_lag: Seconds = 120.0
    arrival_stalled: Seconds = 120.0
    latency_mirror: Seconds = 120.0
    will_lose_alerts: Seconds = 43200.0


class Slo(_Model):
    """The promise: share of a quarter's night minutes that are good."""

    objective: float = Field(0.99, gt=0, lt=1)


class Exporters(_Model):
    """Where the exporters listen and how often they look."""

    listen: str = "127.0.0.1"
    interval: Seconds = 5.0
    max_series: int = Field(500_000, gt=0)
    kafka_lag_port: int = 9308
    broker_egress_port: int = 9309
    alert_arrival_port: int = 9310
    services_port: int = 9311
    all_port: int = 9312
    state_dir: Path = Path("/var/lib/zads")
    decode_bytes_per_second: int = Field(4_000_000, gt=0)


class Prometheus(_Model):
    """Prometheus: its address, its pace, how long it keeps."""

    address: Address = "127.0.0.1:9090"
    scrape_interval: Seconds = 10.0
    evaluation_interval: Seconds = 5.0
    retention: str = "400d"
    retention_size: str = "20GB"
    node_exporter: Address | None = "127.0.0.1:9100"


class Alertmanager(_Model):
    """Alertmanager's address."""

    address: Address = "127.0.0.1:9093"


class Email(_Model):
    """SMTP: one transaction per recipient, STARTTLS unless switched off."""

    smarthost: Address
    sender: str
    to: tuple[str, ...] = Field(min_length=1)
    starttls: bool = True
    username: str | None = None
    password_file: Path | None = None


class Slack(_Model):
    """Slack: a bot token's file and a channel."""

    channel: str
    token_file: Path
    base_url: str = "https://slack.com/api/"


class PagerDuty(_Model):
    """PagerDuty's Events API v2: an integration key's file."""

    routing_key_file: Path
    base_url: str = "https://events.pagerduty.com"


class OnCall(_Model):
    """One person of the rotation."""

    name: str
    email: str = ""


class Notifier(_Model):
    """The notifier: where it listens, what it keeps, whom it tells."""

    listen: Address = "127.0.0.1:9380"
    external_url: str = "http://127.0.0.1:9380"
    store: Path = Path("/var/lib/zads/notifier.sqlite3")
    token_file: Path = Path("/etc/zads/secrets/alertmanager_token")
    password_file: Path | None = None
    reminder: Seconds = 1800.0
    email: Email | None = None
    slack: Slack | None = None
    pagerduty: PagerDuty | None = None
    routes: dict[Severity, tuple[Literal["email", "slack", "pagerduty"], ...]] = {
        "page": ("pagerduty", "slack", "email"),
        "ticket": ("email", "slack"),
        "info": (),
    }
    oncall: tuple[OnCall, ...] = ()


class Wall(_Model):
    """The wall page's address."""

    listen: Address = "127.0.0.1:8080"


class Config(_Model):
    """All of zads.toml; every table but [kafka.public] has defaults."""

    site: Site = Site()
    stream: Stream = Stream()
    kafka: dict[Literal["upstream", "public"], KafkaCluster]
    mirror: Mirror = Mirror()
    internal: Internal = Internal()
    communities: tuple[Community, ...] = Field((), alias="community")
    hosts: tuple[Host, ...] = Field((), alias="host")
    services: tuple[Service, ...] = Field((), alias="service")
    thresholds: Thresholds = Thresholds()
    slo: Slo = Slo()
    exporters: Exporters = Exporters()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()
    notifier: Notifier = Notifier()
    wall: Wall = Wall()


_HINTS = {
    "extra_forbidden": "unknown key; `zads config print` lists the known ones",
    "missing": "is missing",
}


def _dotted(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else ("." if path else "") + str(part)
    return path


def _explain(error: Any) -> ConfigError:
    message = _HINTS.get(error["type"]) or error["msg"].removeprefix("Value error, ")
    location = error["loc"]
    # The key of a dict that is itself wrong is reported by pydantic as the part "[key]".
    return ConfigError(_dotted(tuple(part for part in location if part != "[key]")), message)


def _duplicates(kind: str, names: Iterable[str]) -> Iterable[ConfigError]:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in seen:
            yield ConfigError(f"{kind}[{index}].name", f"{name!r} is already {kind}[{seen[name]}]")
        seen.setdefault(name, index)


def _overlaps(config: Config) -> Iterable[ConfigError]:
    """Find networks of two owners that share addresses: egress could not be told apart."""
    owned: list[tuple[str, str, IPv4Network | IPv6Network]] = [
        ("internal", f"internal.networks[{i}]", ip_network(text)) for i, text in enumerate(config.internal.networks)
    ]
    for index, community in enumerate(config.communities):
        for position, text in enumerate(community.networks):
            path, network = f"community[{index}].networks[{position}]", ip_network(text)
            for owner, _, other in owned:
                if owner != community.name and network.version == other.version and network.overlaps(other):
                    yield ConfigError(path, f"{text} overlaps {other} of {owner}: traffic could not be told apart")
            owned.append((community.name, path, network))


def _cross_checks(config: Config) -> Iterable[ConfigError]:
    if "public" not in config.kafka:
        yield ConfigError("kafka.public", "is missing: the Kafka that communities read from")
    yield from _duplicates("community", (c.name for c in config.communities))
    yield from _duplicates("host", (h.name for h in config.hosts))
    yield from _duplicates("service", (s.name for s in config.services))
    hosts = {host.name for host in config.hosts}
    for index, service in enumerate(config.services):
        if service.host not in hosts:
            known = ", ".join(sorted(hosts)) or "none"
            yield ConfigError(f"service[{index}].host", f"{service.host!r} is no [[host]]; known: {known}")
    for severity, channels in config.notifier.routes.items():
        for channel in channels:
            if getattr(config.notifier, channel) is None:
                yield ConfigError(f"notifier.routes.{severity}", f"names {channel}, but [notifier.{channel}] is missing")
    yield from _overlaps(config)


def parse(text: str, source: str = "zads.toml") -> Config:
    """Parse the text of a zads.toml.

    Raises ConfigErrors with every error found, not only the first.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigErrors(source, [ConfigError("", f"not valid TOML: {error}")]) from None
    if "notifier" in data and isinstance(data["notifier"], dict) and "routes" not in data["notifier"]:
        # Routes default to the channels that are configured, so that a short file is a working one.
        have = [c for c in ("pagerduty", "slack", "email") if c in data["notifier"]]
        data["notifier"]["routes"] = {"page": have, "ticket": [c for c in have if c != "pagerduty"], "info": []}
    elif "notifier" not in data:
        data["notifier"] = {"routes": {"page": [], "ticket": [], "info": []}}
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise ConfigErrors(source, [_explain(e) for e in error.errors()]) from None
    errors = list(_cross_checks(config))
    if errors:
        raise ConfigErrors(source, errors)
    return config


def load(path: Path | str) -> Config:
    """Read and check a zads.toml.

    Raises ConfigErrors, also when the file can not be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigErrors(str(path), [ConfigError("", f"cannot be read: {reason}")]) from None
    return parse(text, str(path))


def default_path() -> Path:
    """Return the config's path: ZADS_CONFIG, else the stack's own, else ./zads.toml."""
    if "ZADS_CONFIG" in os.environ:
        return Path(os.environ["ZADS_CONFIG"])
    return Path("zads.toml")
