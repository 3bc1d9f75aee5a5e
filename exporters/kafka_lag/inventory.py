"""What changes seldom and costs the brokers more: disks, topics' settings, versions, the controller. Read once a minute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from prometheus_client.metrics_core import Metric

from zads.kafka import Answer, Disks, Metadata, Topic
from zads.metrics import gauge
from zads.snapshot import Part, WideFamily

_EVERY = 60.0
_AFTER_REFUSAL = 600.0  # a right that is missing is missing for a while, and the broker logs each refusal
PER_TOPIC = 5
_SETTINGS = ("retention.ms", "retention.bytes", "min.insync.replicas", "cleanup.policy")
_UNLIMITED = float("inf")


class Source(Protocol):
    """The part of ClusterReader that is needed here."""

    def disks(self) -> tuple[Disks, Answer[int]]:
        """Return what the logs take."""

    def topic_settings(self, topics: list[str], keys: tuple[str, ...]) -> Answer[dict[str, str]]:
        """Return topics' settings."""

    def controller(self, metadata: Metadata) -> tuple[int | None, str]:
        """Return the controller's id, or why it is not known."""

    def version(self, broker: int) -> str:
        """Return a broker's version."""


class Inventory:
    """Keep what was read last; a kind of reading that is refused is tried again after ten minutes."""

    def __init__(self, source: Source, monotonic: Callable[[], float]) -> None:
        self.source, self._monotonic = source, monotonic
        self._disks: Disks | None = None
        self._settings: dict[str, dict[str, str]] = {}
        self._controller: int | None = None
        self._next: dict[str, float] = defaultdict(lambda: float("-inf"))
        self._names: set[str] = set()
        self._rendered: list[Part] | None = None
        self._families = {
            name: WideFamily(name)
            for name in (
                "zads_topic_log_bytes",
                "zads_topic_retention_seconds",
                "zads_topic_retention_bytes",
                "zads_topic_min_in_sync_replicas",
                "zads_topic_info",
            )
        }

    def again(self) -> None:
        """Read anew at the next look: other connections, other rights."""
        self._next.clear()

    def look(self, metadata: Metadata, topics: Mapping[str, Topic]) -> dict[str, int]:
        """Read what is due; return errors by reason. New topics are asked about at once."""
        errors: dict[str, int] = defaultdict(int)
        now = self._monotonic()
        if now >= self._next["disks"]:
            disks, answer = self.source.disks()
            self._disks = disks if disks.brokers else None
            self._plan("disks", answer, errors, now)
        new = set(topics) - self._names
        if now >= self._next["settings"] or (new and now >= self._next["refused"]):
            wanted = sorted(topics if now >= self._next["settings"] else new)
            settings = self.source.topic_settings(wanted, _SETTINGS)
            self._settings |= settings.values
            refused = self._plan("settings", settings, errors, now)
            self._next["refused"] = now + _AFTER_REFUSAL if refused else float("-inf")
        if now >= self._next["controller"]:
            self._controller, reason = self.source.controller(metadata)
            self._plan("controller", Answer(errors={reason: 1} if reason else {}), errors, now)
        if len(self._names) != len(topics) or new:
            self._rendered = None
        self._names = set(topics)
        self._settings = {name: known for name, known in self._settings.items() if name in topics}
        return errors

    def _plan(self, kind: str, answer: Answer[Any], errors: dict[str, int], now: float) -> bool:
        self._rendered = None
        for reason, count in answer.errors.items():
            errors[reason] += count
        refused = any("Authorization" in reason for reason in answer.errors)
        self._next[kind] = now + (_AFTER_REFUSAL if refused else _EVERY)
        return refused

    def families(self, metadata: Metadata) -> list[Metric]:
        """Return what stands per cluster and broker."""
        info, controller = gauge("zads_kafka_cluster_info"), gauge("zads_kafka_controller_id")
        broker_info, size = gauge("zads_kafka_broker_info"), gauge("zads_kafka_broker_log_bytes")
        total, usable = gauge("zads_kafka_volume_bytes"), gauge("zads_kafka_volume_usable_bytes")
        if metadata.cluster_id:
            info.add_metric([metadata.cluster_id], 1)
        if self._controller is not None:
            controller.add_metric([], self._controller)
        for broker in metadata.brokers:
            broker_info.add_metric([str(broker), metadata.racks.get(broker, ""), self.source.version(broker)], 1)
        disks = self._disks or Disks()
        for broker, number in disks.brokers.items():
            size.add_metric([str(broker)], number)
        for (broker, folder), volume in disks.volumes.items():
            total.add_metric([str(broker), folder], volume.total)
            usable.add_metric([str(broker), folder], volume.usable)
        return [info, controller, broker_info, size, total, usable]

    def parts(self, topics: Mapping[str, Topic]) -> list[Part]:
        """Return what stands per topic, rendered when something was read."""
        if self._rendered is None:
            self._rendered = self._render(topics)
        return self._rendered

    def _render(self, topics: Mapping[str, Topic]) -> list[Part]:
        sizes = self._disks.topics if self._disks is not None else {}
        settings = {name: self._settings[name] for name in topics if name in self._settings}
        columns: dict[str, list[tuple[tuple[object, ...], float]]] = {
            "zads_topic_log_bytes": [((name,), sizes[name]) for name in topics if name in sizes],
            "zads_topic_retention_seconds": [((n,), _limit(s, "retention.ms", 1000.0)) for n, s in settings.items()],
            "zads_topic_retention_bytes": [((n,), _limit(s, "retention.bytes", 1.0)) for n, s in settings.items()],
            "zads_topic_min_in_sync_replicas": [
                ((n,), int(s["min.insync.replicas"])) for n, s in settings.items() if "min.insync.replicas" in s
            ],
            "zads_topic_info": [((n, s.get("cleanup.policy", "")), 1) for n, s in settings.items()],
        }
        texts = (self._families[name].render(samples) for name, samples in columns.items())
        return [Part(text) for text in texts if text]


def _limit(settings: Mapping[str, str], key: str, unit: float) -> float:
    """Return a limit in base units: infinite where it is -1, or where it does not apply (nothing is deleted)."""
    value = float(settings.get(key, -1))
    deletes = "delete" in settings.get("cleanup.policy", "delete")
    return value / unit if value >= 0 and deletes else _UNLIMITED
