"""The five community brokers as consumers that behave as the real ones do, and keep their own books.

Lasair commits every 250 alerts, AMPEL every 10 s, ALeRCE subscribes to tonight's and tomorrow's topic
by name, Fink reads with Spark (a random group, nothing committed), ANTARES assigns partitions by hand.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import signal
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from zads import kafka
from zads.config import Community, Config
from zads.night import night_name
from zads.stack.control import Watch

_LOG = logging.getLogger(__name__)
_ARRIVALS_EVERY = 1.0
_TOPICS_EVERY = 10.0
_ENDS_EVERY = 5.0
_CALL_MS = 5000  # kafka-python's calls wait without an end by default
_HUNGRY_AFTER = 20.0  # given nothing for so long: look whether there is something
_HANGS_AFTER = 60.0


class StarvedError(Exception):
    """The consumer is given nothing although there is something: a rebalance or a fetch that it never finished."""


@dataclass(frozen=True)
class Habit:
    """How a community reads: with a group or by hand, committing every N alerts, every T seconds or never."""

    group: str
    mode: str  # "pattern", "names" or "assign"
    commit_alerts: int = 0
    commit_seconds: float = 0.0


def habit(community: Community) -> Habit:
    """Return how the community of this name behaves; an unknown one subscribes and commits every 5 s."""
    known = {
        "lasair": Habit("lasair", "pattern", commit_alerts=community.commit_batch),
        "alerce": Habit("alerce", "names", commit_seconds=5.0),
        "antares": Habit("antares_junction", "assign"),
        "fink": Habit(f"spark-kafka-source-{uuid.uuid4()}-driver-0", "assign"),
        "ampel": Habit("ampel-v0.7.1-ztf_uw_public", "pattern", commit_seconds=10.0),
    }
    return known.get(community.name, Habit(community.name, "pattern", commit_seconds=5.0))


class Reader:
    """Read the public stream as one community, at full speed or at a share of the arrival rate."""

    def __init__(self, config: Config, community: Community, control: Path, record: Path) -> None:
        self._config, self._community, self._record = config, community, record
        self._habit = habit(community)
        self._watch = Watch(control)
        self._stop = False
        self._consumer: Any = None
        self._received = self._bytes = self._since_commit = 0
        self._committed_at = self._topics_at = self._recorded_at = self._arrivals_at = 0.0
        self._slow_since: tuple[float, int, int] | None = None  # share, arrived then, received then
        self._arrived = 0
        self._topics: list[str] = []
        self._committed: dict[str, int] = {}
        self._fed_at = time.monotonic()
        self._turns = self._behind = 0
        self._ends_at = 0.0
        self._position_book: dict[str, int] = {}

    def run(self) -> int:
        """Read until SIGTERM; a lost Kafka is tried again."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if self._habit.mode == "names":
            # Tomorrow's topic does not exist yet: the library says so as an error, twice a second.
            logging.getLogger("kafka.cluster").setLevel(logging.CRITICAL)
        threading.Thread(target=self._end_when_hanging, name="hanging", daemon=True).start()
        while not self._stop:
            self._turns += 1
            try:
                self._consumer = self._consumer or self._connect()
                self._turn()
            except (kafka.KafkaFailure, OSError, AssertionError, StarvedError) as error:
                _LOG.warning("Kafka: %s: %s", type(error).__name__, error)
                self._disconnect()
                time.sleep(1.0)
        if self._consumer is not None and self._habit.commit_alerts == 0 and self._habit.commit_seconds:
            self._commit()
        self._disconnect()
        return 0

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop = True

    def _end_when_hanging(self) -> None:
        """End a process whose main thread is stuck in the library, saying where: the supervisor starts it again.

        Rounds are counted, not seconds: a process that was frozen on purpose does not hang.
        """
        step, still, seen = 5.0, 0.0, -1
        while not self._stop:
            time.sleep(step)
            still = still + step if self._turns == seen else 0.0
            seen = self._turns
            if still >= _HANGS_AFTER:
                _LOG.error("the consumer has not come back for %.0f s; it is started anew", still)
                faulthandler.dump_traceback()
                os._exit(1)

    def _disconnect(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            try:
                consumer.close(autocommit=False, timeout_ms=2000)
            except Exception as error:  # the library may raise anything while its broker is gone
                _LOG.info("closing: %s", error)

    def _connect(self) -> Any:
        source = str(ip_network(self._community.networks[0])[0]) if self._community.networks else None
        by_hand = self._habit.mode == "assign"
        consumer = kafka.consumer(
            self._config.kafka["public"],
            client_id=self._community.name,
            source_address=source,
            group_id=None if by_hand else self._habit.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metadata_max_age_ms=5000,
            max_partition_fetch_bytes=2_000_000,
            fetch_max_bytes=16_000_000,
            fetch_max_wait_ms=1000,
            fetch_min_bytes=200_000,  # one fetch a second instead of one an alert
            bootstrap_timeout_ms=10000,
            session_timeout_ms=15000,
        )
        programs = "".join(str(number) for number in self._config.stream.public_programs)
        if self._habit.mode == "pattern":
            consumer.subscribe(pattern=f"^ztf_.*_programid[{programs}]$")
        self._topics_at = 0.0
        self._topics = []
        self._fed_at = time.monotonic()
        return consumer

    def _turn(self) -> None:
        """Do one round: topics, take what is allowed, commit when due."""
        now = time.time()
        if now - self._topics_at > _TOPICS_EVERY:
            self._topics_at = now
            self._find_topics()
        allowed = self._allowance(now)
        if allowed == 0:
            # Keep the group alive without taking anything.
            self._consumer.pause(*self._consumer.assignment())
            self._consumer.poll(timeout_ms=300, max_records=1)
            self._fed_at = time.monotonic()
        else:
            paused = self._consumer.paused()
            if paused:
                self._consumer.resume(*paused)
            # At full speed there is no allowance to follow: a longer wait is less work.
            wait = 400 if self._slow_since else 1000
            for records in self._consumer.poll(timeout_ms=wait, max_records=min(allowed, 500)).values():
                self._fed_at = time.monotonic()
                for record in records:
                    self._take(record)
            self._complain_when_starved()
        seconds = self._habit.commit_seconds
        if seconds and now - self._committed_at >= seconds:
            self._commit()
        self._write_record(now)

    def _complain_when_starved(self) -> None:
        """Raise StarvedError when nothing came for a while although the topics hold unread alerts."""
        if time.monotonic() - self._fed_at < _HUNGRY_AFTER:
            return
        self._fed_at = time.monotonic() - _HUNGRY_AFTER / 2
        assigned = self._consumer.assignment()
        wanted = set(self._partitions(self._topics)) if self._habit.mode == "names" else set(self._partitions())
        ends = self._consumer.end_offsets(sorted(wanted), timeout_ms=_CALL_MS) if wanted else {}
        unread = {p: end for p, end in ends.items() if end > (self._position(p) if p in assigned else 0)}
        if unread:
            raise StarvedError(
                f"{len(unread)} partitions hold unread alerts, {len(unread.keys() - assigned)} of them are not assigned"
            )

    def _position(self, part: Any) -> int:
        """Return the next offset of an assigned partition, 0 while it is not known."""
        return self._consumer.position(part, timeout_ms=_CALL_MS) or 0

    def _positions(self) -> dict[str, int]:
        return {f"{p.topic}:{p.partition}": self._position(p) for p in self._consumer.assignment()}

    def _partitions(self, names: list[str] | None = None) -> list[Any]:
        """Return the partitions of these topics, or of all topics with public alerts."""
        regex, programs = self._config.stream.topic_regex, self._config.stream.public_programs
        if names is None:
            names = [
                name
                for name in sorted(self._consumer.topics())
                if (match := regex.fullmatch(name)) and int(match["program"]) in programs
            ]
        return [
            kafka.partition(name, number)
            for name in names
            for number in sorted(self._consumer.partitions_for_topic(name) or ())
        ]

    def _take(self, record: Any) -> None:
        self._received += 1
        self._bytes += len(record.value or b"")
        self._since_commit += 1
        if self._habit.commit_alerts and self._since_commit >= self._habit.commit_alerts:
            self._commit()

    def _commit(self) -> None:
        """Commit the consumer's positions; it never commits what it was not given."""
        self._committed_at = time.time()
        self._since_commit = 0
        if self._asked().get("commits") is False:
            return  # `zads sim never-commit`
        if self._consumer.assignment():
            self._consumer.commit(timeout_ms=_CALL_MS)
            self._committed = self._positions()

    def _find_topics(self) -> None:
        """Follow the topics, where no subscription by pattern does it."""
        if self._habit.mode == "pattern":
            return
        if self._habit.mode == "names":
            programs = self._config.stream.public_programs
            days = [night_name(datetime.now(UTC) + timedelta(days=d), self._config.site.longitude) for d in (0, 1)]
            wanted = [f"ztf_{day}_programid{programs[0]}" for day in days]
            if wanted != self._topics:
                self._consumer.subscribe(wanted)
                self._topics = wanted
            return
        parts = self._partitions()
        if set(parts) != self._consumer.assignment():
            self._consumer.assign(parts)

    def _asked(self) -> dict[str, Any]:
        """Return what trouble this community is to make."""
        return self._watch()["communities"].get(self._community.name) or {}

    def _allowance(self, now: float) -> int:
        """Return how many alerts may be taken now: all, or what the asked share of the arrivals leaves."""
        share = self._asked().get("rate_share")
        if share is None:
            self._slow_since = None
            return 500
        if now - self._arrivals_at >= _ARRIVALS_EVERY:
            self._arrivals_at = now
            parts = list(self._consumer.assignment())
            self._arrived = sum(self._consumer.end_offsets(parts, timeout_ms=_CALL_MS).values()) if parts else 0
        if self._slow_since is None or self._slow_since[0] != share or self._arrived < self._slow_since[1]:
            self._slow_since = (share, self._arrived, self._received)
        _, arrived_then, received_then = self._slow_since
        return max(0, int(share * (self._arrived - arrived_then)) - (self._received - received_then))

    def _write_record(self, now: float) -> None:
        """Write the community's own books: the truth that tests compare the exporters with."""
        if now - self._recorded_at < 1.0:
            return
        self._recorded_at = now
        if now - self._ends_at >= _ENDS_EVERY:
            self._ends_at = now
            self._position_book = self._positions()
            parts = list(self._consumer.assignment())
            ends = self._consumer.end_offsets(parts, timeout_ms=_CALL_MS) if parts else {}
            self._behind = sum(max(0, end - self._committed.get(f"{p.topic}:{p.partition}", 0)) for p, end in ends.items())
        content = {
            "at": now,
            "received": self._received,
            "bytes": self._bytes,
            "position": self._position_book,
            "committed": self._committed,
            "behind": {"at": self._ends_at, "alerts": self._behind},
        }
        partial = self._record.with_suffix(".new")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self._record)
