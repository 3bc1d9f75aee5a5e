"""What changes seldom: topics' settings, the controller."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from kafka.protocol.admin import DescribeConfigsRequest, DescribeQuorumRequest

from zads.kafka.errors import reason
from zads.kafka.model import Answer

_TOPIC = 2  # the protocol's number for "a topic's settings"
_PER_REQUEST = 500


def topic_settings(
    topics: Sequence[str], keys: Collection[str], ask: Callable[[Any, Answer[Any]], Any]
) -> Answer[dict[str, str]]:
    """Return the topics' settings with these keys, by topic; any broker knows them.

    Needs the right DescribeConfigs on the topics. `ask` sends a request and returns None when that fails.
    """
    answer: Answer[dict[str, str]] = Answer()
    resource = DescribeConfigsRequest.DescribeConfigsResource
    for start in range(0, len(topics), _PER_REQUEST):
        part = topics[start : start + _PER_REQUEST]
        wanted = [resource(resource_type=_TOPIC, resource_name=name, configuration_keys=list(keys)) for name in part]
        request = DescribeConfigsRequest(resources=wanted, include_synonyms=False, include_documentation=False)
        response = ask(request, answer)
        for row in response.results if response is not None else ():
            if row.error_code:
                answer.errors[reason(row.error_code)] += 1
            else:
                answer.values[row.resource_name] = {c.name: c.value for c in row.configs if c.value is not None}
        answer.failed.update(set(part) - answer.values.keys())
    return answer


def quorum_request() -> Any:
    """Return the question who leads the metadata's quorum (KIP-595)."""
    topic = DescribeQuorumRequest.TopicData
    part = topic.PartitionData(partition_index=0)
    return DescribeQuorumRequest(topics=[topic(topic_name="__cluster_metadata", partitions=[part])])


def quorum_leader(response: Any) -> tuple[int | None, int]:
    """Return the controller's id, None where the answer does not name it, and the answer's error code."""
    parts = [part for topic in response.topics for part in topic.partitions]
    code = response.error_code or next((part.error_code for part in parts if part.error_code), 0)
    return next((part.leader_id for part in parts if not code and part.leader_id >= 0), None), code
