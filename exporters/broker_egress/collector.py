"""Publish both measurements of egress; the wire is read every second by threads of its own."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.metrics_core import Metric

from exporters.broker_egress import words
from exporters.broker_egress.ledger import UNKNOWN, Ledger, Owners
from exporters.broker_egress.offsets import OffsetEgress
from exporters.broker_egress.watcher import Watcher, WireSource
from exporters.broker_egress.wire import Wire
from zads.collector import Reading
from zads.config import Config, host_port
from zads.kafka import ClusterReader, KafkaFailure
from zads.metrics import counter, gauge
from zads.state import StateFile

_OFFSETS_EVERY = 2  # collections
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class BrokerEgressCollector:
    """Measure what is sent to each community."""

    name = "broker-egress"

    def __init__(
        self, config: Config, wire: WireSource, offsets: OffsetEgress, state: Path, *, boot_id: Path = _BOOT_ID
    ) -> None:
        self._config, self._wire, self._offsets, self._boot_id = config, wire, offsets, boot_id
        self._file = StateFile(state)
        ports = set(config.exporters.community_ports or (host_port(a)[1] for a in config.kafka["public"].bootstrap))
        ledger, before = self._file.load(self._restored) or (Ledger(Owners(config)), None)
        # Of a port that was not watched before, what was sent there by now does not count.
        wire.start_with(ports if before is None else ports & before)
        self._ports = ports
        self._offsets_state = offsets.state()
        self._saving = threading.Lock()
        self._watcher = Watcher(wire, ledger, self._save)
        self._offsets_ok = False
        self._sent = words.Rate()
        self._round = 0

    def close(self) -> None:
        """End the threads and keep the totals."""
        self._watcher.close()
        self._save()
        self._offsets.close()

    def collect(self) -> Reading:
        """Publish the wire's totals; read commits every second time."""
        self._watcher.watch_also(self._ports)
        self._watcher.start()
        errors = self._watcher.taken_errors()
        if self._round % _OFFSETS_EVERY == 0:
            try:
                errors.update(self._offsets.collect())
                self._offsets_ok, self._offsets_state = True, self._offsets.state()
                if not self._config.exporters.community_ports:
                    self._watcher.watch_also(self._offsets.ports)
            except (KafkaFailure, OSError, AssertionError) as error:
                self._offsets_ok = False
                errors[type(error).__name__] += 1
        self._round += 1
        readable = self._watcher.readable
        with self._watcher.lock:
            families = self._families(self._watcher.ledger, readable)
            seen = words.wire(self._config, self._watcher.ledger, self._sent, time.monotonic())
        # Saved before it is published: after a kill, a counter must not come back lower than it was seen.
        self._save()
        with self._saving:
            errors.update(self._file.errors())
        seen = words.seen(seen, readable=readable, offsets=self._offsets_ok)
        wire = gauge("zads_egress_wire_readable")
        wire.add_metric([], float(readable))
        return Reading(families, [wire], errors=dict(errors), ok=readable or self._offsets_ok, seen=seen)

    def _families(self, ledger: Ledger, readable: bool) -> list[Metric]:
        total, retransmits = counter("zads_community_egress_bytes_total"), counter("zads_community_retransmits_total")
        connections, queue = gauge("zads_community_connections"), gauge("zads_community_send_queue_bytes")
        sessions = counter("zads_community_sessions_total")
        rtt, replayed = gauge("zads_community_rtt_seconds"), counter("zads_community_replayed_alerts_total")
        stranger_bytes = counter("zads_egress_unattributed_bytes_total")
        strangers = gauge("zads_egress_unattributed_connections")
        for community in self._config.communities:
            name, open_now = community.name, ledger.open.get(community.name, [])
            if community.commits and self._offsets_ok:
                total.add_metric([name, "offsets"], self._offsets.bytes[name])
                replayed.add_metric([name], self._offsets.replayed[name])
            if not readable:
                continue
            total.add_metric([name, "wire"], ledger.bytes[name])
            retransmits.add_metric([name], ledger.retransmits[name])
            connections.add_metric([name], len(open_now))
            sessions.add_metric([name], ledger.sessions[name])
            queue.add_metric([name], sum(c.send_queue for c in open_now))
            if open_now:
                rtt.add_metric([name], statistics.median(c.rtt_seconds for c in open_now))
        if readable:
            stranger_bytes.add_metric([], ledger.bytes[UNKNOWN])
            strangers.add_metric([], len(ledger.open.get(UNKNOWN, [])))
        sent, interfaces = counter("zads_egress_interface_bytes_total"), psutil.net_io_counters()
        if interfaces is not None:
            sent.add_metric([], interfaces.bytes_sent)
        return [total, replayed, retransmits, connections, sessions, queue, rtt, stranger_bytes, strangers, sent]

    def _boot(self) -> str:
        """Return the name of this run of the machine; the time of its boot wanders with the clock."""
        try:
            return self._boot_id.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return "unknown"

    def _restored(self, state: Any) -> tuple[Ledger, set[int] | None]:
        """Return the ledger as it was saved and the ports that were watched (None: not noted), and restore the offsets."""
        # Sockets' names start anew with the machine.
        ledger = Ledger(Owners(self._config), state if state["boot"] == self._boot() else {**state, "known": {}})
        ports = {int(port) for port in state["ports"]} if "ports" in state else None
        if "offsets" in state:
            self._offsets.restore(state["offsets"])
        return ledger, ports

    def _save(self) -> None:
        """Write the totals down; called by the loop and by the watcher's thread."""
        with self._saving:
            with self._watcher.lock:
                state = self._watcher.ledger.state()
            own = {"boot": self._boot(), "ports": sorted(self._wire.ports), "offsets": self._offsets_state}
            self._file.save({**state, **own})


def build(config: Config) -> BrokerEgressCollector:
    """Return the collector for the config."""
    public = config.kafka["public"]
    offsets = OffsetEgress(config, ClusterReader(public, client_id="zads-broker-egress"))
    return BrokerEgressCollector(config, Wire(), offsets, config.exporters.state_dir / "broker-egress.json")
