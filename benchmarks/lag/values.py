"""Do three exporters say the same? Compared series by series on a cluster on which nothing moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

Key = tuple[str, ...]
Column = dict[Key, float]
# What is said under which name: of ours (the same as kafka_exporter's) and of KMinion.
_OURS = {
    "lag": ("kafka_consumergroup_lag", ("consumergroup", "topic", "partition")),
    "committed offset": ("kafka_consumergroup_current_offset", ("consumergroup", "topic", "partition")),
    "lag of a topic": ("kafka_consumergroup_lag_sum", ("consumergroup", "topic")),
    "committed offsets of a topic": ("kafka_consumergroup_current_offset_sum", ("consumergroup", "topic")),
    "log end": ("kafka_topic_partition_current_offset", ("topic", "partition")),
    "log start": ("kafka_topic_partition_oldest_offset", ("topic", "partition")),
}
_GROUP, _TOPIC, _PARTITION = "group_id", "topic_name", "partition_id"
_KMINION = {
    "lag": ("kminion_kafka_consumer_group_topic_partition_lag", (_GROUP, _TOPIC, _PARTITION)),
    "lag of a topic": ("kminion_kafka_consumer_group_topic_lag", (_GROUP, _TOPIC)),
    "committed offsets of a topic": ("kminion_kafka_consumer_group_topic_offset_sum", (_GROUP, _TOPIC)),
    "log end": ("kminion_kafka_topic_partition_high_water_mark", (_TOPIC, _PARTITION)),
    "log start": ("kminion_kafka_topic_partition_low_water_mark", (_TOPIC, _PARTITION)),
}
_UNCOMMITTED = "no commit: kafka_exporter says -1, we have no series"
_INTERNAL = "topics of Kafka's own (__...): we leave them out by default"


@dataclass
class Comparison:
    """One kind of value against one peer: how many are equal, what differs by a rule that is named, what just differs."""

    kind: str
    peer: str
    equal: int = 0
    named: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def compare(ours: str, peer: str, text: str) -> list[Comparison]:
    """Compare our page with a peer's, every series of both."""
    names = _KMINION if peer == "KMinion" else _OURS
    mine = _columns(ours, _OURS)
    found = [_compare(kind, peer, mine[kind], theirs, mine) for kind, theirs in _columns(text, names).items()]
    for one in found:
        # The series that it makes last: Collect() does not wait for the goroutine that gathers them.
        if (
            peer == "kafka_exporter"
            and one.kind == "lag of a topic"
            and len(one.wrong) == 1
            and one.wrong[0].endswith(" None")
        ):
            one.wrong.clear()
            one.named["kafka_exporter loses the last series of a page now and then (a race in its collectChans)"] = 1
    return found


def _compare(kind: str, peer: str, mine: Column, theirs: Column, all_mine: Mapping[str, Column]) -> Comparison:
    result = Comparison(kind, peer)
    for key in sorted(mine.keys() | theirs.keys()):
        a, b = mine.get(key), theirs.get(key)
        if a == b:
            result.equal += 1
        elif name := _named(kind, peer, key, a, b, all_mine):
            result.named[name] = result.named.get(name, 0) + 1
        else:
            result.wrong.append(f"{kind} of {' / '.join(key)}: kafka-lag {a}, {peer} {b}")
    if not result.equal:
        result.wrong.append(f"{kind}: {peer} has no value that equals ours")
    return result


def _named(kind: str, peer: str, key: Key, ours: float | None, theirs: float | None, mine: Mapping[str, Column]) -> str:
    """Return the name of a difference that has to be there, nothing for any other."""
    topic = key[0] if kind.startswith("log") else key[1]
    if ours is None and topic.startswith("__"):
        return _INTERNAL
    if peer != "kafka_exporter":
        return ""
    if ours is None and theirs == -1 and key not in mine["committed offset"]:
        return _UNCOMMITTED
    if kind == "committed offsets of a topic" and ours is not None and theirs is not None:
        group, topic = key
        commits = sum(found[0] == group and found[1] == topic for found in mine["committed offset"])
        partitions = sum(found[0] == topic for found in mine["log end"])
        if ours - theirs == partitions - commits:
            return "no commit: kafka_exporter adds its -1 to the sum"
    return ""


def _columns(text: str, names: Mapping[str, tuple[str, tuple[str, ...]]]) -> dict[str, Column]:
    kinds = {name: (kind, labels) for kind, (name, labels) in names.items()}
    columns: dict[str, Column] = {kind: {} for kind in names}
    wanted = "\n".join(line for line in text.splitlines() if line.split("{", 1)[0] in kinds) + "\n"
    for family in text_string_to_metric_families(wanted):
        for sample in family.samples:
            kind, labels = kinds[sample.name]
            key = tuple(sample.labels[label] for label in labels)
            if key in columns[kind]:
                raise ValueError(f"{sample.name} stands there twice for {key}")
            columns[kind][key] = sample.value
    return columns
