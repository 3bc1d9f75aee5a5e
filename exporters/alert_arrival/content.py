"""The books of what the packets say, without I/O: delays, exposures, schemas, what could not be read."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

from exporters.alert_arrival.latency import Latency
from exporters.alert_arrival.packets import AlertPacket

_EXPOSURES_KEPT = 200
_RECENT_SECONDS = 60.0
_PENDING_MOST = 400
_VERSIONS_MOST = 20
PartitionKey = tuple[str, str, int]  # topic id, topic, partition


@dataclass
class _Pending:
    """Decoded alerts of a partition that communities may still commit: (first offset, exposure's end, alerts)."""

    rows: list[tuple[int, float, int]] = field(default_factory=list)
    each: int = 1


class Content:
    """Books that the tail writes and the collector reads, both under `lock`."""

    def __init__(self, restricted: Iterable[int]) -> None:
        self.lock = threading.Lock()
        self.latency = Latency()
        self.errors: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()  # of the tail itself
        self.restricted: Counter[int] = Counter()
        self.schemas: dict[str, float] = {}
        self.exposures: Counter[int] = Counter()
        self.decoded = 0
        self.delivery_known = False  # some community commits: the total delay ends there, not at ZADS
        self._restricted = frozenset(restricted)
        self._per_exposure: OrderedDict[tuple[int, float], int] = OrderedDict()
        self._recent: deque[tuple[float, int, int]] = deque()
        self._pending: dict[PartitionKey, _Pending] = defaultdict(_Pending)

    def book(
        self, packet: AlertPacket, place: PartitionKey, offset: int, topic_program: int, times: tuple[float, float]
    ) -> None:
        """Take one packet; `times` are when it was put on record and when it was appended at ZADS."""
        (produced, appended), program = times, packet.program
        self.decoded += 1
        if program in self._restricted and program != topic_program:
            self.restricted[program] += 1
        self.latency.observe("exposure", program, produced - packet.exposure_end)
        self.latency.observe("mirror", program, appended - produced)
        if self.delivery_known:
            self._await(place, offset, packet.exposure_end)
        else:
            self.latency.observe("total", program, appended - packet.exposure_end)
        if packet.schema_version in self.schemas or len(self.schemas) < _VERSIONS_MOST:
            self.schemas[packet.schema_version] = appended
        key = (program, packet.jd)
        if key not in self._per_exposure:
            self.exposures[program] += 1
            while len(self._per_exposure) > _EXPOSURES_KEPT:
                self._per_exposure.popitem(last=False)
        self._per_exposure[key] = self._per_exposure.get(key, 0) + 1

    def _await(self, place: PartitionKey, offset: int, exposure_end: float) -> None:
        """Keep when the exposure ended until communities commit it; where many wait, one stands for its followers."""
        pending = self._pending[place]
        if pending.rows and pending.rows[-1][2] < pending.each:
            first, end, alerts = pending.rows[-1]
            pending.rows[-1] = (first, end, alerts + 1)
            return
        pending.rows.append((offset, exposure_end, 1))
        if len(pending.rows) > _PENDING_MOST:
            pending.each *= 2
            pairs = zip_longest(pending.rows[::2], pending.rows[1::2], fillvalue=(0, 0.0, 0))
            pending.rows = [(first, end, alerts + more) for (first, end, alerts), (_, _, more) in pairs]

    def delivered(self, place: PartitionKey, program: int, offsets: tuple[int, int], now: float) -> None:
        """A community committed the alerts from the first offset to before the second."""
        for offset, exposure_end, alerts in self._pending[place].rows if place in self._pending else ():
            if offsets[0] <= offset < offsets[1]:
                self.latency.observe("total", program, now - exposure_end, alerts)

    def keep_only(self, topic_ids: set[str]) -> None:
        """Forget what waits in topics that are gone."""
        for place in [p for p in self._pending if p[0] not in topic_ids]:
            del self._pending[place]

    def sampled(self, now: float, read: int, decoded: int) -> None:
        """Note how many of the packets that were read were also decoded."""
        self._recent.append((now, read, decoded))
        self._prune(now)

    def sampled_ratio(self, now: float) -> float | None:
        """Return the decoded share of what was read in the last minute, None when nothing came."""
        self._prune(now)
        read = sum(row[1] for row in self._recent)
        return sum(row[2] for row in self._recent) / read if read else None

    def _prune(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] >= _RECENT_SECONDS:
            self._recent.popleft()

    def alerts_per_exposure(self) -> dict[int, int]:
        """Return the alerts of the last exposure before the newest one, by program."""
        found: dict[int, int] = {}
        newest: set[int] = set()
        for (program, _), count in reversed(self._per_exposure.items()):
            if program not in newest:
                newest.add(program)
            else:
                found.setdefault(program, count)
        return found
