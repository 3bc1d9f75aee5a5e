"""The stack's components: how each is started, where it answers, what has to answer before it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from zads.config import Config, host_port
from zads.stack import kafka_files, programs
from zads.stack.paths import Paths

INBOX_HTTP, INBOX_SMTP = "127.0.0.1:28090", "127.0.0.1:28025"
# C1 alone starts faster and is smaller; a tenth of ZTF's rate needs no more.
_JVM = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:MaxDirectMemorySize=96m", "-Xss512k", "-Djava.awt.headless=true"]
_LOGGING = [
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.clients.consumer=warn",
    "-Dorg.slf4j.simpleLogger.log.org.reflections=error",
]


@dataclass(frozen=True)
class Component:
    """One program of the stack; `url` is where it answers ("" for a consumer that listens nowhere)."""

    name: str
    argv: list[str]
    url: str = ""
    after: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    prepare: list[str] | None = None
    prepared: Path | None = None  # `prepare` has run when this file is there


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
    for name, text in files.items():
        (paths.config / name).write_text(text, encoding="utf-8")


def _data(paths: Paths, name: str) -> Path:
    return paths.data / name


def _java(heap: str, jars: Path, jmx: str | None, rules: Path, main: list[str]) -> list[str]:
    agent = [f"-javaagent:{programs.agent(jars)}={jmx}:{rules}"] if jmx else []
    return [programs.find("java"), *heap.split(), *_JVM, *_LOGGING, *agent, "-cp", programs.classpath(jars), *main]


def _kafka(name: str, config: Config, paths: Paths, jars: Path) -> Component:
    cluster = config.kafka["upstream" if name == "kafka-upstream" else "public"]
    file = str(paths.config / f"{name}.properties")
    host, port = host_port(cluster.bootstrap[0])
    # The id is part of the data's format: fixed, so that a second `make up` continues with the data.
    identity = "emFkcy1pcGFjLWthZmthLQ" if name == "kafka-upstream" else "emFkcy1wdWJsaWMta2Fma2"
    tool = [programs.find("java"), "-Xmx128m", *_JVM, "-cp", programs.classpath(jars), "kafka.tools.StorageTool", "format"]
    return Component(
        name,
        _java("-Xms64m -Xmx320m", jars, cluster.jmx, paths.config / "kafka-agent.yml", ["kafka.Kafka", file]),
        url=f"kafka://{cluster.bootstrap[0]}",
        ports=(cluster.bootstrap[0], f"{host}:{port + 1}", *([cluster.jmx] if cluster.jmx else [])),
        prepare=[*tool, "-t", identity, "-c", file],
        prepared=_data(paths, name) / "meta.properties",
    )


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
    prometheus, alertmanager, node = config.prometheus, config.alertmanager, config.prometheus.node_exporter
    components = [
        Component("inbox", [*zads, "stack", "run-inbox"], f"http://{INBOX_HTTP}/-/healthy", ports=(INBOX_HTTP, INBOX_SMTP)),
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
                "-Xms64m -Xmx256m",
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
                f"--config.file={paths.config / 'prometheus.yml'}",
                f"--storage.tsdb.path={_data(paths, 'prometheus')}",
                f"--storage.tsdb.retention.time={prometheus.retention}",
                f"--storage.tsdb.retention.size={prometheus.retention_size}",
                f"--web.listen-address={prometheus.address}",
                "--web.enable-lifecycle",
                "--log.level=warn",
            ],
            url=f"http://{prometheus.address}/-/ready",
            ports=(prometheus.address,),
        ),
        Component(
            "alertmanager",
            [
                programs.find("alertmanager"),
                f"--config.file={paths.config / 'alertmanager.yml'}",
                f"--storage.path={_data(paths, 'alertmanager')}",
                f"--web.listen-address={alertmanager.address}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            url=f"http://{alertmanager.address}/-/ready",
            ports=(alertmanager.address,),
        ),
    ]
    if node:
        flags = ["--collector.disable-defaults", *(f"--collector.{c}" for c in _NODE_COLLECTORS), "--log.level=warn"]
        argv = [programs.find("node_exporter"), f"--web.listen-address={node}", *flags]
        components.append(Component("node-exporter", argv, f"http://{node}/", ports=(node,)))
    for name, port in ours.items():
        address = f"{exporter.listen}:{port}"
        components.append(
            Component(name, [*zads, "export", name], f"http://{address}/-/ready", ("kafka-public",), (address,))
        )
    components += [
        Component(
            "notifier",
            [*zads, "notify", "serve"],
            f"http://{config.notifier.listen}/-/healthy",
            ("inbox",),
            (config.notifier.listen,),
            env={"ZADS_DEADMAN_URL": f"http://{INBOX_HTTP}/heartbeat"},
        ),
        Component(
            "wall",
            [*zads, "wall", "serve"],
            f"http://{config.wall.listen}/-/healthy",
            ("prometheus",),
            (config.wall.listen,),
        ),
    ]
    for community in config.communities:
        argv = [*zads, "stack", "run-community", community.name]
        components.append(Component(f"community-{community.name}", argv, after=("kafka-public",)))
    return components


_NODE_COLLECTORS = (
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netdev",
    "stat",
    "time",
    "timex",
    "uname",
    "vmstat",
)
