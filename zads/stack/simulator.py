"""A simulated IPAC: replay real packets as a night of exposures into the upstream Kafka."""

from __future__ import annotations

import json
import logging
import random
import signal
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from zads import kafka
from zads.config import Config
from zads.night import is_dark, night_name
from zads.stack.alert_packets import Exposure, Template, templates
from zads.stack.control import Watch
from zads.stack.paths import here
from zads.stack.sky import EXPOSURE_SECONDS, PROFILES, Visit, visits
from zads.stack.stranger import Stranger
from zads.stack.trouble_disk import Filler

_LOG = logging.getLogger(__name__)
_JD_UNIX_EPOCH = 2440587.5
_CATCH_UP_MOST = 120.0


def julian_date(unix_seconds: float) -> float:
    """Return the Julian date in days."""
    return unix_seconds / 86400.0 + _JD_UNIX_EPOCH


class Simulator:
    """Produce the night's packets at their time, with the trouble that was asked for."""

    def __init__(self, config: Config, control: Path, record: Path, *, scale: float, profile: str, seed: int) -> None:
        self._config, self._record = config, record
        self._watch = Watch(control)
        self._rng = random.Random(seed)
        self._visits = visits(PROFILES[profile], scale, random.Random(seed))
        self._templates: list[Template] = templates()
        self._cluster = config.kafka["upstream"]
        self._sent: Counter[str] = Counter()
        self._failed = 0
        self._sequence = 0
        self._stop = False
        self._garbage = 0
        self._topics: set[str] = set()
        self._closed = False
        self._leaked: float = 0.0
        self._producer: kafka.Producer | None = None
        self._filler = Filler(here())
        self._stranger = Stranger(config, lambda: bool(self._watch()["simulator"].get("stranger")))

    def run(self) -> int:
        """Produce until SIGTERM."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._make_topics()
        producer = self._producer = kafka.producer(self._cluster, client_id="ipac-simulator")
        self._stranger.start()
        begin = time.time()
        try:
            for visit in self._visits:
                while not self._stop and time.time() < begin + visit.at:
                    self._pause(0.2)
                if self._stop:
                    break
                if time.time() - begin - visit.at > _CATCH_UP_MOST:
                    begin = time.time() - visit.at  # the machine slept or Kafka was away: go on from now
                if self._watch()["simulator"].get("clouds") or self._day():
                    continue
                public = self._watch()["simulator"].get("public")
                self._expose(replace(visit, program=self._config.stream.public_programs[0]) if public else visit, producer)
        finally:
            self._stranger.stop()
            producer.close(timeout=5)
            self._write_record()
        return 0

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._stop = True

    def _day(self) -> bool:
        """Tell whether the Sun is up: the telescope closes at dawn, as the real one does."""
        site = self._config.site
        day = not is_dark(datetime.now(UTC), site.latitude, site.longitude, site.sun_limit)
        if day != self._closed:
            self._closed = day
            _LOG.info("the Sun is %s its limit: %s", *(("above", "no exposures") if day else ("below", "exposures")))
        return day

    def _pause(self, seconds: float) -> None:
        time.sleep(seconds)
        self._write_record()
        self._filler.step(wanted=bool(self._watch()["simulator"].get("fill")))
        self._leak()

    def _leak(self) -> None:
        """Send one packet of a private program inside the public topic, once for each time that it was asked for."""
        asked = float(self._watch()["simulator"].get("leak") or 0.0)
        programs = self._config.stream.restricted_programs
        if asked == self._leaked or self._producer is None or not programs:
            return
        self._leaked = asked
        if asked:
            self._sequence += 1
            exposure = Exposure(julian_date(time.time() - 600), programs[0], 500, 1)
            packet = self._templates[0].write(exposure, self._sequence, self._rng)
            self._send(self._producer, self._topic(self._config.stream.public_programs[0]), packet)

    def _topic(self, program: int) -> str:
        night = night_name(datetime.now(UTC), self._config.site.longitude)
        return f"ztf_{night}_programid{program}"

    def _make_topics(self) -> None:
        """Create tonight's topics, all programs with IPAC's 16 partitions."""
        names = {self._topic(program) for program in (1, 2, 3)}
        if names <= self._topics:
            return
        kafka.create_topics(self._cluster, dict.fromkeys(names, self._config.stream.partitions), client_id="ipac")
        self._topics |= names

    def _expose(self, visit: Visit, producer: kafka.Producer) -> None:
        """Send the exposure's packets, spread over the time until the next one."""
        self._make_topics()
        late = float(self._watch()["simulator"].get("late_seconds") or 0.0)
        start = time.time()
        jd = julian_date(start - visit.delay - late)
        exposure = Exposure(jd, visit.program, visit.field, visit.filter)
        spread = EXPOSURE_SECONDS * 0.95 / visit.alerts
        topic = self._topic(visit.program)
        for number in range(visit.alerts):
            if self._stop:
                return
            ahead = start + number * spread - time.time()
            if ahead > 0.02:
                self._pause(min(ahead, 0.5))
            self._sequence += 1
            packet = self._rng.choice(self._templates).write(exposure, self._sequence, self._rng)
            if self._watch()["simulator"].get("garbage") and number % 5 == 0:
                packet = self._spoil(packet)
            self._send(producer, topic, packet)

    def _spoil(self, packet: bytes) -> bytes:
        """Return what a broken producer might send: noise, half a packet, nothing, text."""
        self._garbage += 1
        return (self._rng.randbytes(4000), packet[: len(packet) // 2], b"", b"not an alert")[self._garbage % 4]

    def _send(self, producer: kafka.Producer, topic: str, packet: bytes) -> None:
        partition = self._rng.randrange(self._config.stream.partitions)
        try:
            producer.send(topic, packet, partition=partition, on_result=lambda ok: self._count(topic, ok))
        except kafka.KafkaFailure as error:
            self._failed += 1
            _LOG.warning("upstream Kafka takes nothing: %s", error)

    def _count(self, topic: str, ok: bool) -> None:
        if ok:
            self._sent[topic] += 1
        else:
            self._failed += 1

    def _write_record(self, every: float = 1.0) -> None:
        """Write how many packets each topic took: the truth that tests compare exporters with."""
        now = time.time()
        if now - getattr(self, "_recorded_at", 0.0) < every:
            return
        self._recorded_at = now
        content = {"at": now, "sent": dict(self._sent), "failed": self._failed, "garbage": self._garbage}
        partial = self._record.with_suffix(".new")
        partial.write_text(json.dumps(content), encoding="utf-8")
        partial.replace(self._record)
