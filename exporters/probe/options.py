"""What a probe was asked for, and which cluster that means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from zads.config import Config, ConfigError, ConfigErrors, KafkaCluster, load, parse, parse_duration, read
from zads.night import night_name

_LITERAL = re.compile(r"[\w.-]+", re.ASCII)
_TABLE = re.compile(r"^\s*\[", re.MULTILINE)


@dataclass(frozen=True)
class Since:
    """Where reading begins: `earliest`, `latest`, or so many seconds ago."""

    edge: str = "latest"
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Since:
        """Read "latest", "earliest" or "-10m".

        Raises ValueError with what is accepted.
        """
        if text in {"latest", "earliest"}:
            return cls(text)
        try:
            return cls("ago", parse_duration(text.removeprefix("-")))
        except ValueError:
            raise ValueError(f'{text!r}: write "latest", "earliest" or how long ago, for example "-10m"') from None


@dataclass(frozen=True)
class Wanted:
    """Which topics are read, and what stands for them in a sentence."""

    matches: Callable[[str], bool]
    words: str
    name: str | None = None  # where it can be one topic only

    @classmethod
    def of(cls, config: Config, topic: str | None, night: str | None, programs: Iterable[int], now: datetime) -> Wanted:
        """Return the topics of a pattern, or those of a night (tonight's without one) and programs.

        Raises ValueError for a pattern that is none.
        """
        if topic is not None:
            try:
                pattern = re.compile(topic)
            except re.error as error:
                raise ValueError(f"{topic!r} is no regular expression: {error}") from None
            name = topic if _LITERAL.fullmatch(topic) else None
            return cls(lambda found: pattern.fullmatch(found) is not None, f"topic that matches {topic!r}", name)
        when = "tonight" if night is None else "the night"
        wanted = (night or night_name(now, config.site.longitude), tuple(programs) or config.stream.public_programs)
        stream = config.stream.topic_regex

        def matches(name: str) -> bool:
            match = stream.fullmatch(name)
            return match is not None and match["night"] == wanted[0] and int(match["program"]) in wanted[1]

        return cls(matches, f"topic of {when} ({wanted[0]}), program {' or '.join(map(str, wanted[1]))}")


def site(file: Path, given: bool, cluster: str, bootstrap: str | None, security: Path | None) -> tuple[Config, KafkaCluster]:
    """Return the site's config and the cluster to read.

    Without a zads.toml (`given` says whether it was asked for by name) `bootstrap` is enough: the rest is ZTF's.
    Raises ConfigErrors.
    """
    if given or (file.is_file() and (security is None or bootstrap is None)):
        config = load(file)
    elif bootstrap is None:
        why = "there is no such file; name a broker with --bootstrap HOST:PORT, or the file with --config"
        raise ConfigErrors(str(file), [ConfigError("", why)])
    else:
        config = _made(bootstrap, security)
        return config, config.kafka["public"]
    if cluster not in config.kafka:
        why = f"there is no such cluster in {file}; it names {' and '.join(config.kafka)}"
        raise ConfigErrors("--cluster", [ConfigError(cluster, why)])
    chosen = config.kafka[cluster]
    if security is not None:
        made = _made(bootstrap or ",".join(chosen.bootstrap), security).kafka["public"]
        return config, made
    if bootstrap is not None:
        chosen = chosen.model_copy(update={"bootstrap": _made(bootstrap, None).kafka["public"].bootstrap})
    return config, chosen


def _made(bootstrap: str, security: Path | None) -> Config:
    """Return a config with one cluster; `security` holds the keys of [kafka.public] that say how to log in."""
    addresses = ", ".join(f'"{address.strip()}"' for address in bootstrap.split(","))
    head = f"[kafka.public]\nbootstrap = [{addresses}]\n"
    if security is None:
        return parse(head, "--bootstrap")
    text = read(security)
    if _TABLE.search(text):
        why = "it holds tables; write the keys alone, as they stand under [kafka.public], or name the file with --config"
        raise ConfigErrors(str(security), [ConfigError("", why)])
    try:
        return parse(head + text, str(security))
    except ConfigErrors as errors:
        above = head.count("\n")
        moved = [replace(error, line=error.line - above if error.line else None) for error in errors.errors]
        raise ConfigErrors(errors.source, moved) from None
