"""Where share groups stand (KIP-932): they commit no offsets, so OffsetFetch knows nothing of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from kafka.protocol.api_message import ApiMessage as _ApiMessage

from zads.kafka import messages
from zads.kafka.describe import Ask
from zads.kafka.errors import reason
from zads.kafka.model import Answer, Group, ShareOffset, TopicPartition

_PER_REQUEST = 100


class DescribeShareGroupOffsetsRequest(_ApiMessage, load_json=messages):  # type: ignore[misc, call-arg]
    """Ask for share groups' start offsets, and for their lag since version 1 (KIP-1226)."""


class DescribeShareGroupOffsetsResponse(_ApiMessage, load_json=messages):  # type: ignore[misc, call-arg]
    """The answer; importing this module registers it for decoding."""


def share_offsets(groups: Iterable[Group], ask: Ask) -> Answer[dict[TopicPartition, ShareOffset]]:
    """Return where each share group stands on each partition that it has begun to read, by its coordinator.

    `failed` holds groups' names. `ask` sends a request to a broker and returns None when that fails.
    """
    answer: Answer[dict[TopicPartition, ShareOffset]] = Answer()
    by_broker: dict[int, list[str]] = defaultdict(list)
    for group in groups:
        if group.type == "share":
            by_broker[group.coordinator].append(group.name)
    wanted = DescribeShareGroupOffsetsRequest.DescribeShareGroupOffsetsRequestGroup
    for broker, names in by_broker.items():
        for start in range(0, len(names), _PER_REQUEST):
            part = names[start : start + _PER_REQUEST]
            request = DescribeShareGroupOffsetsRequest(groups=[wanted(group_id=name, topics=None) for name in part])
            response = ask(request, broker, answer)
            if response is not None:
                _take(response, answer)
            answer.failed.update(set(part) - answer.values.keys())
    return answer


def _take(response: Any, answer: Answer[dict[TopicPartition, ShareOffset]]) -> None:
    for group in response.groups:
        if group.error_code:
            answer.errors[reason(group.error_code)] += 1
            continue
        found: dict[TopicPartition, ShareOffset] = {}
        for topic in group.topics:
            for part in topic.partitions:
                if part.error_code:
                    answer.errors[reason(part.error_code)] += 1
                elif part.start_offset >= 0:  # -1: nobody of the group has fetched from it yet
                    lag = getattr(part, "lag", -1)
                    found[topic.topic_name, part.partition_index] = ShareOffset(
                        part.start_offset, lag if lag is not None and lag >= 0 else None
                    )
        answer.values[group.group_id] = found
