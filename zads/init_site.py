"""What `zads init` writes: a short zads.toml for the groups and topics that were seen. No I/O here."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from zads.config import ConfigErrors, Stream, host_port, joined, parse
from zads.config_schema import quoted, toml

_UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}"
_ALONE = ("(?<![0-9A-Za-z])", "(?![0-9A-Za-z])")
# What differs at each run: a UUID, a long hexadecimal number, a number of five digits or more (a process, a date).
_RANDOM = re.compile(
    rf"({_ALONE[0]}(?=[a-fA-F-]*[0-9]){_UUID}{_ALONE[1]})|({_ALONE[0]}(?=[a-f]*[0-9])[0-9a-f]{{12,}}{_ALONE[1]})|(-*[0-9]{{5,}})"
)
_INTERNAL = re.compile(r"(zads-|connect-|mm2|_|.*-mm2$|.*mirror-?maker)", re.IGNORECASE | re.DOTALL)
_MOST = 50


@dataclass(frozen=True)
class Seen:
    """What a look at a Kafka found."""

    topics: Sequence[str]
    groups: Mapping[str, str]  # name and state
    committed: Mapping[str, Iterable[str]] = field(default_factory=dict)  # topics that each group has commits on
    peers: Sequence[str] = ()  # IP addresses that are connected to the broker


@dataclass(frozen=True)
class _Found:
    name: str
    pattern: str
    commits: bool


def alert_topics(topics: Iterable[str]) -> list[str]:
    """Return the alert topics, the newest last."""
    pattern = re.compile(Stream().topic_pattern)
    return sorted(name for name in topics if pattern.fullmatch(name))


def head(bootstrap: Sequence[str], security: Mapping[str, str]) -> str:
    """Return the tables that say where the Kafka is.

    `security` holds further keys of [kafka.public].
    """
    lines = ["[site]", 'name = "ZADS"', "", "[kafka.public]", f"bootstrap = {toml(list(bootstrap))}"]
    lines += [f"{key} = {quoted(value)}" for key, value in security.items()]
    hosts = list(dict.fromkeys(host_port(address)[0] for address in bootstrap))
    for number, host in enumerate(hosts, 1):
        probe = next(address for address in bootstrap if host_port(address)[0] == host)
        name = "kafka" if len(hosts) == 1 else f"kafka-{number}"
        lines += ["", "[[host]]", f'name = "{name}"', f"address = {quoted(host)}", f"probe = {quoted(probe)}"]
    return _without_collisions("\n".join(lines) + "\n")


def _without_collisions(text: str) -> str:
    """Move our own programs' default ports away from where the Kafka listens.

    Raises ConfigErrors when something else is wrong.
    """
    try:
        parse(text)
    except ConfigErrors as errors:
        moved: dict[str, list[str]] = {}
        for error in errors.errors:
            table, _, key = error.path.partition(".")
            taken = re.match(r"(\S+) is already taken by kafka\.public", error.message)
            if taken is None or table == "kafka":
                raise
            host, port = host_port(taken[1])
            port = port + 10_000 if port < 50_000 else port - 10_000
            value = str(port) if key.endswith("_port") else quoted(joined(host, port))
            moved.setdefault(table, []).append(f"{key} = {value}   # Kafka has the usual port")
            if (table, key) == ("notifier", "listen"):
                moved[table].append(f'external_url = "http://{joined(host, port)}"')
        for table, lines in moved.items():
            text += "\n".join(["", f"[{table}]", *lines]) + "\n"
        parse(text)
    return text


def site(beginning: str, seen: Seen) -> str:
    """Return the whole zads.toml: the head, and one community for each kind of group."""
    alerts = alert_topics(seen.topics)
    topics = (
        f"{len(alerts)} alert topics, the newest {alerts[-1]}" if alerts else "no alert topic yet (they come each night)"
    )
    lines = [f"# Written by `zads init`: {topics}. docs/config.md explains every key."]
    if seen.peers:
        lines.append(f"# Connected now, each belongs into its community's networks: {', '.join(seen.peers[:20])}")
    lines.append(beginning.rstrip("\n"))
    found, others = _communities(seen, set(alerts))
    for community in found[:_MOST]:
        lines += ["", "[[community]]   # add its networks for egress on the wire", f'name = "{community.name}"']
        lines.append(f"groups = [{quoted(community.pattern)}]")
        if not community.commits:
            lines.append("commits = false   # it reads and has committed nothing")
    if len(found) > _MOST:
        lines += ["", f"# {len(found) - _MOST} more groups are left out."]
    if others:
        names = ", ".join(_comment(name) for name in others[:10]) + (" and more" if len(others) > 10 else "")
        lines += ["", f"# Not taken, since they read other topics only: {names}"]
    return "\n".join(lines) + "\n"


def _communities(seen: Seen, alerts: set[str]) -> tuple[list[_Found], list[str]]:
    """Return the communities, and the groups that read something else."""
    patterns: dict[str, _Found] = {}
    names: set[str] = set()
    others = []
    for group, state in sorted(seen.groups.items()):
        if not group or _INTERNAL.match(group):
            continue
        topics = set(seen.committed.get(group, ()))
        if alerts and topics and not topics & alerts:
            others.append(group)
            continue
        pattern = _pattern(group)
        # Before the first topic of the night nobody has committed anything: that says nothing.
        commits = not alerts or bool(topics) or state != "Stable"
        if pattern in patterns:
            known = patterns[pattern]
            patterns[pattern] = _Found(known.name, pattern, known.commits or commits)
            continue
        name = _name(group, names)
        names.add(name)
        patterns[pattern] = _Found(name, pattern, commits)
    return list(patterns.values()), others


def _pattern(group: str) -> str:
    """Return a regular expression for the group; an id that is new at each run becomes a class of characters."""
    text, end = "", 0
    for match in _RANDOM.finditer(group):
        classes = ("[0-9a-fA-F-]{32,36}", "[0-9a-f]+", "-*[0-9]+")
        text += _escaped(group[end : match.start()]) + classes[(match.lastindex or 1) - 1]
        end = match.end()
    return text + _escaped(group[end:])


def _escaped(text: str) -> str:
    return re.escape(text).replace(r"\-", "-")  # a dash means something inside [ ] only


def _name(group: str, taken: set[str]) -> str:
    """Return a short name for the group that is not taken."""
    plain = unicodedata.normalize("NFKD", _RANDOM.sub("", group)).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:56].strip("-") or "community"
    number, result = 1, name
    while result in taken:
        number += 1
        result = f"{name}-{number}"
    return result


def _comment(text: str) -> str:
    return quoted(text[:60]).replace("\n", " ")
