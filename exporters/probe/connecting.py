"""Connect as a community's consumer does, and time each step; what fails is said with what to do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from exporters.probe import faults
from exporters.probe.faults import ProbeError
from zads import kafka
from zads.config import KafkaCluster
from zads.kafka import ClusterReader, Metadata
from zads.kafka.errors import reason
from zads.kafka.fetch import Fetcher
from zads.kafka.steps import StepError, reach

_TIMEOUT_SECONDS = 5.0
_FAILURES = (kafka.KafkaFailure, OSError, ValueError, AssertionError, RuntimeError)


@dataclass
class Connection:
    """An open way to the cluster: `seconds` by step, `address` is the one that took us in."""

    cluster: KafkaCluster
    address: str
    seconds: dict[str, float]
    fetcher: Fetcher
    reader: ClusterReader
    metadata: Metadata
    leaders_tried: dict[int, str] = field(default_factory=dict)  # broker to what is wrong with its address, "" when nothing

    def close(self) -> None:
        """Close all connections."""
        self.fetcher.close()
        self.reader.close()

    def refresh(self) -> Metadata:
        """Read the cluster's topics again.

        Raises ProbeError when no broker tells.
        """
        try:
            self.metadata = self.reader.metadata()
        except _FAILURES as error:
            raise faults.of_metadata(reason(error), str(error)) from error
        return self.metadata

    def try_leader(self, broker: int) -> str:
        """Return what is wrong with the address that the cluster gives of a broker; tried once."""
        if broker not in self.leaders_tried and broker in self.metadata.brokers:
            wrong = _out_of_reach(self.cluster, [self.metadata.brokers[broker]])
            self.leaders_tried[broker] = str(wrong or "")
        return self.leaders_tried.get(broker, "")


def connect(cluster: KafkaCluster, client_id: str = "zads-probe") -> Connection:
    """Connect to the first bootstrap address that takes us in.

    Raises ProbeError.
    """
    address, seconds = _reach(cluster)
    begin = time.monotonic()
    try:
        fetcher = Fetcher(cluster, client_id=client_id)
    except _FAILURES as error:
        raise faults.of_login(reason(error), str(error), cluster) from error
    seconds["login"] = time.monotonic() - begin
    reader = ClusterReader(cluster, client_id=client_id, timeout=_TIMEOUT_SECONDS)
    try:
        reader.metadata()  # over a connection of its own: what is timed is the second answer
        begin = time.monotonic()
        metadata = reader.metadata()
    except _FAILURES as error:
        wrong = _out_of_reach(cluster, fetcher.brokers().values())
        fetcher.close()
        reader.close()
        raise wrong or faults.of_metadata(reason(error), str(error)) from error
    seconds["metadata"] = time.monotonic() - begin
    return Connection(cluster, address, seconds, fetcher, reader, metadata)


def _out_of_reach(cluster: KafkaCluster, brokers: Iterable[tuple[str, int]]) -> ProbeError | None:
    """Return what is wrong with the first of these addresses that does not work from here, None when all do."""
    for host, port in brokers:
        try:
            reach(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", cluster, _TIMEOUT_SECONDS)
        except StepError as error:
            return faults.of_leader(error, cluster)
    return None


def _reach(cluster: KafkaCluster) -> tuple[str, dict[str, float]]:
    failures: list[ProbeError] = []
    for address in cluster.bootstrap:
        try:
            return address, reach(address, cluster, _TIMEOUT_SECONDS)
        except StepError as error:
            failures.append(faults.of_step(error, cluster))
    raise ProbeError(failures[0].step, " ".join(dict.fromkeys(map(str, failures))))
