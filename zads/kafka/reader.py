"""Read a cluster for monitoring, broker by broker, so that every broker, group and partition fails alone.

kafka-python's own admin calls raise at the first bad item and drop the rest, and its cache of
coordinators is never invalidated (3.0.12); requests built here go to the broker that listed the group,
which is its coordinator.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kafka.errors import IncompatibleBrokerVersion
from kafka.protocol.admin import DescribeLogDirsRequest, ListGroupsRequest
from kafka.protocol.consumer import ListOffsetsRequest
from kafka.protocol.metadata import MetadataRequest

from zads.config import KafkaCluster
from zads.kafka import facts, offset_fetch
from zads.kafka.client import Client
from zads.kafka.describe import describe
from zads.kafka.disks import Disks
from zads.kafka.errors import reason
from zads.kafka.model import Answer, Group, Membership, Metadata, ShareOffset, Topic, TopicPartition
from zads.kafka.offset_fetch import TopicOffsets
from zads.kafka.shares import share_offsets

_LOG = logging.getLogger(__name__)
_GROUPS_PER_REQUEST = 500
_METADATA_TRIES = 3
_OFFSETS_TOPIC = "__consumer_offsets"
_NO_RIGHT = 29  # TOPIC_AUTHORIZATION_FAILED


class ClusterReader:
    """Read groups, offsets and sizes from one cluster; a reader belongs to one thread.

    Connects at the first call. A failed `metadata()` throws the client away, since a client of kafka-python
    may go on for ever with addresses that are gone; so does a broker that has answered nothing for
    `patience` calls of `metadata()`.
    """

    def __init__(self, cluster: KafkaCluster, *, client_id: str, timeout: float = 4.0, patience: int = 3) -> None:
        self._cluster, self._client_id, self._timeout, self._patience = cluster, client_id, timeout, patience
        self._client: Client | None = None
        self._leaders: dict[TopicPartition, int] = {}
        self._is_headless = False  # a partition of the offsets topic has no leader
        self._may_ask_for_offsets_topic = True
        self._brokers: list[int] = []
        self._silent: dict[int, int] = {}
        self._offsets: dict[str, dict[str, TopicOffsets]] = {}
        self.replaced = 0

    def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        self._silent.clear()
        self._may_ask_for_offsets_topic = True
        if client is not None:
            client.close()

    def metadata(self) -> Metadata:
        """Return brokers and topics, fresh from a broker.

        Raises KafkaFailure or OSError when no broker answers.
        """
        self._replace_when_stuck()
        response = self._metadata(None)
        brokers = {b.node_id: (b.host, b.port) for b in response.brokers}
        topics = {}
        for topic in response.topics:
            if topic.error_code:
                continue
            leaders = {p.partition_index: p.leader_id for p in topic.partitions}
            replicas = {p.partition_index: tuple(p.replica_nodes) for p in topic.partitions}
            in_sync = {p.partition_index: len(p.isr_nodes) for p in topic.partitions}
            # Before Kafka 2.8 topics had no id: a topic made anew is then seen by its shorter log only.
            identity = str(getattr(topic, "topic_id", None) or topic.name)
            topics[topic.name] = Topic(topic.name, identity, leaders, replicas, in_sync)
        self._brokers = list(brokers)
        self._leaders = {(t.name, p): leader for t in topics.values() for p, leader in t.leaders.items()}
        self._is_headless = _is_headless(response.topics)
        # Of a KRaft cluster this is any broker, of one with ZooKeeper the controller.
        controller = getattr(response, "controller_id", -1)
        racks = {b.node_id: b.rack for b in response.brokers if getattr(b, "rack", None)}
        identity = getattr(response, "cluster_id", None) or ""
        return Metadata(brokers, topics, identity, controller if controller >= 0 else None, racks)

    def brokers(self) -> list[int]:
        """Return the brokers, fresh from one of them; cheaper than metadata() before a groups().

        Which partitions of the offsets topic have a leader is learnt with it: groups() has to know it of now.
        Raises KafkaFailure or OSError when no broker answers.
        """
        response = self._metadata([_OFFSETS_TOPIC] if self._may_ask_for_offsets_topic else [])
        self._brokers = [broker.node_id for broker in response.brokers]
        self._is_headless = _is_headless(response.topics)
        # Who may not see it is not to fill the broker's log with refusals.
        self._may_ask_for_offsets_topic &= all(topic.error_code != _NO_RIGHT for topic in response.topics)
        return self._brokers

    def _metadata(self, topics: list[str] | None) -> Any:
        """Ask one broker after the other, those first that answered last time; at most three."""
        client = self._connected()
        failure: Exception | None = None
        for broker in sorted(client.brokers(), key=lambda broker: broker in self._silent)[:_METADATA_TRIES]:
            try:
                names = None if topics is None else [MetadataRequest.MetadataRequestTopic(name=name) for name in topics]
                response = client.ask(MetadataRequest(topics=names, allow_auto_topic_creation=False), broker)
            except Exception as error:  # see _ask
                failure = error
                self._silent.setdefault(broker, 0)
                continue
            self._silent.pop(broker, None)
            client.learn(response)
            return response
        self.close()
        self.replaced += 1
        raise failure or ConnectionError("the cluster has named no brokers")

    def groups(self) -> Answer[Group]:
        """Return all groups by name, of every state and type, from every broker.

        A group that two brokers list while its coordinator moves is one group: the living answer wins.
        `failed` holds brokers that did not say; groups on a partition of the offsets topic that has no leader
        are listed by nobody, which is an error too.
        """
        answer: Answer[Group] = Answer()
        for broker in self._brokers:
            response = self._ask(ListGroupsRequest(min_version=0), broker, answer)
            if response is None or response.error_code:
                answer.failed.add(broker)
                if response is not None:
                    answer.errors[reason(response.error_code)] += 1
                continue
            for row in response.groups:
                state = getattr(row, "group_state", "") or "Unknown"
                kind = getattr(row, "group_type", "") or "classic"
                group = Group(row.group_id, state, kind.lower(), broker)
                known = answer.values.get(group.name)
                if known is None or (known.state == "Dead" and state != "Dead"):
                    answer.values[group.name] = group
        if self._is_headless:
            answer.errors["CoordinatorNotAvailable"] += 1
            answer.failed.add(-1)
        return answer

    def offsets(self, groups: Iterable[Group]) -> Answer[dict[str, TopicOffsets]]:
        """Return each group's committed offsets by topic.

        One OffsetFetch (v8, KIP-709) per coordinator and 500 groups. Share groups have no commits (KIP-932).
        `failed` holds the names of groups, and (group, topic, partition) where one partition failed. What did
        not change since the last call is the same object.
        """
        answer: Answer[dict[str, TopicOffsets]] = Answer()
        by_broker: dict[int, list[str]] = defaultdict(list)
        for group in groups:
            if group.type != "share":
                by_broker[group.coordinator].append(group.name)
        for broker, names in by_broker.items():
            for start in range(0, len(names), _GROUPS_PER_REQUEST):
                part = names[start : start + _GROUPS_PER_REQUEST]
                response = self._ask(offset_fetch.request(part), broker, answer)
                try:
                    found = () if response is None else list(offset_fetch.parse(response.data, self._offsets))
                except ValueError:
                    _LOG.warning("broker %d: an answer to OffsetFetch cannot be read", broker, exc_info=True)
                    answer.errors["Unreadable"] += 1
                    found = ()
                answer.failed.update(set(part) - {row.group for row in found})
                self._take_offsets(found, answer)
        self._offsets = answer.values
        return answer

    @staticmethod
    def _take_offsets(found: Iterable[offset_fetch.GroupAnswer], answer: Answer[dict[str, TopicOffsets]]) -> None:
        for row in found:
            if row.error:
                answer.errors[reason(row.error)] += 1
                answer.failed.add(row.group)
                continue
            answer.values[row.group] = row.topics
            for topic, number, error in row.failed:
                answer.errors[reason(error)] += 1
                answer.failed.add((row.group, topic, number))

    def committed(self, groups: Iterable[Group]) -> Answer[dict[TopicPartition, int]]:
        """Return each group's committed offsets by topic and partition: offsets() in another form, for a few groups."""
        found = self.offsets(groups)
        values = {
            group: {(topic, number): offset for topic, part in topics.items() for number, offset in part.items()}
            for group, topics in found.values.items()
        }
        return Answer(values, found.errors, found.failed)

    def list_offsets(self, wanted: Mapping[TopicPartition, int], *, read_committed: bool = False) -> Answer[tuple[int, int]]:
        """Return (offset, timestamp in ms) per partition: LATEST, EARLIEST, or the first at or after a time in ms.

        One request per leader. Offset -1 means that no message is that young. Needs a metadata() before.
        `failed` holds (topic, partition). With `read_committed` the log ends where a transaction is open, as it
        does for consumers with that isolation level.
        """
        answer: Answer[tuple[int, int]] = Answer()
        by_leader: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for (topic, part), timestamp in wanted.items():
            leader = self._leaders.get((topic, part), -1)
            if leader < 0:
                answer.errors["LeaderNotAvailable"] += 1
                answer.failed.add((topic, part))
                continue
            by_leader[leader][topic].append((part, timestamp))
        new_topic = ListOffsetsRequest.ListOffsetsTopic
        new_part = new_topic.ListOffsetsPartition
        for leader, topics in by_leader.items():
            request = ListOffsetsRequest(
                replica_id=-1,
                isolation_level=int(read_committed),
                timeout_ms=int(self._timeout * 1000),
                topics=[
                    new_topic(
                        name=name,
                        partitions=[new_part(partition_index=p, current_leader_epoch=-1, timestamp=t) for p, t in parts],
                    )
                    for name, parts in topics.items()
                ],
                min_version=1,
            )
            response = self._ask(request, leader, answer)
            if response is None:
                answer.failed.update((name, p) for name, parts in topics.items() for p, _ in parts)
                continue
            for topic in response.topics:
                for part in topic.partitions:
                    key = (topic.name, part.partition_index)
                    if part.error_code:
                        answer.errors[reason(part.error_code)] += 1
                        answer.failed.add(key)
                    else:
                        answer.values[key] = (part.offset, part.timestamp)
        return answer

    def describe(self, groups: Iterable[Group]) -> Answer[Membership]:
        """Return the membership of each classic and each consumer group (KIP-848)."""
        return describe(groups, self._ask)

    def members(self, groups: Iterable[Group]) -> Answer[int]:
        """Return the number of members of each classic and each consumer group."""
        found = self.describe(groups)
        return Answer({name: who.members for name, who in found.values.items()}, found.errors, found.failed)

    def share_offsets(self, groups: Iterable[Group]) -> Answer[dict[TopicPartition, ShareOffset]]:
        """Return where each share group stands (KIP-932); other groups are left out."""
        return share_offsets(groups, self._ask)

    def log_dirs(self) -> Answer[int]:
        """Return the bytes that each partition's log takes: the largest replica."""
        disks, answer = self.disks()
        return Answer(dict(disks.partitions), answer.errors, answer.failed)

    def disks(self) -> tuple[Disks, Answer[int]]:
        """Return what the logs take on every broker; `failed` of the answer holds brokers that did not say."""
        answer: Answer[int] = Answer()
        disks = Disks()
        for broker in self._brokers:
            response = self._ask(DescribeLogDirsRequest(topics=None), broker, answer)
            if response is None:
                answer.failed.add(broker)
            else:
                disks.take(broker, response, answer)
        return disks, answer

    def topic_settings(self, topics: Sequence[str], keys: Collection[str]) -> Answer[dict[str, str]]:
        """Return topics' settings with these keys, from the first broker that answers."""

        def ask(request: Any, answer: Answer[Any]) -> Any:
            answers = (self._ask(request, broker, answer) for broker in self._brokers[:_METADATA_TRIES])
            return next((response for response in answers if response is not None), None)

        return facts.topic_settings(topics, keys, ask)

    def controller(self, metadata: Metadata) -> tuple[int | None, str]:
        """Return the controller's id, or None and why: KRaft's quorum knows it, before that the metadata."""
        try:
            response = self._connected().ask(facts.quorum_request(), self._brokers[0])
        except IncompatibleBrokerVersion:
            return metadata.controller, ""
        except Exception as error:  # see _ask
            return None, reason(error)
        leader, error_code = facts.quorum_leader(response)
        return leader, reason(error_code) if error_code else ""

    def version(self, broker: int) -> str:
        """Return the broker's version as its requests tell ("4.2"), "" before the first connection to it."""
        return self._connected().version(broker)

    def _ask(self, request: Any, broker: int, answer: Answer[Any]) -> Any:
        """Send one request to one broker; None when it fails, which is counted in the answer."""
        try:
            response = self._connected().ask(request, broker)
        except Exception as error:  # besides KafkaError the library raises ValueError, AssertionError, RuntimeError
            answer.errors[reason(error)] += 1
            self._silent.setdefault(broker, 0)
            _LOG.debug("%s of broker %d failed", type(request).__name__, broker, exc_info=True)
            return None
        self._silent.pop(broker, None)
        return response

    def _replace_when_stuck(self) -> None:
        """Begin with a new client when a broker has answered nothing for too long."""
        for broker in self._silent:
            self._silent[broker] += 1
        if any(count > self._patience for count in self._silent.values()):
            _LOG.info("brokers %s do not answer: a new client is made", sorted(self._silent))
            self.replaced += 1
            self.close()

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client(self._cluster, client_id=self._client_id, timeout=self._timeout)
        return self._client


def _is_headless(topics: Iterable[Any]) -> bool:
    """Tell whether a partition of the offsets topic has no leader: nobody lists the groups on it."""
    return any(part.leader_id < 0 for topic in topics if topic.name == _OFFSETS_TOPIC for part in topic.partitions)
