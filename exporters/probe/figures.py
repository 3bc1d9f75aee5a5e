"""The arithmetic of a probe, without I/O: counts, rates, delays, what came twice and what is missing."""

from __future__ import annotations

import math
from array import array
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from exporters.alert_arrival.packets import AlertPacket, BadPacketError, Decoder
from zads.kafka import TopicPartition
from zads.kafka.fetch import Batch, Fetched

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
# exposure: from its end (jd + exptime) to the record's timestamp, by all alerts. The others end here, and are taken of
# alerts only that came while we looked: what lay there before waited for us.
STAGES = ("exposure", "record", "total")
_CANDIDS_KEPT = 1_000_000
_DELAYS_KEPT = 2_000_000
_EXAMPLES = 5
_SECONDS_KEPT = 120


@dataclass
class Partition:
    """Where the probe stands on a partition: its log's end when it was found, where we began, what is next."""

    found_end: int
    begin: int
    next: int
    end: int
    seen: bool = False  # an answer came without an error: it may be read
    error: str = ""  # why it could not be read, the last time it could not

    @property
    def lag(self) -> int:
        """Alerts that wait for us."""
        return max(0, self.end - self.next)

    @property
    def caught_up(self) -> bool:
        """Whether all is read that lay there when it was found."""
        return self.next >= self.found_end


@dataclass
class Second:
    """What came within one second."""

    alerts: int = 0
    wire: int = 0  # bytes of records as they were sent, compressed
    delay: float | None = None


@dataclass
class Backlog:
    """What lay there already, and how fast it came: the rate that the way to here carries."""

    alerts: int = 0
    wire: int = 0  # bytes of records as they were sent, compressed
    seconds: float = 0.0


@dataclass
class Figures:
    """What was read so far."""

    began: float
    partitions: dict[TopicPartition, Partition] = field(default_factory=dict)
    alerts: int = 0  # all that came, those that cannot be decoded too
    wire: int = 0  # bytes of records as they were sent, compressed
    decoded: int = 0
    live: int = 0
    undecodable: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    programs: Counter[int] = field(default_factory=Counter)
    schemas: set[str] = field(default_factory=set)
    duplicates: int = 0
    duplicate_candids: list[int] = field(default_factory=list)
    gaps: int = 0
    missing_offsets: int = 0
    deleted: int = 0  # offsets that Kafka deleted before we came to them
    newest_candid: int | None = None
    newest_timestamp: float | None = None
    earliest_future: float = 0.0  # seconds by which a record came before it was made: clocks that disagree
    backlog: Backlog = field(default_factory=Backlog)
    peak: Second = field(default_factory=Second)

    def __post_init__(self) -> None:
        """Begin the books."""
        self._decoder = Decoder()
        self._candids: OrderedDict[int, None] = OrderedDict()
        self._seconds: OrderedDict[int, Second] = OrderedDict()
        self._delays = {stage: array("d") for stage in STAGES}

    def find(self, part: TopicPartition, begin: int, end: int) -> None:
        """Begin with a partition that was found, whose log ends at `end`."""
        self.partitions[part] = Partition(end, begin, begin, end)

    def jump(self, part: TopicPartition, offset: int) -> None:
        """Go on from the log's start: what was wanted is deleted."""
        place = self.partitions[part]
        self.deleted += max(0, offset - place.next)
        place.next = offset

    def begin_at(self, part: TopicPartition, offset: int) -> None:
        """Begin where a group does, whatever was asked for."""
        place = self.partitions[part]
        place.begin = place.next = offset

    def take(self, row: Fetched, most: int | None = None) -> None:
        """Book what an answer brought; `most` is how many alerts are still wanted."""
        if row.part is None or row.part not in self.partitions:
            self.failures[row.error or "Unasked"] += 1
            return
        place = self.partitions[row.part]
        if row.error:
            place.error = row.error
            self.failures[row.error] += 1
            return
        place.seen, place.error, place.end = True, "", max(row.end, place.end)
        if row.begin != place.next:
            return  # asked for before we went elsewhere
        old = not self._all_caught_up()
        second = self._second(row.received)
        before, wire = self.alerts, self.wire
        for batch in row.batches:
            if most is not None and self.alerts - before >= most:
                break
            self._batch(place, batch, row.received, second, None if most is None else most - (self.alerts - before))
        second.wire += self.wire - wire
        if old and row.batches:
            self.backlog.alerts += self.alerts - before
            self.backlog.wire += self.wire - wire
            self.backlog.seconds = max(self.backlog.seconds, row.received - self.began)
        if second.wire > self.peak.wire:
            self.peak = second

    def _batch(self, place: Partition, batch: Batch, received: float, second: Second, most: int | None) -> None:
        self.wire += batch.size
        first = max(place.next, batch.base)
        self._gap(first - place.next)
        if batch.control:
            place.next = batch.next
            return
        count = 0
        try:
            for record in batch.records():
                if record.offset < place.next:
                    continue  # batches come whole: this was read, or not asked for
                self._gap(record.offset - max(place.next, first))
                place.next = record.offset + 1
                count += 1
                live = record.offset >= place.found_end
                self._alert(record.value, record.timestamp / 1000.0, received, live, second)
                if count == most:
                    return
        except Exception as error:  # a compression that is not there, or damaged bytes: the library raises anything
            lost = batch.next - max(place.next, first)
            self.alerts += lost
            self.undecodable[f"batch_{type(error).__name__.removesuffix('Error')}"] += lost
            place.next = batch.next
            return
        self._gap(batch.next - max(place.next, first))
        place.next = batch.next

    def _gap(self, offsets: int) -> None:
        if offsets > 0:
            self.gaps += 1
            self.missing_offsets += offsets

    def _alert(self, value: bytes | None, made: float, received: float, live: bool, second: Second) -> None:
        self.alerts += 1
        self.live += live
        second.alerts += 1
        self.newest_timestamp = max(made, self.newest_timestamp or made)
        if live:
            self.earliest_future = max(self.earliest_future, made - received)
            self._delay("record", received - made)
        try:
            packet = self._decoder.decode(value)
        except BadPacketError as error:
            self.undecodable[error.reason] += 1
            return
        self._packet(packet, made)
        if live:
            delay = received - packet.exposure_end
            self._delay("total", delay)
            second.delay = delay if second.delay is None else max(second.delay, delay)

    def _packet(self, packet: AlertPacket, made: float) -> None:
        self.decoded += 1
        self.programs[packet.program] += 1
        self.schemas.add(packet.schema_version)
        self._delay("exposure", made - packet.exposure_end)
        self.newest_candid = packet.candid
        if packet.candid in self._candids:
            self.duplicates += 1
            if len(self.duplicate_candids) < _EXAMPLES:
                self.duplicate_candids.append(packet.candid)
            return
        self._candids[packet.candid] = None
        if len(self._candids) > _CANDIDS_KEPT:
            self._candids.popitem(last=False)

    def _delay(self, stage: str, seconds: float) -> None:
        if len(self._delays[stage]) < _DELAYS_KEPT:
            self._delays[stage].append(seconds)

    def _second(self, when: float) -> Second:
        found = self._seconds.setdefault(int(when), Second())
        while len(self._seconds) > _SECONDS_KEPT:
            self._seconds.popitem(last=False)
        return found

    def _all_caught_up(self) -> bool:
        return all(place.caught_up for place in self.partitions.values())

    def second(self, when: int) -> Second:
        """Return what came within a second of the clock."""
        return self._seconds.get(when, Second())

    @property
    def lag(self) -> int:
        """Alerts that wait for us, by what the leaders last said."""
        return sum(place.lag for place in self.partitions.values())

    def delays(self, stage: str) -> dict[str, float]:
        """Return the quantiles of a stage in seconds; empty when nothing was measured.

        Each is the smallest delay that such a share of the alerts kept: none is made up between two.
        """
        values = sorted(self._delays[stage])
        if not values:
            return {}
        return {name: values[math.ceil(share * len(values) - 1e-9) - 1] for name, share in QUANTILES}

    def measured(self, stage: str) -> int:
        """Return how many alerts a stage's quantiles are of."""
        return len(self._delays[stage])
