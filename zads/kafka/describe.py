"""Who is in a group: each type of group is described by its own request.

DescribeGroups calls a healthy group of the new protocol (KIP-848) Dead or does not find it;
ConsumerGroupDescribe does not find classic ones. A group may change its type between the list and the
question, so what one request does not find is asked of the other. Share groups have a request of their own (KIP-932).
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from kafka.protocol.admin import DescribeGroupsRequest
from kafka.protocol.api_message import ApiMessage as _ApiMessage

from zads.kafka import messages
from zads.kafka.errors import reason
from zads.kafka.model import Answer, Group, Membership

_NOT_FOUND = 69
_NOBODY = Membership(0)
_PER_REQUEST = 500
Ask = Callable[[Any, int, Answer[Any]], Any]


class ConsumerGroupDescribeRequest(_ApiMessage, load_json=messages):  # type: ignore[misc, call-arg]
    """Describe groups of the new consumer protocol (KIP-848)."""


class ConsumerGroupDescribeResponse(_ApiMessage, load_json=messages):  # type: ignore[misc, call-arg]
    """The answer; importing this module registers it for decoding."""


class ShareGroupDescribeRequest(_ApiMessage, load_json=messages):  # type: ignore[misc, call-arg]
    """Describe share groups (KIP-932)."""


class ShareGroupDescribeResponse(_ApiMessage, load_json=messages):  # type: ignore[misc, call-arg]
    """The answer; importing this module registers it for decoding."""


def _classic(names: list[str]) -> Any:
    return DescribeGroupsRequest(groups=names, include_authorized_operations=False)


def _modern(names: list[str]) -> Any:
    return ConsumerGroupDescribeRequest(group_ids=names, include_authorized_operations=False)


def _share(names: list[str]) -> Any:
    return ShareGroupDescribeRequest(group_ids=names, include_authorized_operations=False)


# The request for a type of group, and what is asked when that does not find it.
_REQUESTS = {"classic": (_classic, _modern), "consumer": (_modern, _classic), "share": (_share, None)}


def describe(groups: Iterable[Group], ask: Ask) -> Answer[Membership]:
    """Return the membership of each classic, consumer and share group, by its coordinator.

    Groups that are Empty or Dead have no members, without a question. Streams groups (KIP-1071) are left out: their
    request is another one again. Of share groups only the members are counted, since one partition is assigned to
    several of them. `ask` sends a request to a broker and returns None when that fails.
    """
    answer: Answer[Membership] = Answer()
    wanted: dict[tuple[int, str], list[str]] = defaultdict(list)
    for group in groups:
        if group.type not in _REQUESTS:
            continue
        if group.state in {"Empty", "Dead"}:
            answer.values[group.name] = _NOBODY
        else:
            wanted[group.coordinator, group.type].append(group.name)
    for (broker, kind), names in wanted.items():
        first, second = _REQUESTS[kind]
        for start in range(0, len(names), _PER_REQUEST):
            part = names[start : start + _PER_REQUEST]
            missing = _take(ask(first(part), broker, answer), part, answer)
            if missing and second is not None:
                missing = _take(ask(second(missing), broker, answer), missing, answer)
            for name in missing:
                answer.values[name] = _NOBODY  # gone since it was listed
    return answer


def _take(response: Any, asked: list[str], answer: Answer[Membership]) -> list[str]:
    """Take the counts; return the groups that this request does not find."""
    if response is None:
        answer.failed.update(asked)
        return []
    missing = []
    for row in response.groups:
        if row.error_code == _NOT_FOUND or (not row.error_code and row.group_state == "Dead"):
            missing.append(row.group_id)
        elif row.error_code:
            answer.errors[reason(row.error_code)] += 1
            answer.failed.add(row.group_id)
        elif isinstance(response, ConsumerGroupDescribeResponse):
            answer.values[row.group_id] = _membership(
                [{t.topic_name: len(t.partitions) for t in m.assignment.topic_partitions} for m in row.members]
            )
        elif isinstance(response, ShareGroupDescribeResponse):
            answer.values[row.group_id] = Membership(len(row.members))
        elif row.protocol_type == "consumer":
            answer.values[row.group_id] = _membership([_assignment(m.member_assignment) for m in row.members])
        else:
            answer.values[row.group_id] = Membership(len(row.members))
    return missing


def _membership(assignments: list[dict[str, int] | None]) -> Membership:
    """Sum the members' assignments: partitions by topic."""
    total: dict[str, int] = defaultdict(int)
    for assignment in assignments:
        if assignment is None:
            return Membership(len(assignments))
        for topic, count in assignment.items():
            total[topic] += count
    # Assignors write a topic with no partitions for a member that got none of it.
    idle = sum(not any(assignment.values()) for assignment in assignments if assignment is not None)
    return Membership(len(assignments), idle, {topic: count for topic, count in total.items() if count})


def _assignment(data: bytes | None) -> dict[str, int] | None:
    """Read a classic member's assignment (ConsumerProtocolAssignment): partitions by topic, None when it is unreadable.

    While a group rebalances its members have none yet.
    """
    if not data:
        return {}
    found: dict[str, int] = {}
    try:
        _, topics = struct.unpack_from(">hi", data)
        at = 6
        for _ in range(topics):
            (size,) = struct.unpack_from(">h", data, at)
            name = bytes(data[at + 2 : at + 2 + size]).decode()
            (count,) = struct.unpack_from(">i", data, at + 2 + size)
            found[name] = found.get(name, 0) + count
            at += 6 + size + 4 * count
    except (struct.error, UnicodeDecodeError):
        return None
    return found
