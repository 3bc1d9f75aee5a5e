"""The benchmark's comparison of values with the peers': plain pages, no Kafka."""

from __future__ import annotations

from benchmarks.lag.values import Comparison, compare

_OURS = """\
kafka_consumergroup_lag{consumergroup="g",topic="t",partition="0"} 5
kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="0"} 10
kafka_consumergroup_lag_sum{consumergroup="g",topic="t"} 5
kafka_consumergroup_current_offset_sum{consumergroup="g",topic="t"} 10
kafka_consumergroup_current_offset_sum{consumergroup="g",topic="u"} 0
kafka_topic_partition_current_offset{topic="t",partition="0"} 15
kafka_topic_partition_current_offset{topic="t",partition="1"} 7
kafka_topic_partition_oldest_offset{topic="t",partition="0"} 0
kafka_topic_partition_oldest_offset{topic="t",partition="1"} 0
"""
_EXPORTER = (
    _OURS.replace('current_offset_sum{consumergroup="g",topic="t"} 10', 'current_offset_sum{consumergroup="g",topic="t"} 9')
    + """\
kafka_consumergroup_lag{consumergroup="g",topic="t",partition="1"} -1
kafka_consumergroup_current_offset{consumergroup="g",topic="t",partition="1"} -1
kafka_topic_partition_current_offset{topic="__consumer_offsets",partition="0"} 3
"""
)
_KMINION = """\
kminion_kafka_consumer_group_topic_partition_lag{group_id="g",topic_name="t",partition_id="0"} 5
kminion_kafka_consumer_group_topic_lag{group_id="g",topic_name="t"} 5
kminion_kafka_consumer_group_topic_offset_sum{group_id="g",topic_name="t"} 10
kminion_kafka_consumer_group_topic_offset_sum{group_id="g",topic_name="u"} 0
kminion_kafka_topic_partition_high_water_mark{topic_name="t",partition_id="0"} 15
kminion_kafka_topic_partition_high_water_mark{topic_name="t",partition_id="1"} 7
kminion_kafka_topic_partition_low_water_mark{topic_name="t",partition_id="0"} 0
kminion_kafka_topic_partition_low_water_mark{topic_name="t",partition_id="1"} 0
"""


def _wrong(found: list[Comparison]) -> list[str]:
    return [line for one in found for line in one.wrong]


def test_equal_values_and_differences_by_a_rule_are_no_errors() -> None:
    """kafka_exporter's -1 where nothing is committed, in the sum too, and Kafka's own topics: counted by name."""
    found = {one.kind: one for one in compare(_OURS, "kafka_exporter", _EXPORTER)}
    assert _wrong(list(found.values())) == []
    assert found["lag"].equal == 1
    assert sum(found["lag"].named.values()) == 1
    assert sum(found["committed offsets of a topic"].named.values()) == 1
    assert sum(found["log end"].named.values()) == 1
    assert _wrong(compare(_OURS, "KMinion", _KMINION)) == []


def test_any_other_difference_is_an_error() -> None:
    """A value that differs by one, a series that one of both lacks, a page without any."""
    for text in (
        _EXPORTER.replace('partition="0"} 5', 'partition="0"} 6'),
        _EXPORTER.replace('kafka_consumergroup_lag{consumergroup="g",topic="t",partition="0"} 5\n', ""),
        _EXPORTER.replace('partition="1"} -1', 'partition="1"} 0'),
        _EXPORTER + 'kafka_consumergroup_lag{consumergroup="h",topic="t",partition="0"} 5\n',
        "",
    ):
        assert _wrong(compare(_OURS, "kafka_exporter", text))
    assert _wrong(compare(_OURS, "KMinion", _KMINION.replace('partition_id="0"} 5', 'partition_id="0"} -1')))
