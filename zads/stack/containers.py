"""The one zads.toml as the containers of docker-compose.yml need it: addresses, networks, folders. No I/O here.

zads.toml names everything on this machine by loopback; inside a container loopback is that container alone. Each such
address becomes the name of the container that listens there. A Kafka elsewhere stays where it is:
then this is the monitor machine alone (profile `monitor`), and its exporters are one process.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from zads.config import Config, ConfigError, ConfigErrors, host_port, joined, parse
from zads.stack import components
from zads.stack.toml_text import document

CONFIG, SECRETS, DATA = "/config", "/secrets", "/data"
KAFKA = "kafka-public"
# Where our own programs and their helpers listen in their containers, whatever zads.toml says of this machine:
# docker-compose.yml publishes these ports and its health checks ask there.
PORTS = {"prometheus": 29090, "alertmanager": 29093, "notifier": 29380, "wall": 28080, "node-exporter": 29100}
ALL_PORT = 29312
_HEAD = "# Made from zads.toml by `zads stack containers`: change that one, then `docker compose up -d` again.\n"
_LOOPBACK = ip_network("127.0.0.0/8")


@dataclass(frozen=True)
class Layout:
    """The containers' networks: `subnet` is the first half of every address, as in docker-compose.yml."""

    subnet: str = "10.213"

    @property
    def inside(self) -> str:
        """The network of our own programs."""
        return f"{self.subnet}.1.0/24"

    @property
    def kafka_host(self) -> str:
        """Kafka's machine on our own network: Kafka, its JMX agent and the exporters beside it."""
        return f"{self.subnet}.1.10"

    @property
    def kafka_outside(self) -> str:
        """Kafka's machine on the communities' network."""
        return f"{self.subnet}.2.10"

    def community(self, network: str) -> str:
        """Return where a community with this loopback network is: 127.0.1.3/32 is SUBNET.2.23/32."""
        number = int(str(ip_network(network).network_address).rsplit(".", 1)[1])
        return f"{self.subnet}.2.{20 + number}/32"


def simulated(config: Config) -> bool:
    """Tell whether the Kafka that communities read is the simulated one: on loopback, or by now a container."""
    host = host_port(config.kafka["public"].bootstrap[0])[0]
    return host == KAFKA or _is_loopback(host)


def derive(text: str, layout: Layout, *, page: str = "") -> str:
    """Return the text of zads.toml for the containers.

    `page` is the port of this machine at which the notifier's page is shown, where that is another than zads.toml's.

    Raises ConfigErrors for a zads.toml that is wrong, and for a loopback address at which no container listens.
    """
    config = parse(text)
    content = tomllib.loads(text)
    places, errors = _places(config, layout), list[ConfigError]()

    def move(path: str, value: str) -> str:
        found = _loopback(value)
        if found is None or path == "notifier.external_url":
            return value
        old, port = found
        if port not in places:
            words = f"{value!r} is the container itself: write an address of this machine that containers reach"
            errors.append(ConfigError(path, words))
            return value
        return value.replace(old, places[port], 1)

    content = _walk(content, "", move)
    _ours(content, config, layout, page)
    if errors:
        raise ConfigErrors("zads.toml", errors)
    result = _HEAD + document(content)
    parse(result, "zads.toml, as the containers read it")
    return result


def _places(config: Config, layout: Layout) -> dict[int, str]:
    """Return where a container listens for each port of zads.toml's loopback addresses."""
    found: dict[int, str] = {}

    def put(name: str, *addresses: str | None, port: int = 0) -> None:
        for address in addresses:
            if address and _loopback(address):
                old = host_port(address)[1]
                found[old] = joined(name, port or old)

    local = simulated(config)
    if local:
        public = config.kafka["public"]
        put(KAFKA, *public.bootstrap)
        put(layout.kafka_host, public.jmx)
        if "upstream" in config.kafka:
            put("kafka-upstream", *config.kafka["upstream"].bootstrap, config.kafka["upstream"].jmx)
        put("mirrormaker", config.mirror.jmx)
        put("inbox", *components.inbox_addresses(config))
    for name, address in (
        ("prometheus", config.prometheus.address),
        ("alertmanager", config.alertmanager.address),
        ("notifier", config.notifier.listen),
        ("wall", config.wall.listen),
    ):
        put(name, address, port=PORTS[name])
    put(_node(layout, local), config.prometheus.node_exporter, port=PORTS["node-exporter"])
    return found


def _node(layout: Layout, local: bool) -> str:
    """Return where node_exporter is: in the simulated night on Kafka's machine."""
    return layout.kafka_host if local else "node-exporter"


def _walk(value: Any, path: str, move: Callable[[str, str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _walk(one, f"{path}.{key}" if path else key, move) for key, one in value.items()}
    if isinstance(value, list):
        return [_walk(one, path, move) for one in value]
    if isinstance(value, str) and path.endswith("_file"):
        return f"{SECRETS}/{value.rsplit('/', 1)[-1]}"
    return move(path, value) if isinstance(value, str) else value


def _ours(content: dict[str, Any], config: Config, layout: Layout, page: str) -> None:
    """Set what is the same for every container, and where our own programs listen."""
    local = simulated(config)
    content.setdefault("exporters", {}).update(
        listen=layout.kafka_host if local else "exporters", state_dir=DATA, one_process=not local, all_port=ALL_PORT
    )
    # Written out, also where zads.toml is content with the defaults, which are loopback.
    for table, key in (("prometheus", "address"), ("alertmanager", "address"), ("notifier", "listen"), ("wall", "listen")):
        _set(content, table, key, joined(table, PORTS[table]))
    if config.prometheus.node_exporter and _loopback(config.prometheus.node_exporter):
        _set(content, "prometheus", "node_exporter", joined(_node(layout, local), PORTS["node-exporter"]))
    _set(content, "notifier", "store", f"{DATA}/notifier.sqlite3")
    content["rendered"] = {"directory": CONFIG, "rules": f"{CONFIG}/rules"}
    outside = _loopback(config.notifier.external_url)
    if page and outside:
        _set(content, "notifier", "external_url", config.notifier.external_url.replace(f":{outside[1]}", f":{page}"))
    if local:
        content["internal"] = {
            "networks": [layout.inside, f"{layout.kafka_outside}/32", *(str(one) for one in config.internal.networks)]
        }
        for community in content.get("community", []):
            community["networks"] = [
                layout.community(one) if _is_loopback(one.split("/")[0]) else one for one in community.get("networks", [])
            ]
    for host in content.get("host", []):
        if _is_loopback(host["address"]):
            host["address"] = host_port(host["probe"])[0]


def _set(content: dict[str, Any], table: str, key: str, value: str) -> None:
    content.setdefault(table, {})[key] = value


def _loopback(value: str) -> tuple[str, int] | None:
    """Return the "host:port" in an address on loopback and its port, None for anything else."""
    try:
        host, port = host_port(value)
    except ValueError:
        return None
    bare = value.split("://", 1)[-1].split("/", 1)[0]
    return (bare, port) if _is_loopback(host) else None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
