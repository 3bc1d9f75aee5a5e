"""What the wall says, computed from query results without I/O: five rows of tiles, each with a word.

Nothing is ever green for lack of data: a tile whose source is gone says UNKNOWN, and with Prometheus
gone the headline says BLIND.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from zads.config import Config

STALE_AFTER = 30.0
_SHOWN = 5
_CHAIN = (("IPAC", "kafka-upstream"), ("MIRROR", "mirrormaker"), ("KAFKA", "kafka-public"))


@dataclass(frozen=True)
class Sample:
    """One series' newest value."""

    labels: Mapping[str, str]
    value: float


Results = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True)
class Tile:
    """One tile: `look` is ok, warn, bad, unknown or idle."""

    name: str
    word: str
    line: str
    look: str


@dataclass(frozen=True)
class Headline:
    """The first row."""

    over: str
    word: str
    line: str
    look: str


@dataclass(frozen=True)
class Wall:
    """Everything that the page shows."""

    headline: Headline
    sky: tuple[Tile, ...]
    communities: tuple[Tile, ...]
    chain: tuple[Tile, ...]
    foot: tuple[tuple[str, str], ...]
    blind: bool
    at: float
    chart: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def duration(seconds: float) -> str:
    """Return a duration in few letters: 4 s, 41 min, 2 h 05, 3 d."""
    seconds = max(0.0, seconds)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, minutes = divmod(int(seconds // 60), 60)
        return f"{hours} h {minutes:02d}"
    return f"{seconds / 86400:.0f} d"


def rate(bytes_per_second: float) -> str:
    """Return a rate in few letters: as contracts give it, in MB/s."""
    megabytes = bytes_per_second / 1e6
    return (
        f"{megabytes:.0f} MB/s"
        if megabytes >= 9.95 or megabytes < 0.005
        else f"{megabytes:.{1 if megabytes >= 0.095 else 2}f} MB/s"
    )


def utc(at: float) -> str:
    """Return hours and minutes, UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"


def one(results: Results, name: str) -> float | None:
    """Return the value of a signal that has one series, None when it has none or no number."""
    for sample in results.get(name, ()):
        if sample.value == sample.value:
            return sample.value
    return None


def by(results: Results, name: str, label: str) -> dict[str, float]:
    """Return a signal's values by a label."""
    return {s.labels.get(label, ""): s.value for s in results.get(name, ()) if s.value == s.value}


def build(config: Config, results: Results | None, now: float, lost_since: float | None = None) -> Wall:
    """Return the wall; `results` is None when Prometheus did not answer, since `lost_since`."""
    newest = one(results, "data_timestamp") if results is not None else None
    if results is None or newest is None or now - newest > STALE_AFTER:
        return _blind(config, newest or lost_since, now)
    return Wall(
        _headline(config, results, now),
        _sky(results, now),
        _communities(config, results, now),
        _chain(results),
        _foot(config, results, now, newest),
        False,
        now,
    )


def _blind(config: Config, since: float | None, now: float) -> Wall:
    line = f"no data since {utc(since)} UTC ({duration(now - since)})" if since else "no data yet"
    names = ("SKY", "ALERTS TONIGHT", "LAST ALERT", "DELAY")
    unknown = [Tile(name, "UNKNOWN", "Prometheus does not answer", "unknown") for name in names]
    communities = [Tile(c.name.upper(), "UNKNOWN", "no data", "unknown") for c in config.communities[:_SHOWN]]
    chain = [Tile(name, "UNKNOWN", "", "unknown") for name, _ in _CHAIN]
    foot = (*_clocks(config, now), ("data", line))
    headline = Headline(
        f"{config.site.name} · monitoring", "BLIND", f"{line} · alerts may flow well, nobody sees them", "bad"
    )
    return Wall(headline, tuple(unknown), tuple(communities), tuple(chain), foot, True, now)


def _headline(config: Config, results: Results, now: float) -> Headline:
    firing = [s for s in results.get("firing", ()) if s.labels.get("alertname") != "Watchdog"]
    over = f"{config.site.name} · ZTF alert distribution"
    if not firing:
        services, hosts = by(results, "services", "service"), by(results, "hosts", "host")
        if not services:
            return Headline(over, "UNKNOWN", "no service can be seen · nothing is known to fire", "unknown")
        answering = [*services.values(), *hosts.values()]
        count = sum(value == 1 for value in answering)
        silent = len(answering) - count
        if silent:
            noun = "one does" if silent == 1 else f"{silent} do"
            return Headline(over, "RECOVERING", f"{count} hosts and services answer · {noun} not yet", "warn")
        return Headline(over, "ALL WELL", f"{count} hosts and services answer · nothing firing", "ok")
    starts = {_key(s.labels): s.value for s in results.get("active_since", ())}
    firing.sort(key=lambda s: (s.labels.get("severity") != "page", starts.get(_key(s.labels), now)))
    worst, since = firing[0].labels, starts.get(_key(firing[0].labels), now)
    subjects = {s.labels.get("headline", "") for s in firing}
    parts = [_acknowledged(worst, results, now)]
    if len(subjects) > 1:
        parts.append(
            f"{len(subjects) - 1} more: {', '.join(sorted(h.capitalize() for h in subjects - {worst.get('headline', '')}))[:60]}"
        )
    look = "bad" if worst.get("severity") == "page" else "warn"
    word = f"{worst.get('headline', worst.get('alertname', 'ALERT'))}  {duration(now - since)}"
    return Headline(f"{config.site.name} · since {utc(since)} UTC", word, " · ".join(parts), look)


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in labels.items() if k not in {"alertstate", "__name__"}))


def _acknowledged(worst: Mapping[str, str], results: Results, now: float) -> str:
    incidents = results.get("incidents", ())
    for sample in incidents:
        if sample.labels.get("headline") == worst.get("headline"):
            if sample.labels.get("state") == "acknowledged":
                return f"acknowledged by {sample.labels.get('acknowledged_by', 'somebody')}"
            return "nobody has acknowledged it"
    return "being told" if incidents or worst.get("severity") else "not told to anybody yet"


def _sky(results: Results, now: float) -> tuple[Tile, ...]:
    return (_sky_tile(results, now), _tonight(results), _last(results, now), _delay(results))


def _sky_tile(results: Results, now: float) -> Tile:
    dark, readable = one(results, "dark"), one(results, "upstream_readable")
    if dark is None:
        return Tile("SKY", "UNKNOWN", "the services exporter is silent", "unknown")
    if readable != 1:
        return Tile("SKY", "CANNOT SEE IPAC", "dark" if dark else "day", "unknown")
    arriving, last, end = (one(results, "arriving") or 0) > 0, one(results, "last_upstream"), one(results, "night_end")
    until = f"until {utc(end)} UTC" if end else "no dawn today"
    if dark:
        if arriving:
            return Tile("SKY", "DARK, ARRIVING", until, "ok")
        return Tile(
            "SKY",
            "DARK, NOTHING YET" if not last else "NOTHING FROM IPAC",
            f"since {utc(last)} UTC, clouds?" if last else until,
            "idle",
        )
    if arriving:
        return Tile("SKY", "DAY, STILL ARRIVING", "last night's alerts", "ok")
    return Tile("SKY", "DAY", f"last alert {utc(last)} UTC" if last else "nothing yet", "idle")


def _tonight(results: Results) -> Tile:
    count, missing, behind = one(results, "tonight"), one(results, "missing"), one(results, "behind")
    if count is None:
        return Tile("ALERTS TONIGHT", "UNKNOWN", "ZADS's Kafka cannot be read", "unknown")
    word, old = f"{count:,.0f}", (one(results, "behind_seconds") or 0) > 60
    if behind and old:
        return Tile("ALERTS TONIGHT", word, f"{behind:,.0f} not passed on", "bad")
    if missing:
        return Tile("ALERTS TONIGHT", word, f"{missing:,.0f} missing", "warn")
    return Tile(
        "ALERTS TONIGHT",
        word,
        "completeness unknown" if missing is None else "0 missing",
        "idle" if missing is None else "ok",
    )


def _last(results: Results, now: float) -> Tile:
    last, upstream = one(results, "last_alert"), one(results, "last_upstream")
    if last is None:
        return Tile("LAST ALERT", "UNKNOWN", "ZADS's Kafka cannot be read", "unknown")
    word = f"{duration(now - last)} ago"
    if (one(results, "behind_seconds") or 0) > 60 and upstream and upstream - last > 60:
        return Tile("LAST ALERT", word, "IPAC has newer ones", "bad")
    return Tile("LAST ALERT", word, "exposures every 39 s" if one(results, "dark") else "by day", "ok")


def _delay(results: Results) -> Tile:
    delay, goal = one(results, "delay"), one(results, "delay_goal") or 1200.0
    if delay is None:
        known = one(results, "tonight") is not None
        return Tile(
            "DELAY",
            "—" if known else "UNKNOWN",
            "no alerts to measure" if known else "no data",
            "idle" if known else "unknown",
        )
    mirror, most = one(results, "delay_mirror"), one(results, "delay_mirror_goal")
    if mirror is not None and most is not None and mirror > most:
        return Tile("DELAY", duration(delay), f"goal {goal / 60:.0f} min · at mirror", "bad")
    if delay > goal:
        return Tile("DELAY", duration(delay), f"goal {goal / 60:.0f} min · before ZADS", "warn")
    return Tile("DELAY", duration(delay), f"goal {goal / 60:.0f} min", "ok")


def _communities(config: Config, results: Results, now: float) -> tuple[Tile, ...]:
    names = ("known", "lag", "waiting", "batch", "late", "egress", "connections")
    values = {name: by(results, f"community_{name}", "community") for name in names}
    away = {
        s.labels.get("community", ""): s.value
        for s in results.get("active_since", ())
        if s.labels.get("alertname") == "CommunityDisconnected"
    }
    tiles = [_community(c.name, c.commits, values, away.get(c.name)) for c in config.communities]
    if len(tiles) <= _SHOWN:
        return tuple(tiles)
    order = {"bad": 0, "warn": 1, "unknown": 2, "idle": 3, "ok": 4}
    tiles.sort(key=lambda tile: order[tile.look])
    rest = tiles[_SHOWN - 1 :]
    on_time = sum(tile.look in {"ok", "idle"} for tile in rest)
    more = Tile(
        "OTHERS",
        f"{on_time} on time",
        f"{len(rest) - on_time} not" if on_time < len(rest) else "all others",
        "ok" if on_time == len(rest) else "warn",
    )
    return (*tiles[: _SHOWN - 1], more)


def _community(name: str, commits: bool, values: Mapping[str, Mapping[str, float]], away_since: float | None) -> Tile:
    title, egress, connections = name.upper(), values["egress"].get(name), values["connections"].get(name)
    speed = "rate unknown" if egress is None else rate(egress)
    if connections == 0:
        return Tile(title, "AWAY", f"since {utc(away_since)} UTC" if away_since else "no connection", "warn")
    if not commits:
        if connections is None:
            return Tile(title, "UNKNOWN", "no data", "unknown")
        return Tile(title, "READING", f"lag unknown · {speed}", "idle")
    lag, waiting = values["lag"].get(name), values["waiting"].get(name)
    if lag is None or waiting is None:
        return Tile(title, "UNKNOWN", "no data", "unknown")
    if values["late"].get(name) == 1:
        return Tile(title, "BEHIND", f"{duration(lag)} · {waiting:,.0f} alerts", "warn")
    if waiting == 0:
        return Tile(title, "ON TIME", "nothing waiting", "ok")
    if waiting <= values["batch"].get(name, 1):
        return Tile(title, "ON TIME", f"in batch · {speed}", "ok")
    return Tile(title, "ON TIME", f"{duration(lag)} · {speed}", "ok")


def _chain(results: Results) -> tuple[Tile, ...]:
    answering, up = by(results, "services", "service"), by(results, "service_up", "service")
    tiles = []
    for name, service in _CHAIN:
        if service not in answering:
            tiles.append(Tile(name, "UNKNOWN", "", "unknown"))
        elif answering[service] == 1:
            tiles.append(Tile(name, "OK", "", "ok"))
        elif up.get(service) == 1:
            tiles.append(Tile(name, "NO ANSWER", "", "bad"))
        else:
            tiles.append(Tile(name, "DOWN", "", "bad"))
    return tuple(tiles)


def _clocks(config: Config, now: float) -> tuple[tuple[str, str], ...]:
    local = datetime.fromtimestamp(now, ZoneInfo(config.site.timezone))
    return (("UTC", utc(now)), (config.site.timezone.rpartition("/")[2].replace("_", " "), f"{local:%H:%M}"))


def _foot(config: Config, results: Results, now: float, newest: float) -> tuple[tuple[str, str], ...]:
    duty = next((s.labels.get("name", "") for s in results.get("on_call", ())), "unknown")
    bad, budget = one(results, "budget_bad"), one(results, "budget")
    left = "unknown" if budget is None else f"{max(0.0, budget - (bad or 0.0)) / 60:.1f} of {budget / 60:.1f} h"
    return (
        *_clocks(config, now),
        ("data", f"{duration(now - newest)} old"),
        ("on call", duty or "unknown"),
        ("budget left", left),
    )
