"""What the wall says, computed from query results without I/O: five rows of tiles, each with a word.

Nothing is ever green for lack of data: a tile whose source is gone says UNKNOWN, ALL WELL stands only
while everything can be seen, and with Prometheus gone the headline says BLIND.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from wall import communities, sky
from wall.model import Headline, Results, Sample, Tile, Wall, by, clip, duration, moment, one, utc
from zads.config import Config

STALE_AFTER = 30.0
_LINE = 110  # letters of the headline's second line that fit at 1920, set as small as five metres allow
_TELLING = 60.0  # seconds that telling may take
# The signals of zads/signals.py that the wall asks for; `impact` comes with the alerts themselves.
READS = (
    "active_since",
    "arriving",
    "behind",
    "behind_seconds",
    "budget",
    "budget_bad",
    "community_batch",
    "community_connections",
    "community_egress",
    "community_lag",
    "community_lag_seen",
    "community_late",
    "community_seen",
    "community_waiting",
    "dark",
    "data_timestamp",
    "delay",
    "delay_goal",
    "delay_mirror",
    "delay_mirror_goal",
    "exposure_rate",
    "firing",
    "hosts",
    "incidents",
    "lag_collected",
    "last_alert",
    "last_upstream",
    "missing",
    "night_end",
    "notifier_up",
    "on_call",
    "public_readable",
    "service_up",
    "services",
    "tonight",
    "upstream_readable",
)


def build(config: Config, results: Results | None, now: float, lost_since: float | None = None) -> Wall:
    """Return the wall; `results` is None when Prometheus did not answer, since `lost_since`."""
    if results is None:
        return _blind(config, lost_since, now, "Prometheus does not answer")
    newest = one(results, "data_timestamp")
    if newest is None or now - newest > STALE_AFTER:
        return _blind(config, newest or lost_since, now, "Prometheus collects nothing")
    above, third, chain = sky.row(results, now), communities.row(config, results, now), sky.chain(config, results)
    headline = _headline(config, results, (*chain, *above, *third), now)
    return Wall(headline, above, third, chain, _foot(config, results, now, newest), False, now)


def _blind(config: Config, since: float | None, now: float, why: str) -> Wall:
    line = f"no data since {moment(since, now)} ({duration(now - since)})" if since else "no data yet"
    unknown = tuple(Tile(name, "UNKNOWN", "no data", "unknown") for name in sky.NAMES)
    chain = tuple(Tile(name, "UNKNOWN", "", "unknown") for name, _ in sky.CHAIN)
    headline = Headline(f"{config.site.name} · {why}", "BLIND", f"{line} · alerts may flow well, nobody sees them", "bad")
    foot = (*_clocks(config, now), ("data since" if since else "data", utc(since) if since else "none yet"))
    if since:
        foot = (*_clocks(config, now), ("no data for", duration(now - since)))
    return Wall(headline, unknown, communities.blind(config), chain, foot, True, now)


def _headline(config: Config, results: Results, tiles: Sequence[Tile], now: float) -> Headline:
    firing = [s for s in results.get("firing", ()) if s.labels.get("alertname") != "Watchdog"]
    if firing:
        return _trouble(config, results, firing, now)
    over = f"{config.site.name} · ZTF alert distribution"
    services, hosts = by(results, "services", "service"), by(results, "hosts", "host")
    answering = [*services.values(), *hosts.values()]
    count = sum(value == 1 for value in answering)
    silent = len(answering) - count
    if silent:
        noun = "one does" if silent == 1 else f"{silent} do"
        return Headline(over, "RECOVERING", f"{count} hosts and services answer · {noun} not yet", "warn")
    coloured = [tile for tile in tiles if tile.look in {"bad", "warn"}]
    if coloured:
        # A coloured tile under ALL WELL would make both unbelievable: its own words stand until an alert does.
        first = min(coloured, key=lambda tile: tile.look != "bad")
        return Headline(over, f"{first.name} {first.word}", f"{first.line} · not an alert yet", "warn")
    unknown = [tile.name if tile.name == "IPAC" else tile.name.capitalize() for tile in tiles if tile.look == "unknown"]
    if unknown or not services:
        names = ", ".join(unknown) or "services"
        return Headline(over, "CANNOT SEE ALL", clip(f"unknown: {names}", _LINE), "unknown")
    return Headline(over, "ALL WELL", f"{count} hosts and services answer · nothing firing", "ok")


def _trouble(config: Config, results: Results, firing: list[Sample], now: float) -> Headline:
    """Name the worst that fires (pages first, then the oldest), since when, who has it, what it costs, how many more."""
    starts = {_key(s.labels): s.value for s in results.get("active_since", ())}
    worst = min((s.labels for s in firing), key=lambda a: (a.get("severity") != "page", starts.get(_key(a), now)))
    since = starts.get(_key(worst), now)
    headline = worst.get("headline") or worst.get("alertname", "ALERT")
    others = sorted({s.labels.get("headline", "") for s in firing} - {worst.get("headline", "")})
    told, more = _acknowledged(worst, results, now - since), f"{len(others)} more" if others else ""
    impact = _impact(worst, results, _LINE - len(told) - len(more))
    if others and not impact:
        more = clip(f"{more}: {', '.join(name.capitalize() for name in others)}", _LINE - len(told))
    return Headline(
        f"{config.site.name} · since {moment(since, now)}",
        f"{headline}  {duration(now - since)}",
        " · ".join(part for part in (told, impact, more) if part),
        "bad" if worst.get("severity") == "page" else "warn",
    )


def _key(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in labels.items() if k not in {"alertstate", "__name__", "impact"}))


def _impact(worst: Mapping[str, str], results: Results, most: int) -> str:
    """Return what it costs the scientists: the whole sentences that fit, or the first one cut."""
    text = next((s.labels.get("impact", "") for s in results.get("impact", ()) if _key(s.labels) == _key(worst)), "")
    sentences = text.strip().rstrip(".").split(". ")
    while len(sentences) > 1 and len(". ".join(sentences)) > most:
        sentences.pop()
    return clip(". ".join(sentences), most)


def _acknowledged(worst: Mapping[str, str], results: Results, age: float) -> str:
    for sample in results.get("incidents", ()):
        if sample.labels.get("headline") == worst.get("headline"):
            if sample.labels.get("state") == "acknowledged":
                who = sample.labels.get("acknowledged_by")
                return f"acknowledged by {who}" if who else "acknowledged"
            return "not acknowledged"
    if one(results, "notifier_up") != 1:
        return "the notifier cannot be seen"
    return "being told" if age < _TELLING else "not told to anybody"


def _clocks(config: Config, now: float) -> tuple[tuple[str, str], ...]:
    local = datetime.fromtimestamp(now, ZoneInfo(config.site.timezone))
    return (("UTC", utc(now)), (config.site.timezone.rpartition("/")[2].replace("_", " "), f"{local:%H:%M}"))


def _foot(config: Config, results: Results, now: float, newest: float) -> tuple[tuple[str, str], ...]:
    duty = next((s.labels.get("name", "") for s in results.get("on_call", ())), "unknown")
    bad, budget = one(results, "budget_bad"), one(results, "budget")
    left = "unknown" if budget is None or bad is None else f"{max(0.0, budget - bad) / 60:.1f} of {budget / 60:.1f} h"
    return (
        *_clocks(config, now),
        ("data", f"{duration(now - newest)} old"),
        ("on call", clip(duty, 32) or "unknown"),
        ("budget left", left),
    )
