"""The second row and the chain: the sky in words, alerts tonight, the last one's age, the delay; IPAC, MIRROR, KAFKA."""

from __future__ import annotations

from wall.model import Look, Results, Tile, by, duration, one, utc
from zads.config import Config
from zads.render import part_names

CHAIN = (("IPAC", "upstream"), ("MIRROR", "mirror"), ("KAFKA", "public"))
NAMES = ("SKY", "ALERTS TONIGHT", "LAST ALERT", "DELAY")
_DAY = 20 * 3600.0  # above this an hour of the day would be taken for today's
_SLOWEST = 1 / 120  # exposures per second; slower is another program's turn or a gap, not a pace
_HANDFUL = 60.0  # seconds: younger alerts are on their way, not held up


def row(results: Results, now: float) -> tuple[Tile, ...]:
    """Return the second row."""
    return (_sky(results, now), _tonight(results), _last(results, now), _delay(results))


def chain(config: Config, results: Results) -> tuple[Tile, ...]:
    """Return the three links, each with a word; one that lives and does not answer is not called DOWN."""
    answering, up = by(results, "services", "service"), by(results, "service_up", "service")
    names, tiles = part_names(config), []
    for name, part in CHAIN:
        service = names[part]
        if service not in answering:
            tiles.append(Tile(name, "UNKNOWN", "", "unknown"))
        elif answering[service] == 1:
            tiles.append(Tile(name, "OK", "", "ok"))
        elif up.get(service) == 1:
            tiles.append(Tile(name, "NO ANSWER", "", "bad"))
        else:
            tiles.append(Tile(name, "DOWN", "", "bad"))
    return tuple(tiles)


def _since(at: float, now: float) -> str:
    return f"since {utc(at)} UTC" if now - at < _DAY else f"for {duration(now - at)}"


def _sky(results: Results, now: float) -> Tile:
    dark, readable = one(results, "dark"), one(results, "upstream_readable")
    if dark is None:
        return Tile("SKY", "UNKNOWN", "the services exporter is silent", "unknown")
    if readable != 1:
        return Tile("SKY", "CANNOT SEE IPAC", "it is dark" if dark else "it is day", "unknown")
    arriving, last, end = (one(results, "arriving") or 0) > 0, one(results, "last_upstream"), one(results, "night_end")
    until = f"until {utc(end)} UTC" if end else "no dawn today"
    if dark and arriving:
        return Tile("SKY", "DARK, ARRIVING", until, "ok")
    if dark and last:
        return Tile("SKY", "NOTHING FROM IPAC", f"{_since(last, now)}, clouds?", "idle")
    if dark:
        return Tile("SKY", "DARK, NOTHING YET", until, "idle")
    if arriving:
        return Tile("SKY", "DAY, STILL ARRIVING", "last night's alerts", "ok")
    return Tile("SKY", "DAY", f"nothing {_since(last, now)}" if last else "nothing yet", "idle")


def _held_up(results: Results) -> bool:
    return (one(results, "behind_seconds") or 0) > _HANDFUL


def _tonight(results: Results) -> Tile:
    name, count = "ALERTS TONIGHT", one(results, "tonight")
    if count is None:
        if one(results, "public_readable") == 1:
            return Tile(name, "0", "no public topic yet", "idle")
        return Tile(name, "UNKNOWN", "Kafka cannot be read", "unknown")
    word, missing, behind = f"{count:,.0f}", one(results, "missing"), one(results, "behind")
    if behind and _held_up(results):
        return Tile(name, word, f"{behind:,.0f} not passed on", "bad")
    if missing is None:
        return Tile(name, word, "completeness unknown", "idle")
    return Tile(name, word, f"{missing:,.0f} missing", "warn" if missing > 0 else "ok")


def _last(results: Results, now: float) -> Tile:
    name, last, upstream = "LAST ALERT", one(results, "last_alert"), one(results, "last_upstream")
    if last is None:
        if one(results, "public_readable") == 1:
            return Tile(name, "—", "no alert yet", "idle")
        return Tile(name, "UNKNOWN", "Kafka cannot be read", "unknown")
    word = f"{duration(now - last)} ago"
    if _held_up(results) and upstream and upstream - last > _HANDFUL:
        return Tile(name, word, "IPAC has newer ones", "bad")
    pace = one(results, "exposure_rate")
    look: Look = "ok" if (one(results, "arriving") or 0) > 0 else "idle"  # where nothing arrives nothing can be well or late
    if not one(results, "dark"):
        return Tile(name, word, "by day", look)
    return Tile(name, word, f"exposures every {1 / pace:.0f} s" if pace and pace > _SLOWEST else "newest at ZADS", look)


def _delay(results: Results) -> Tile:
    name, delay, goal = "DELAY", one(results, "delay"), one(results, "delay_goal") or 1200.0
    if one(results, "tonight") is None and one(results, "public_readable") != 1:
        # A rate outlives its source by minutes: what nobody measures now is not shown.
        return Tile(name, "UNKNOWN", "no data", "unknown")
    if delay is None:
        return Tile(name, "—", "nothing to measure", "idle")
    promise = f"goal {goal / 60:.0f} min"
    mirror, most = one(results, "delay_mirror"), one(results, "delay_mirror_goal")
    if mirror is not None and most is not None and mirror > most:
        return Tile(name, duration(delay), f"goal {goal / 60:.0f} · at mirror", "bad")
    if delay > goal:
        return Tile(name, duration(delay), f"goal {goal / 60:.0f} · before ZADS", "warn")
    return Tile(name, duration(delay), promise, "ok")
