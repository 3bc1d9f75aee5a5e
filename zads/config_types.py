"""The kinds of values that zads.toml is made of: durations, addresses, patterns, networks, names.

Each kind says in words what it expects, for error messages and for docs/config.md. A value of the wrong
kind is refused here; what only several keys together can get wrong is found by `zads.config_checks`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, Strict

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_RETENTION = re.compile(r"([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?")


@dataclass(frozen=True)
class Kind:
    """What a value is called in docs/config.md, and what an error says that it expects."""

    name: str
    expects: str


@dataclass(frozen=True)
class Unit:
    """What a number counts."""

    name: str


def parse_duration(value: object) -> float:
    """Return seconds for "90s", "20m", "1h30m" or a plain number of seconds.

    Raises ValueError with what is accepted.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('expected a duration such as "20m"')
    if isinstance(value, int | float):
        seconds = float(value) if abs(value) < 1e15 else math.inf
    else:
        parts = _DURATION.findall(value)
        if not parts or "".join(number + unit for number, unit in parts) != value.replace(" ", ""):
            raise ValueError(f'{value!r} is no duration; write for example "30s", "20m", "1h30m" or "7d"')
        seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds < 0:
        raise ValueError("a duration cannot be negative")
    if not math.isfinite(seconds):
        raise ValueError("a duration has an end")
    return seconds


def duration_text(seconds: float) -> str:
    """Return seconds as zads.toml and Prometheus write them: "20m", "1h30m", "250ms"."""
    rest, text = round(seconds * 1000), ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, round(_UNIT_SECONDS[unit] * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def host_port(address: str) -> tuple[str, int]:
    """Split "host:port", "[v6]:port" or "scheme://host:port/path" into host and port.

    Raises ValueError where the port is missing or out of range.
    """
    bare = address.split("://", 1)[-1].split("/", 1)[0]
    host, separator, port = bare.rpartition(":")
    if not separator or not host or not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        raise ValueError(f'{address!r} is no address; write "host:port", with a port from 1 to 65535')
    return host.strip("[]"), int(port)


def joined(host: str, port: int) -> str:
    """Return "host:port", with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reachable(address: str) -> str:
    """Return where a server that listens on `address` is reached from its own machine."""
    host, port = host_port(address)
    return joined({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)


def _duration(value: object) -> float:
    seconds = parse_duration(value)
    if seconds == 0:
        raise ValueError("expected more than 0 seconds")
    return seconds


def _host(value: str) -> str:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    if re.fullmatch(r"[0-9.]+", bare) or ":" in bare:
        try:
            ip_address(bare)
        except ValueError:
            raise ValueError(f"{value!r} is no IP address and no host name; the port does not belong here") from None
    elif len(bare) > 253 or not all(_HOST_LABEL.fullmatch(label) for label in bare.removesuffix(".").split(".")):
        raise ValueError(f"{value!r} is no IP address and no host name")
    return bare


def _address(value: str) -> str:
    host, _ = host_port(value)
    if "/" in value:
        raise ValueError(f'{value!r} is no address; write "host:port" without "://" and path')
    if ":" in host and not value.startswith("["):
        raise ValueError(f'{value!r}: write an IPv6 address in brackets, for example "[::1]:9092"')
    _host(host)
    return value


def _probe(value: str) -> str:
    if value.split("://", 1)[0] not in {"kafka", "zookeeper", "http", "https", "tcp", "tls"} or "://" not in value:
        raise ValueError(f'{value!r}: begin with "kafka://", "zookeeper://", "http://", "https://", "tcp://" or "tls://"')
    _address(value.split("://", 1)[1].split("/", 1)[0])
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not _CONTROL.search(value) and parts.port != 0
    except ValueError:
        good = False
    if not good or " " in value:
        raise ValueError('expected an address that begins with "http://" or "https://"')
    if parts.username or parts.password:
        raise ValueError("a name or a password does not belong into an address")
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{value!r} is no regular expression: {error}") from None
    return value


def _network(value: str) -> str:
    try:
        network = ip_network(value)
    except ValueError as error:
        try:
            meant = f"write {ip_network(value, strict=False)}"
        except ValueError:
            meant = 'write a network such as "192.0.2.0/24"'
        raise ValueError(f"{error}; {meant}") from None
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        raise ValueError(f"{value!r} is IPv4 in IPv6's clothes; write the IPv4 network")
    return value


def _line(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("expected one line of text, without control characters")
    return value


def _filled(value: str) -> str:
    if not _line(value).strip():
        raise ValueError("expected some text")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", value):
        raise ValueError(f"{value!r} is no short name: a-z, 0-9, - and _, at most 63 characters")
    return value


def _mail(value: str) -> str:
    if not re.fullmatch(r"[^\s@<>\x00-\x1f]+@[^\s@<>\x00-\x1f]+", value):
        raise ValueError(f'{value!r} is no e-mail address; write "name@example.org"')
    return value


def _path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or _CONTROL.search(value)):
        raise ValueError("expected the path of a file or folder")
    if isinstance(value, str) and value.startswith("~"):
        raise ValueError('"~" is not expanded here: write the whole path')
    return value


def known_zone(value: str) -> str:
    """Return the name of a time zone.

    Raises ValueError where it is none.
    """
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'{value!r} is no time zone; write for example "America/Los_Angeles"') from None
    return value


def _variable(value: str) -> str:
    # The value is not repeated: who misunderstands this key writes the secret itself here.
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("expected the name of an environment variable (A-Z, 0-9, _), not the secret itself")
    return value


def _retention(value: str) -> str:
    if not value or not _RETENTION.fullmatch(value) or not re.search("[1-9]", value):
        raise ValueError(f'{value!r} is no time for Prometheus; write for example "400d", "2w" or "1y"')
    return value


def _size(value: str) -> str:
    if not re.fullmatch(r"[0-9]+(B|KB|MB|GB|TB|PB|EB)", value):
        raise ValueError(f'{value!r} is no size for Prometheus; write for example "20GB" or "512MB"')
    return value


Int = Annotated[int, Strict(), Kind("whole number", "a whole number")]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False), Kind("number", "a number")]
Degrees = Annotated[Number, Unit("degrees")]
Metres = Annotated[Number, Unit("metres")]
Bytes = Annotated[Int, Unit("bytes")]
BytesPerSecond = Annotated[Int, Unit("bytes per second")]
Flag = Annotated[bool, Strict(), Kind("true or false", "true or false")]
Text = Annotated[str, AfterValidator(_line), Kind("text", "text in quotes")]
Filled = Annotated[str, AfterValidator(_filled), Kind("text", "text in quotes")]
Name = Annotated[str, AfterValidator(_name), Kind("name", "a short name in quotes")]
Seconds = Annotated[float, BeforeValidator(_duration), Kind("duration", 'a duration such as "20m"')]
Port = Annotated[int, Strict(), Field(ge=1, le=65535), Kind("port", "a port from 1 to 65535")]
HostName = Annotated[str, AfterValidator(_host), Kind("host", "an IP address or a host name in quotes")]
Address = Annotated[str, AfterValidator(_address), Kind("address", '"host:port"')]
Probe = Annotated[str, AfterValidator(_probe), Kind("probe", '"scheme://host:port"')]
Url = Annotated[str, AfterValidator(_url), Kind("URL", '"https://..."')]
Regex = Annotated[str, AfterValidator(_regex), Kind("pattern", "a regular expression in quotes")]
Network = Annotated[str, AfterValidator(_network), Kind("network", 'a network such as "192.0.2.0/24"')]
Mail = Annotated[str, AfterValidator(_mail), Kind("e-mail address", "an e-mail address in quotes")]
Variable = Annotated[str, AfterValidator(_variable), Kind("variable", "the name of an environment variable in quotes")]
Zone = Annotated[str, AfterValidator(known_zone), Kind("time zone", "the name of a time zone in quotes")]
File = Annotated[Path, BeforeValidator(_path), Kind("path", "a path in quotes")]
Retention = Annotated[str, AfterValidator(_retention), Kind("Prometheus' time", 'a time such as "400d"')]
Size = Annotated[str, AfterValidator(_size), Kind("Prometheus' size", 'a size such as "20GB"')]
Severity = Literal["page", "ticket", "info"]
Channel = Literal["email", "slack", "pagerduty", "webhook"]
