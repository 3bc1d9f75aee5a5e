"""Everything that the containers read, in one folder: the configuration, rules, dashboards, Kafka's command lines."""

from __future__ import annotations

import shutil
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from zads import render
from zads.config import Config, ConfigError, ConfigErrors, host_port, parse
from zads.night import is_dark
from zads.stack import components, kafka_files, site
from zads.stack.containers import CONFIG, SECRETS, Layout, derive, simulated

KAFKA_DATA = "/var/lib/kafka/data/kraft"
_LIBS, _AGENT = "/opt/kafka/libs/*", f"{CONFIG}/jmx-agent.jar"
_LOG4J = f"{CONFIG}/log4j2.properties"
# What a JVM takes besides its heap, in MB: code, threads, direct memory.
_BESIDES_HEAP = 170


def site_text(source: str, former: str | None, layout: Layout, *, page: str = "", now: datetime | None = None) -> str:
    """Return zads.toml for the containers; a simulated night's site is moved to where dusk was an hour ago.

    A `former` one is kept while its night goes on and nothing else has changed: containers that run, and those that
    start beside them, agree on which night it is.

    Raises ConfigErrors.
    """
    config, now = parse(source), now or datetime.now(UTC)
    if not simulated(config):
        return derive(source, layout, page=page)
    try:
        text = derive(site.moved(source, config, now), layout, page=page)
    except ValueError as error:
        raise ConfigErrors("zads.toml", [ConfigError("site.longitude", str(error))]) from None
    return former if former is not None and _same_night(former, text, now) else text


def _same_night(former: str, text: str, now: datetime) -> bool:
    try:
        old, new = tomllib.loads(former), tomllib.loads(text)
        longitude = float(old["site"].pop("longitude"))
        new["site"].pop("longitude")
        latitude, limit = float(new["site"].get("latitude", 0)), float(new["site"].get("sun_limit", -12))
    except (tomllib.TOMLDecodeError, KeyError, ValueError):
        return False
    return old == new and all(is_dark(now + timedelta(hours=ahead), latitude, longitude, limit) for ahead in (0, 1))


def copy_secrets(given: Path, to: Path, config: Config) -> None:
    """Copy the secrets that were given as files, and make those that only the stand-ins have to know.

    Raises ConfigErrors with every secret that a real site lacks or that cannot be read.
    """
    errors = []
    to.mkdir(parents=True, exist_ok=True)
    for file in sorted(given.iterdir() if given.is_dir() else ()):
        if file.name.startswith(".") or file.name == "README.md" or not file.is_file():
            continue
        try:
            _keep(to / file.name, file.read_bytes())
        except PermissionError:
            words = f"{file.name} cannot be read by the containers' user: chgrp 10001 and chmod 640 it"
            errors.append(ConfigError("secrets", words))
    if simulated(config):
        site.make_secrets(config)
    for name in ("grafana_admin_password",):
        if not (to / name).exists():
            _keep(to / name, site.random_key().encode())
    for named, path in sorted(_named(config)):
        if path.parent == to and not path.exists() and not errors:
            errors.append(ConfigError(named, f"there is no {path.name} in the folder of secrets (ZADS_SECRETS)"))
    for file in to.iterdir():
        file.chmod(0o640)  # group 10001: Alertmanager and Grafana have users of their own
    if errors:
        raise ConfigErrors("zads.toml", errors)


def _named(config: Config) -> list[tuple[str, Path]]:
    """Return every file of a secret or certificate that the configuration names."""
    found = list[tuple[str, Path]]()

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                walk(one, f"{path}.{key}" if path else key)
        elif isinstance(value, Path) and path.endswith("_file"):
            found.append((path, value))

    walk(config.model_dump(by_alias=True), "")
    return found


def _keep(file: Path, content: bytes) -> None:
    partial = file.with_name(f".{file.name}.new")
    partial.touch(mode=0o640)
    partial.write_bytes(content)
    partial.replace(file)


def kafka_properties(name: str, config: Config) -> str:
    """Return server.properties: as `make up` has it, listening in a container and called by the container's name."""
    bootstrap = config.kafka["upstream" if name == "kafka-upstream" else "public"].bootstrap[0]
    _, port = host_port(bootstrap)
    lines = {
        "listeners": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{port + 1}",
        "controller.quorum.voters": f"1@127.0.0.1:{port + 1}",
    }
    text = kafka_files.kafka(bootstrap, Path(KAFKA_DATA), 1).splitlines()
    return "".join(f"{key}={lines.get(key, value)}\n" for key, _, value in (line.partition("=") for line in text))


def java_arguments(config: Config) -> dict[str, list[str]]:
    """Return the arguments of each Java program, as `make up` gives them."""

    def java(heap: str, jmx: str | None, agent: str, main: list[str]) -> list[str]:
        watched = [f"-javaagent:{_AGENT}={jmx}:{CONFIG}/{agent}"] if jmx else []
        logging = [*components.LOGGING, f"-Dlog4j2.configurationFile={_LOG4J}"]
        return [*heap.split(), *components.JVM, *logging, *watched, "-cp", _LIBS, *main]

    result = {}
    for name, cluster in (("kafka-upstream", "upstream"), ("kafka-public", "public")):
        file = f"{CONFIG}/{name}.properties"
        jmx = config.kafka[cluster].jmx  # type: ignore[index]
        result[name] = java(components.KAFKA_HEAP, jmx, "kafka-agent.yml", ["kafka.Kafka", file])
        tool = ["kafka.tools.StorageTool", "format", "-t", components.CLUSTER_IDS[name], "-c", file]
        result[f"{name}.format"] = ["-Xmx128m", *components.JVM, f"-Dlog4j2.configurationFile={_LOG4J}", "-cp", _LIBS, *tool]
    main = ["org.apache.kafka.connect.mirror.MirrorMaker", f"{CONFIG}/mirrormaker.properties"]
    result["mirrormaker"] = java(components.MIRROR_HEAP, config.mirror.jmx, "mirror-agent.yml", main)
    return result


def go_flags(config: Config) -> dict[str, list[str]]:
    """Return the command lines of Prometheus, Alertmanager and node_exporter, as `make up` gives them.

    Each listens on its container's own network: docker-compose.yml publishes no port of theirs.
    """
    own = "0.0.0.0"
    files, node = Path(CONFIG), config.prometheus.node_exporter
    prometheus, alertmanager = (host_port(part.address)[1] for part in (config.prometheus, config.alertmanager))
    flags = {
        "prometheus": components.prometheus_flags(config, files, Path("/prometheus"), f"{own}:{prometheus}"),
        "alertmanager": components.alertmanager_flags(files, Path("/alertmanager"), f"{own}:{alertmanager}"),
    }
    if node:
        # In the simulated night it stands beside Kafka, on a machine that communities reach: there it has an address.
        listen = node if simulated(config) else f"{own}:{host_port(node)[1]}"
        host = [
            f"--path.{path}=/host/{folder}" for path, folder in (("procfs", "proc"), ("sysfs", "sys"), ("rootfs", "root"))
        ]
        flags["node-exporter"] = [*components.node_flags(listen, files / "textfile"), *host]
    return flags


def memory_needed(arguments: list[str]) -> int:
    """Return how many MB a Java program may take."""
    heap, direct = "-Xmx", "-XX:MaxDirectMemorySize="
    sizes = [word.removeprefix(flag) for word in arguments for flag in (heap, direct) if word.startswith(flag)]
    return sum(int(size.removesuffix("m")) for size in sizes) + _BESIDES_HEAP


def kafka_side(config: Config) -> dict[str, str]:
    """Return the files of the simulated night: two Kafka, MirrorMaker, their agents."""
    files = {f"{name}.properties": kafka_properties(name, config) for name in components.CLUSTER_IDS}
    files |= {f"{name}.id": identity + "\n" for name, identity in components.CLUSTER_IDS.items()}
    for name, words in java_arguments(config).items():
        files[f"{name}.args"] = _lines(words)
        if not name.endswith(".format"):
            files[f"{name}.memory"] = f"{memory_needed(words)}\n"
    return files | {
        "mirrormaker.properties": kafka_files.mirrormaker(config),
        "kafka-agent.yml": kafka_files.kafka_agent(),
        "mirror-agent.yml": kafka_files.mirror_agent(),
    }


def write(source: Path, given_secrets: Path, out: Path, share: Path, layout: Layout, *, page: str = "") -> Config:
    """Write everything into `out` (/config) and the secrets into /secrets; return the configuration.

    `share` holds what the image brings along: the JMX agent, scripts, dashboards.

    Raises ConfigErrors; then nothing was changed.
    """
    file = out / "zads.toml"
    former = file.read_text(encoding="utf-8") if file.exists() else None
    text = site_text(source.read_text(encoding="utf-8"), former, layout, page=page)
    config = parse(text, str(source))
    copy_secrets(given_secrets, Path(SECRETS), config)
    files = render.render(config, Path(CONFIG) / "rules")
    files |= {f"{name}.args": _lines(words) for name, words in go_flags(config).items()}
    if simulated(config):
        files |= kafka_side(config)
    _copy(share, out)
    (out / "textfile").mkdir(exist_ok=True)
    render.write({**files, "zads.toml": text}, out)
    return config


def _lines(words: list[str]) -> str:
    return "".join(f"{word}\n" for word in words)


def _copy(share: Path, out: Path) -> None:
    """Copy what the image brings along, replacing what a former image brought."""
    for part in sorted(share.iterdir()):
        target = out / part.name
        if part.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(part, target, copy_function=shutil.copyfile)
        else:
            # A running Java keeps its open jar: replaced whole, not written over.
            partial = out / f".{part.name}.new"
            shutil.copyfile(part, partial)
            partial.chmod(0o644)
            partial.replace(target)
