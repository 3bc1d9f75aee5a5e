"""Committed offsets of many groups without an object for each: kafka-python makes one per group and partition.

What a group committed on a topic stays the piece of the broker's answer that it was, 20 bytes a partition.
A piece that did not change since the last answer is the same object again, so that whatever is derived from
it need not be derived anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kafka.protocol.api_header import ResponseHeader
from kafka.protocol.consumer import OffsetFetchRequest

_VERSION = 8  # KIP-709: many groups in one request; Kafka 3.0
# A partition with empty metadata: index, offset, leader epoch, length of the metadata + 1, error, no tagged fields.
_ENTRY = struct.Struct(">iqiBhB")
_INDEX_OFFSET = struct.Struct(">iq8x")
_EMPTY = b"\x00\x01"


@lru_cache(maxsize=256)
def _all_of(entries: int) -> struct.Struct:
    return struct.Struct(">" + "iq8x" * entries)


class TopicOffsets:
    """What a group committed on one topic: by partition, without those that have no commit."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    @classmethod
    def of(cls, offsets: dict[int, int]) -> TopicOffsets:
        """Return the same from plain numbers."""
        return cls(b"".join(_ENTRY.pack(number, offset, -1, 1, 0, 0) for number, offset in offsets.items()))

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield (partition, offset)."""
        return ((number, offset) for number, offset in _INDEX_OFFSET.iter_unpack(self._raw) if offset >= 0)

    def columns(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return what items() yields as two columns, partitions and offsets: quicker where there are many."""
        flat = _all_of(len(self)).unpack(self._raw)
        numbers, offsets = flat[::2], flat[1::2]
        if offsets and min(offsets) < 0:
            kept = [(number, offset) for number, offset in zip(numbers, offsets, strict=True) if offset >= 0]
            numbers, offsets = tuple(number for number, _ in kept), tuple(offset for _, offset in kept)
        return numbers, offsets

    def __len__(self) -> int:
        return len(self._raw) // _ENTRY.size

    def same_bytes(self, raw: memoryview) -> bool:
        """Tell whether the answer's piece is what this was made from."""
        return self._raw == raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TopicOffsets) and dict(self.items()) == dict(other.items())

    def __hash__(self) -> int:
        return hash(self._raw)

    def __repr__(self) -> str:
        return f"TopicOffsets({dict(self.items())})"


class GroupAnswer:
    """One group's answer: offsets by topic, partitions that failed with their error codes."""

    __slots__ = ("error", "failed", "group", "topics")

    def __init__(self, group: str) -> None:
        self.group, self.error = group, 0
        self.topics: dict[str, TopicOffsets] = {}
        self.failed: list[tuple[str, int, int]] = []


def request(groups: list[str]) -> Any:
    """Return a request for all committed offsets of the groups; its answer is bytes for `parse`."""
    row = OffsetFetchRequest.OffsetFetchRequestGroup
    return _Undecoded(
        OffsetFetchRequest(
            groups=[row(group_id=name, topics=None) for name in groups], min_version=_VERSION, max_version=_VERSION
        )
    )


def parse(data: bytes, before: Mapping[str, Mapping[str, TopicOffsets]]) -> Iterator[GroupAnswer]:
    """Yield the answer group by group; what equals `before` (by group and topic) is the same object.

    Raises ValueError when the bytes are no OffsetFetch answer.
    """
    view = memoryview(data)
    try:
        count, at = _varint(view, 4)
        for _ in range(count - 1):
            name, at = _text(view, at)
            answer = GroupAnswer(name)
            known = before.get(name, {})
            topics, at = _varint(view, at)
            for _ in range(topics - 1):
                topic, at = _text(view, at)
                at = _topic(view, at, topic, known.get(topic), answer)
            answer.error = struct.unpack_from(">h", view, at)[0]
            at = _skip_tags(view, at + 2)
            yield answer
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"the broker's answer to OffsetFetch cannot be read: {error}") from None


def _topic(view: memoryview, at: int, topic: str, known: TopicOffsets | None, answer: GroupAnswer) -> int:
    """Take one topic's partitions from the view into the answer; return where it ends."""
    count, at = _varint(view, at)
    end = at + max(0, count - 1) * _ENTRY.size
    raw = view[at:end]
    if known is not None and known.same_bytes(raw):
        answer.topics[topic] = known
        return _skip_tags(view, end)
    if len(raw) == end - at and _plain(raw):
        answer.topics[topic] = TopicOffsets(bytes(raw))
        return _skip_tags(view, end)
    offsets: dict[int, int] = {}
    for _ in range(count - 1):
        number, offset, _ = struct.unpack_from(">iqi", view, at)
        size, at = _varint(view, at + 16)
        at += max(0, size - 1)
        error = struct.unpack_from(">h", view, at)[0]
        at = _skip_tags(view, at + 2)
        if error:
            answer.failed.append((topic, number, error))
        else:
            offsets[number] = offset
    fresh = TopicOffsets.of(offsets)
    answer.topics[topic] = known if known is not None and known == fresh else fresh
    return _skip_tags(view, at)


def _plain(raw: memoryview) -> bool:
    """Tell whether every entry has the plain layout: no metadata, no error, no tagged fields."""
    return not (
        any(bytes(raw[17 :: _ENTRY.size]))
        or any(bytes(raw[18 :: _ENTRY.size]))
        or any(bytes(raw[19 :: _ENTRY.size]))
        or bytes(raw[16 :: _ENTRY.size]).strip(_EMPTY)
    )


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _text(view: memoryview, at: int) -> tuple[str, int]:
    size, at = _varint(view, at)
    end = at + size - 1
    return str(view[at:end], "utf-8"), end


def _skip_tags(view: memoryview, at: int) -> int:
    count, at = _varint(view, at)
    for _ in range(count):
        _, at = _varint(view, at)
        size, at = _varint(view, at)
        at += size
    return at


class _Raw:
    """An undecoded answer."""

    throttle_time_ms = 0

    def __init__(self, data: bytes) -> None:
        self.data = data

    @staticmethod
    def parse_header(data: Any) -> Any:
        return ResponseHeader.decode(data, flexible=True)

    @classmethod
    def decode(cls, data: Any) -> _Raw:
        return cls(data.read())


class _Header:
    """The request's header, but the answer's class is ours."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @staticmethod
    def get_response_class() -> type[_Raw]:
        return _Raw


class _Undecoded:
    """A request as the connection wants it, whose answer stays undecoded."""

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "_inner", inner)
        object.__setattr__(self, "_header", None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    @property
    def header(self) -> _Header:
        return _Header(self._inner.header)
