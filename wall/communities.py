"""The third row: one tile per community; above five the four worst and one for the rest."""

from __future__ import annotations

from collections import Counter

from wall.model import Look, Results, Tile, by, duration, moment, one, rate
from zads.config import Community, Config
from zads.render import part_names

SHOWN = 5
_WORST_FIRST: tuple[Look, ...] = ("bad", "warn", "unknown", "idle", "ok")


def row(config: Config, results: Results, now: float) -> tuple[Tile, ...]:
    """Return the third row."""
    view = _View(config, results, now)
    tiles = [(view.tile(community), view.lag.get(community.name, 0.0)) for community in config.communities]
    if len(tiles) <= SHOWN:
        return tuple(tile for tile, _ in tiles)
    tiles.sort(key=lambda pair: (_WORST_FIRST.index(pair[0].look), -pair[1]))
    ordered = [tile for tile, _ in tiles]
    return (*ordered[: SHOWN - 1], _rest(ordered[SHOWN - 1 :]))


def blind(config: Config) -> tuple[Tile, ...]:
    """Return the third row when nothing can be seen."""
    names = [community.name.upper() for community in config.communities]
    if len(names) > SHOWN:
        names = [*names[: SHOWN - 1], f"{len(names) - SHOWN + 1} OTHERS"]
    return tuple(Tile(name, "UNKNOWN", "no data", "unknown") for name in names)


def _rest(tiles: list[Tile]) -> Tile:
    """Say how the others are; what is worst among them gives the colour."""
    on_time = sum(tile.word == "ON TIME" for tile in tiles)
    others = Counter(tile.word.lower() for tile in tiles if tile.word != "ON TIME")
    line = " · ".join(f"{count} {word}" for word, count in others.most_common()) or "all the others"
    look = min((tile.look for tile in tiles), key=_WORST_FIRST.index)
    return Tile("OTHERS", f"{on_time} on time", line, "ok" if look == "idle" and on_time else look)


class _View:
    """The signals about communities, by name."""

    def __init__(self, config: Config, results: Results, now: float) -> None:
        self.now = now
        self.lag = by(results, "community_lag", "community")
        self._waiting = by(results, "community_waiting", "community")
        self._batch = by(results, "community_batch", "community")
        self._late = by(results, "community_late", "community")
        self._egress = by(results, "community_egress", "community")
        self._connections = by(results, "community_connections", "community")
        self._seen = by(results, "community_seen", "community")
        self._lag_seen = by(results, "community_lag_seen", "community")
        self._nothing_to_read = one(results, "lag_collected") == 1
        firing = results.get("firing", ())
        self._behind = {s.labels.get("community", "") for s in firing if s.labels.get("alertname") == "CommunityLagging"}
        starts = results.get("active_since", ())
        self._away = {
            s.labels.get("community", ""): s.value for s in starts if s.labels.get("alertname") == "CommunityDisconnected"
        }
        services = by(results, "services", "service")
        self._kafka_gone = services.get(part_names(config)["public"], 1) == 0

    def tile(self, community: Community) -> Tile:
        """Return one community's tile."""
        name, title = community.name, community.name.upper()
        connections, egress = self._connections.get(name), self._egress.get(name)
        if connections == 0 and self._kafka_gone:
            # Not their fault: KAFKA in the chain is the one that is red.
            return Tile(title, "WAITING", "for Kafka", "idle")
        if connections == 0:
            since = self._away.get(name)
            return Tile(title, "AWAY", f"since {moment(since, self.now)}" if since else "no connection", "warn")
        speed = "rate unknown" if connections is None or egress is None else rate(egress)
        if not community.commits:
            if connections is None:
                return Tile(title, "UNKNOWN", self._gone(self._seen.get(name)), "unknown")
            return Tile(title, "READING", f"lag unknown · {speed}", "idle")
        lag, waiting = self.lag.get(name), self._waiting.get(name)
        if lag is None or waiting is None:
            if self._nothing_to_read:
                return Tile(title, "READY", "nothing to read yet", "idle")
            return Tile(title, "UNKNOWN", self._gone(self._lag_seen.get(name)), "unknown")
        if name in self._behind or self._late.get(name) == 1:
            return Tile(title, "BEHIND", f"{duration(lag)} · {waiting:,.0f} alerts", "warn")
        if waiting == 0:
            return Tile(title, "ON TIME", "nothing waiting", "ok")
        if 1 < waiting <= self._batch.get(name, 1):
            return Tile(title, "ON TIME", f"in batch · {speed}", "ok")
        return Tile(title, "ON TIME", f"{duration(lag)} · {speed}", "ok")

    def _gone(self, seen: float | None) -> str:
        return f"no data for {duration(self.now - seen)}" if seen else "no data"
