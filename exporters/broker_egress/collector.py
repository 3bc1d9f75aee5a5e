"""Publish both measurements of egress; the wire is read every second by a thread of its own."""

from __future__ import annotations

import json
import logging
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import psutil
from prometheus_client.metrics_core import Metric

from exporters.broker_egress.ledger import UNKNOWN, Connection, Ledger, Owners
from exporters.broker_egress.offsets import OffsetEgress
from exporters.broker_egress.wire import Wire
from zads.collector import Reading
from zads.config import Config, host_port
from zads.kafka import ClusterReader, KafkaFailure
from zads.metrics import counter, gauge

_LOG = logging.getLogger(__name__)
_LOOK_EVERY = 1.0
_SAVE_EVERY = 10.0
_OFFSETS_EVERY = 2  # collections


class WireSource(Protocol):
    """What reads the kernel's figures."""

    def look(self) -> list[Connection]:
        """Return all open connections to Kafka."""

    def watch(self, closed: Callable[[Connection], None], stop: threading.Event) -> None:
        """Report connections that end."""

    def close(self) -> None:
        """Let go of the kernel's socket."""


class BrokerEgressCollector:
    """Measure what is sent to each community."""

    name = "broker-egress"

    def __init__(self, config: Config, wire: WireSource, offsets: OffsetEgress, state: Path) -> None:
        self._config, self._wire, self._offsets, self._file = config, wire, offsets, state
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._ledger = Ledger(Owners(config), self._load())
        self._readable, self._reason = False, ""
        self._round = 0
        self._threads: list[threading.Thread] = []
        self._saved_at = time.monotonic()

    def close(self) -> None:
        """End the threads and keep the totals."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=3)
        if self._threads:
            self._save()
        self._wire.close()
        self._offsets.close()

    def collect(self) -> Reading:
        """Publish the wire's totals; read commits every second time."""
        if not self._threads:
            self._look()
            for target, label in ((self._poll, "wire"), (self._watch, "wire-events")):
                thread = threading.Thread(target=target, name=label, daemon=True)
                thread.start()
                self._threads.append(thread)
        errors = {} if self._readable else {self._reason or "WireUnreadable": 1}
        offsets_ok = True
        if self._round % _OFFSETS_EVERY == 0:
            try:
                errors |= self._offsets.collect()
            except (KafkaFailure, OSError, TimeoutError) as error:
                offsets_ok = False
                errors[type(error).__name__] = 1
        self._round += 1
        readable = gauge("zads_egress_wire_readable")
        readable.add_metric([], float(self._readable))
        return Reading(self._families(), [readable], errors=errors, ok=self._readable or offsets_ok)

    def _poll(self) -> None:
        while not self._stop.wait(_LOOK_EVERY):
            self._look()
            if time.monotonic() - self._saved_at > _SAVE_EVERY:
                self._save()

    def _look(self) -> None:
        try:
            # The ledger is locked over the reading: a close event must not fall between reading and booking.
            with self._lock:
                self._ledger.look(self._wire.look())
            self._readable = True
        except OSError as error:
            if self._readable or not self._reason:
                _LOG.warning("socket diagnostics cannot be read: %s; egress comes from offsets alone", error)
            self._readable, self._reason = False, type(error).__name__

    def _watch(self) -> None:
        try:
            self._wire.watch(self._on_closed, self._stop)
        except OSError as error:
            _LOG.warning("events of closed connections cannot be read: %s; short connections may be missed", error)

    def _on_closed(self, connection: Connection) -> None:
        with self._lock:
            self._ledger.closed(connection)

    def _families(self) -> list[Metric]:
        total, retransmits = counter("zads_community_egress_bytes_total"), counter("zads_community_retransmits_total")
        connections, queue = gauge("zads_community_connections"), gauge("zads_community_send_queue_bytes")
        rtt = gauge("zads_community_rtt_seconds")
        stranger_bytes, strangers = (
            counter("zads_egress_unattributed_bytes_total"),
            gauge("zads_egress_unattributed_connections"),
        )
        with self._lock:
            ledger = self._ledger
            for community in self._config.communities:
                name, open_now = community.name, ledger.open.get(community.name, [])
                if community.commits:
                    total.add_metric([name, "offsets"], self._offsets.bytes[name])
                if not self._readable:
                    continue
                total.add_metric([name, "wire"], ledger.bytes[name])
                retransmits.add_metric([name], ledger.retransmits[name])
                connections.add_metric([name], len(open_now))
                queue.add_metric([name], sum(c.send_queue for c in open_now))
                if open_now:
                    rtt.add_metric([name], statistics.median(c.rtt_seconds for c in open_now))
            if self._readable:
                stranger_bytes.add_metric([], ledger.bytes[UNKNOWN])
                strangers.add_metric([], len(ledger.open.get(UNKNOWN, [])))
        sent = counter("zads_egress_interface_bytes_total")
        sent.add_metric([], psutil.net_io_counters().bytes_sent)
        return [total, retransmits, connections, queue, rtt, stranger_bytes, strangers, sent]

    def _load(self) -> dict[str, Any] | None:
        try:
            state = dict(json.loads(self._file.read_text(encoding="utf-8")))
            # Sockets' names start anew with the machine.
            return state if state.get("boot") == psutil.boot_time() else {**state, "known": {}}
        except (OSError, ValueError):
            return None

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        with self._lock:
            state = {**self._ledger.state(), "boot": psutil.boot_time()}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial = self._file.with_suffix(".new")
            partial.write_text(json.dumps(state), encoding="utf-8")
            partial.replace(self._file)
        except OSError as error:
            _LOG.warning("totals cannot be kept in %s: %s", self._file, error)


def build(config: Config) -> BrokerEgressCollector:
    """Return the collector for the config."""
    public = config.kafka["public"]
    offsets = OffsetEgress(config, ClusterReader(public, client_id="zads-broker-egress"))
    ports = [host_port(address)[1] for address in public.bootstrap]
    return BrokerEgressCollector(config, Wire(ports), offsets, config.exporters.state_dir / "broker-egress.json")
