"""What there is to see of egress, in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from exporters.broker_egress.ledger import UNKNOWN, Connection, Ledger
from zads.config import Config
from zads.plain import count, rate, some, span

_RATE_SECONDS = 60.0


class Rate:
    """What was sent to all communities within the last minute."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def words(self, total: int, now: float) -> str:
        """Take the total of now and return for example "1.2 MB/s in the last 60 s", "" with the first one."""
        self._seen.append((now, total))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_SECONDS:
            self._seen.popleft()
        begin, before = self._seen[0]
        if now <= begin:
            return ""
        return f", {rate(max(0, total - before) / (now - begin))} in the last {span(now - begin)}"


def wire(config: Config, ledger: Ledger, sent: Rate, now: float) -> str:
    """Return for example "12 connections of 4 communities (none of fink), 1.2 MB/s in the last 60 s, ..."."""
    names = [community.name for community in config.communities]
    absent = [name for name in names if not ledger.open.get(name)]
    connections = sum(len(ledger.open.get(name, ())) for name in names)
    here = count(len(names) - len(absent), "community", "communities")
    missing = f" (none of {some(absent)})" if absent and connections else ""
    text = f"{count(connections, 'connection', 'connections')} of {here}{missing}"
    text += sent.words(sum(ledger.bytes[name] for name in names), now)
    return text + _strangers(ledger.open)


def _strangers(opened: Mapping[str, Sequence[Connection]]) -> str:
    peers = sorted({connection.peer for connection in opened.get(UNKNOWN, ())})
    return f", {count(len(peers), 'address', 'addresses')} of nobody ({some(peers)})" if peers else ""


def seen(wire_words: str, *, readable: bool, offsets: bool) -> str:
    """Return what both measurements see."""
    if readable and offsets:
        return f"{wire_words}; committed offsets too"
    if readable:
        return f"{wire_words}; committed offsets cannot be read"
    if offsets:
        return "committed offsets alone: the connections cannot be read here, the log says why"
    return "neither the connections nor committed offsets can be read"
