"""The stack's components: how each is started, where it answers, what has to answer before it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from zads.config import Config, host_port
from zads.stack import kafka_files, programs
from zads.stack.paths import Paths
from zads.stack.trouble_disk import textfile

_INBOX_HTTP, _INBOX_SMTP = "127.0.0.1:28090", "127.0.0.1:28025"
# C1 alone starts faster and is smaller; a tenth of ZTF's rate needs no more.
JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxDirectMemorySize=96m", "-Xss512k", "-Djava.awt.headless=true"]
# Java's memory at the start and at most.
KAFKA_HEAP, MIRROR_HEAP = "-Xms64m -Xmx320m", "-Xms64m -Xmx256m"
# The ids are part of the data's format: fixed, so that a second `make up` continues with the data.
CLUSTER_IDS = {"kafka-upstream": "emFkcy1pcGFjLWthZmthLQ", "kafka-public": "emFkcy1wdWJsaWMta2Fma2"}
LOGGING = [
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.consumer=warn",
    "-Dorg.slf4j.simpleLogger.log.org.reflections=error",
]


@dataclass(frozen=True)
class Component:
    """One program of the stack.

    `url` is where it answers ("" for a consumer that listens nowhere); over HTTP, `ready` is the path that says it
    can do its work and `alive` the one that says it runs.
    """

    name: str
    argv: list[str]
    url: str = ""
    after: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    prepare: list[str] | None = None
    prepared: Path | None = None  # `prepare` has run when this file is there
    ready: str = ""
    alive: str = ""


def inbox_addresses(config: Config, host: str | None = None) -> tuple[str, str]:
    """Return where the stand-ins listen, over HTTP and SMTP: where zads.toml sends Slack, PagerDuty and mail.

    A provider's own address is none of ours: then the stand-in keeps its default address. `host` is the stand-ins'
    name where they are not on loopback, but in a container.
    """
    notifier = config.notifier
    http = next(
        (a for part in (notifier.slack, notifier.pagerduty) if part and (a := _own(part.base_url, host))), _INBOX_HTTP
    )
    smtp = (_own(notifier.email.smarthost, host) if notifier.email else None) or _INBOX_SMTP
    return http, smtp


def _own(url: str, name: str | None) -> str | None:
    """Return the "host:port" of an address on this machine or of this name, else None."""
    try:
        host, port = host_port(url)
        here = host in ("localhost", name) or ip_address(host).is_loopback
    except ValueError:
        return None
    return f"{host}:{port}" if here else None


def write_files(config: Config, paths: Paths) -> None:
    """Write Kafka's and MirrorMaker's configuration."""
    files = {
        "kafka-upstream.properties": kafka_files.kafka(
            config.kafka["upstream"].bootstrap[0], _data(paths, "kafka-upstream"), 1
        ),
        "kafka-public.properties": kafka_files.kafka(config.kafka["public"].bootstrap[0], _data(paths, "kafka-public"), 1),
        "mirrormaker.properties": kafka_files.mirrormaker(config),
        "kafka-agent.yml": kafka_files.kafka_agent(),
        "mirror-agent.yml": kafka_files.mirror_agent(),
    }
    textfile(paths).parent.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (paths.config / name).write_text(text, encoding="utf-8")


def _data(paths: Paths, name: str) -> Path:
    return paths.data / name


def _java(heap: str, jars: Path, jmx: str | None, rules: Path, main: list[str]) -> list[str]:
    agent = [f"-javaagent:{programs.agent(jars)}={jmx}:{rules}"] if jmx else []
    return [programs.find("java"), *heap.split(), *JVM, *LOGGING, *agent, "-cp", programs.classpath(jars), *main]


def _kafka(name: str, config: Config, paths: Paths, jars: Path) -> Component:
    cluster = config.kafka["upstream" if name == "kafka-upstream" else "public"]
    file = str(paths.config / f"{name}.properties")
    host, port = host_port(cluster.bootstrap[0])
    tool = [programs.find("java"), "-Xmx128m", *JVM, "-cp", programs.classpath(jars), "kafka.tools.StorageTool", "format"]
    return Component(
        name,
        _java(KAFKA_HEAP, jars, cluster.jmx, paths.config / "kafka-agent.yml", ["kafka.Kafka", file]),
        url=f"kafka://{cluster.bootstrap[0]}",
        ports=(cluster.bootstrap[0], f"{host}:{port + 1}", *([cluster.jmx] if cluster.jmx else [])),
        prepare=[*tool, "-t", CLUSTER_IDS[name], "-c", file],
        prepared=_data(paths, name) / "meta.properties",
    )


def prometheus_flags(config: Config, files: Path, data: Path, listen: str) -> list[str]:
    """Return Prometheus' command line without its name; `files` is the folder with prometheus.yml."""
    return [
        f"--config.file={files / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={config.prometheus.retention}",
        f"--storage.tsdb.retention.size={config.prometheus.retention_size}",
        f"--web.listen-address={listen}",
        "--web.enable-lifecycle",
        # Prometheus says again that an alert fires each 10 s: its death is noticed that much sooner.
        "--rules.alert.resend-delay=10s",
        "--log.level=warn",
    ]


def alertmanager_flags(files: Path, data: Path, listen: str) -> list[str]:
    """Return Alertmanager's command line without its name; `files` is the folder with alertmanager.yml."""
    return [
        f"--config.file={files / 'alertmanager.yml'}",
        f"--storage.path={data}",
        f"--web.listen-address={listen}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]


def node_flags(listen: str, textfiles: Path) -> list[str]:
    """Return node_exporter's command line without its name; it reads *.prom of the folder `textfiles`."""
    collectors = [f"--collector.{name}" for name in NODE_COLLECTORS]
    fixed = [f"--web.listen-address={listen}", "--collector.disable-defaults", *collectors, "--log.level=warn"]
    return [*fixed, f"--collector.textfile.directory={textfiles}"]


def build(config: Config, paths: Paths, jars: Path, options: dict[str, str]) -> list[Component]:
    """Return all components in the order in which they depend on each other."""
    zads = [str(Path(sys.executable).parent / "zads"), "--config", str(paths.site)]
    exporter = config.exporters
    ours = {
        "kafka-lag": exporter.kafka_lag_port,
        "broker-egress": exporter.broker_egress_port,
        "alert-arrival": exporter.alert_arrival_port,
        "services": exporter.services_port,
    }
    inbox_http, inbox_smtp = inbox_addresses(config)
    prometheus, alertmanager, node = config.prometheus, config.alertmanager, config.prometheus.node_exporter
    components = [
        Component(
            "inbox",
            [*zads, "stack", "run-inbox"],
            f"http://{inbox_http}/",
            ports=(inbox_http, inbox_smtp),
            ready="/-/healthy",
            alive="/-/healthy",
        ),
        _kafka("kafka-upstream", config, paths, jars),
        _kafka("kafka-public", config, paths, jars),
        Component(
            "simulator",
            [*zads, "stack", "run-simulator", *(part for key, value in options.items() for part in (f"--{key}", value))],
            after=("kafka-upstream",),
        ),
        Component(
            "mirrormaker",
            _java(
                MIRROR_HEAP,
                jars,
                config.mirror.jmx,
                paths.config / "mirror-agent.yml",
                ["org.apache.kafka.connect.mirror.MirrorMaker", str(paths.config / "mirrormaker.properties")],
            ),
            url=f"http://{config.mirror.jmx}/metrics" if config.mirror.jmx else "",
            after=("kafka-upstream", "kafka-public", "simulator"),
            ports=(config.mirror.jmx,) if config.mirror.jmx else (),
        ),
        Component(
            "prometheus",
            [
                programs.find("prometheus"),
                *prometheus_flags(config, paths.config, _data(paths, "prometheus"), prometheus.address),
            ],
            url=f"http://{prometheus.address}/",
            ports=(prometheus.address,),
            ready="/-/ready",
            alive="/-/healthy",
        ),
        Component(
            "alertmanager",
            [
                programs.find("alertmanager"),
                *alertmanager_flags(paths.config, _data(paths, "alertmanager"), alertmanager.address),
            ],
            url=f"http://{alertmanager.address}/",
            ports=(alertmanager.address,),
            ready="/-/ready",
            alive="/-/healthy",
        ),
    ]
    if node:
        argv = [programs.find("node_exporter"), *node_flags(node, textfile(paths).parent)]
        components.append(Component("node-exporter", argv, f"http://{node}/", ports=(node,)))
    for name, port in ours.items():
        address = f"{exporter.listen}:{port}"
        components.append(
            Component(
                name,
                [*zads, "export", name],
                f"http://{address}/",
                ("kafka-public",),
                (address,),
                ready="/-/ready",
                alive="/-/healthy",
            )
        )
    components += [
        Component(
            "notifier",
            [*zads, "notify", "serve"],
            f"http://{config.notifier.listen}/",
            ("inbox",),
            (config.notifier.listen,),
            env={"ZADS_DEADMAN_URL": f"http://{inbox_http}/heartbeat"},
            ready="/-/ready",
            alive="/-/healthy",
        ),
        Component(
            "wall",
            [*zads, "wall", "serve"],
            f"http://{config.wall.listen}/",
            ("prometheus",),
            (config.wall.listen,),
            ready="/-/healthy",
            alive="/-/healthy",
        ),
    ]
    for community in config.communities:
        argv = [*zads, "stack", "run-community", community.name]
        components.append(Component(f"community-{community.name}", argv, after=("kafka-public",)))
    return components


NODE_COLLECTORS = (
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "stat",
    "textfile",
    "time",
    "timex",
    "uname",
    "vmstat",
)
