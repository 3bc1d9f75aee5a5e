"""Is a group in trouble? Burrow's rules, without a threshold, on what polling sees.

Burrow (core/internal/evaluator/caching.go) reads every commit with its time from Kafka's own topic. Here the committed
offsets are looked at once a collection, so a "commit" is a look at which one had moved. A commit that moves nothing
cannot be seen: what Burrow tells from it (STALL) is told from the group's members, and from single partitions that
stay where they are while others move.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from exporters.kafka_lag.lag import Edges
from zads.kafka import TopicOffsets
from zads.snapshot import Part, WideFamily

OK, WARN, STALL, STOP, REWIND = STATUSES = ("ok", "warn", "stall", "stop", "rewind")  # from good to bad
_COMMITS = 10  # Burrow's `intervals`
_LEAST_SILENCE = 60.0  # seconds; Burrow asks for ten looks at the log's end without zero lag
_SILENCE = 600.0  # seconds, where it is not known how often the group commits


class Stand(Protocol):
    """Where a group stands on a topic; sums over the partitions (table.Row is one)."""

    offsets: TopicOffsets
    committed: int
    lag: int
    moved_at: float  # when an offset last moved
    rewinds: int  # how often one went back


class Window:
    """What is remembered of one group on one topic: its last ten commits, and where it stood ten commits ago."""

    __slots__ = (
        "_before_rewind",
        "_committed",
        "_lag",
        "_lags",
        "_mark",
        "_moved_at",
        "_rewinds",
        "_since_mark",
        "_stuck",
        "_times",
        "_was_at_zero",
        "_zero_at",
    )

    def __init__(self, stand: Stand, edges: Edges, now: float) -> None:
        self._committed, self._lag, self._moved_at, self._rewinds = stand.committed, stand.lag, stand.moved_at, stand.rewinds
        self._mark, self._since_mark, self._stuck = (stand.offsets, edges), 0, False
        self._times: list[float] = []  # of the last commits
        self._lags: list[int] = []  # at the last commits, since the group was last at zero lag
        self._zero_at, self._was_at_zero = now, stand.lag <= 0
        self._before_rewind: int | None = None

    def take(self, stand: Stand, edges: Edges, looked: float) -> None:
        """Note a look: whether something was committed since the last one, at `looked`, and whether an offset went back."""
        if stand.rewinds > self._rewinds:
            self._before_rewind = max(self._committed, self._before_rewind or 0)
        if stand.lag <= 0 or (self._before_rewind is not None and stand.committed >= self._before_rewind):
            self._before_rewind = None
        moved = stand.moved_at > self._moved_at
        if moved:
            self._times = [*self._times[-(_COMMITS - 1) :], stand.moved_at]
        if stand.lag <= 0:
            self._was_at_zero = True
        elif self._lag <= 0:  # it falls behind
            self._zero_at, self._lags, self._stuck = looked, [], False
            self._mark, self._since_mark = (stand.offsets, edges), 0
        elif moved:
            self._lags = [*self._lags[-(_COMMITS - 1) :], stand.lag]
            self._since_mark += 1
            if self._since_mark == _COMMITS:
                self._stuck = _stuck(*self._mark, stand.offsets, edges)
                self._mark, self._since_mark = (stand.offsets, edges), 0
        self._committed, self._lag, self._moved_at, self._rewinds = stand.committed, stand.lag, stand.moved_at, stand.rewinds

    def status(self, members: int | None, now: float) -> str | None:
        """Return what is the matter, None while it cannot be told; `members` None: not known."""
        if self._lag <= 0:
            return OK
        if self._before_rewind is not None:
            return REWIND
        silence = now - max(self._moved_at, self._zero_at)
        whole = len(self._times) == _COMMITS
        if silence > (max(_LEAST_SILENCE, self._times[-1] - self._times[0]) if whole else _SILENCE):
            # Burrow's STOP and its STALL: nobody there, or there and not moving.
            return STALL if members else STOP
        if len(self._lags) < _COMMITS:
            return OK if self._was_at_zero or self._times else None
        if self._stuck:
            return STALL
        grows = all(later >= earlier for earlier, later in zip(self._lags, self._lags[1:], strict=False))
        return WARN if grows else OK


def _stuck(before: TopicOffsets, edges_before: Edges, offsets: TopicOffsets, edges: Edges) -> bool:
    """Tell whether a partition with something to read is where it was ten commits ago."""
    then = dict(before.items())
    return any(
        then.get(number) == offset and edges_before.end.get(number, 0) > offset < edges.end.get(number, 0)
        for number, offset in offsets.items()
    )


class StatusBook:
    """The windows of all groups, by topic."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str], Window] = {}
        self._looked = 0.0
        self._family = WideFamily("zads_consumergroup_status")
        self._texts: dict[tuple[str, str], bytes] = {}

    def update(
        self, stands: Iterator[tuple[str, str, Stand, Edges]], members: Mapping[str, int], now: float
    ) -> dict[str, str]:
        """Take one collection's (group, topic, stand, edges); return each group's worst status, where one can be told."""
        windows: dict[tuple[str, str], Window] = {}
        found: dict[str, list[str | None]] = {}
        for group, topic, stand, edges in stands:
            window = self._windows.get((group, topic))
            if window is None:
                window = Window(stand, edges, now)
            else:
                window.take(stand, edges, self._looked)
            windows[group, topic] = window
            found.setdefault(group, []).append(window.status(members.get(group), now))
        self._windows, self._looked = windows, now
        return {group: worst for group, statuses in found.items() if (worst := _worst(statuses)) is not None}

    def parts(self, found: Mapping[str, str]) -> list[Part]:
        """Return the text: one series per group and status, 1 for the one it has."""
        self._texts = {pair: self._texts.get(pair) or self._lines(*pair) for pair in found.items()}
        return [Part(self._family.head + b"".join(self._texts.values()))] if self._texts else []

    def _lines(self, group: str, status: str) -> bytes:
        return self._family.lines(((group, name), int(name == status)) for name in STATUSES)


def _worst(statuses: Iterable[str | None]) -> str | None:
    """Return the worst; unless something is wrong, one topic that cannot be told hides that the others are well."""
    known = list(statuses)
    worst = max((STATUSES.index(status) for status in known if status is not None), default=-1)
    return None if worst < 1 and None in known else STATUSES[worst]
