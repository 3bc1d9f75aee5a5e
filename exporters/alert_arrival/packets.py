"""Decode what monitoring needs from an alert packet; whatever comes in, nothing but BadPacketError goes out.

A ZTF packet is an Avro object container file (Avro 1.11, "Object Container Files") with the schema
inside; the schema is looked at once per distinct text, and only the packet's beginning is read.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

import fastavro

from exporters.alert_arrival.schemas import prefix

REASONS = (
    "empty",
    "too_large",
    "not_avro",
    "truncated",
    "corrupt",
    "bad_schema",
    "unknown_codec",
    "no_candidate",
    "bad_field",
)
MOST_BYTES = 5_000_000  # an alert has 70 kB, Rubin's largest a few MB
MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_HEADER_ENTRIES_MOST = 100
_SCHEMAS_MOST = 50
_SCHEMA_MOST_BYTES = 200_000  # ZTF's has 23 kB
_JD = (2_415_020.5, 2_488_069.5)  # 1900 to 2100
_PROGRAMS = range(10)  # a topic's name has one digit for it
_EXPOSURE_MOST = 86_400.0
_VERSION = re.compile(r"[\w.+-]{1,20}", re.ASCII)


class BadPacketError(Exception):
    """A packet that cannot be read; `reason` is one of REASONS."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True)
class AlertPacket:
    """What is kept of a packet: Julian dates in days, the exposure in seconds."""

    candid: int
    jd: float
    exposure_seconds: float
    program: int
    schema_version: str

    @property
    def exposure_end(self) -> float:
        """When the exposure ended, in seconds since 1970."""
        return (self.jd - 2440587.5) * 86400.0 + self.exposure_seconds


class Decoder:
    """Decode packets; keeps what it learned of their schemas, the bad ones too."""

    def __init__(self) -> None:
        self._schemas: dict[bytes, tuple[Any, Any] | None] = {}

    def decode(self, packet: bytes | None) -> AlertPacket:
        """Return what is wanted of the packet's first record.

        Raises BadPacketError, whose reason is one of REASONS.
        """
        if not packet:
            raise BadPacketError("empty")
        if packet[:4] != MAGIC:
            raise BadPacketError("not_avro")
        if len(packet) > MOST_BYTES:
            raise BadPacketError("too_large")
        try:
            header, position = _header(packet)
        except IndexError:
            raise BadPacketError("truncated") from None
        except ValueError:
            raise BadPacketError("corrupt") from None
        writer, reader = self._schema(header.get(b"avro.schema", b""))
        block = self._block(packet, position, header.get(b"avro.codec", b"null"))
        try:
            record: Any = fastavro.schemaless_reader(io.BytesIO(block), writer, reader)
        except EOFError:
            raise BadPacketError("truncated") from None
        except Exception:  # the library raises many kinds for bytes that do not fit the schema
            raise BadPacketError("corrupt") from None
        try:
            return _packet(record)
        except (ValueError, TypeError, OverflowError):
            raise BadPacketError("bad_field") from None

    @staticmethod
    def _block(packet: bytes, position: int, codec: bytes) -> bytes:
        """Return the first block's content; the marker after it has to be the header's."""
        sync = packet[position - _SYNC_BYTES : position]
        try:
            count, position = _long(packet, position)
            size, position = _long(packet, position)
        except IndexError:
            raise BadPacketError("truncated") from None
        except ValueError:
            raise BadPacketError("corrupt") from None
        end = position + size
        if count < 1 or size < 0:
            raise BadPacketError("corrupt")
        if end + _SYNC_BYTES > len(packet):
            raise BadPacketError("truncated")
        if packet[end : end + _SYNC_BYTES] != sync:
            raise BadPacketError("corrupt")
        block = packet[position:end]
        if codec in {b"null", b""}:
            return block
        if codec != b"deflate":
            raise BadPacketError("unknown_codec")
        try:
            # Bounded: a few bytes may unpack to gigabytes.
            return zlib.decompressobj(-15).decompress(block, MOST_BYTES)
        except zlib.error:
            raise BadPacketError("corrupt") from None

    def _schema(self, text: bytes) -> tuple[Any, Any]:
        if len(text) > _SCHEMA_MOST_BYTES:
            raise BadPacketError("bad_schema")
        if text not in self._schemas:
            if len(self._schemas) >= _SCHEMAS_MOST:
                self._schemas.clear()
            try:
                self._schemas[text] = prefix(json.loads(text))
            except Exception:  # the library raises many kinds for what is no schema
                self._schemas[text] = None
        known = self._schemas[text]
        if known is None:
            raise BadPacketError("bad_schema")
        return known


def _packet(record: Any) -> AlertPacket:
    """Take the fields out of a record.

    Raises ValueError, TypeError or OverflowError for values that no alert can have: they would become labels or
    poison sums. Raises BadPacketError when the alert has no candidate.
    """
    candidate = record.get("candidate")
    if not isinstance(candidate, dict) or candidate.get("jd") is None or candidate.get("programid") is None:
        raise BadPacketError("no_candidate")
    jd, program = float(candidate["jd"]), int(candidate["programid"])
    # exptime is missing in schemas before 3.0 and may be null: ZTF's survey exposure is 30 s.
    exposure = 30.0 if candidate.get("exptime") is None else float(candidate["exptime"])
    # Comparisons with a NaN are false.
    if not (_JD[0] < jd < _JD[1] and program in _PROGRAMS and 0.0 <= exposure <= _EXPOSURE_MOST):
        raise ValueError
    version = str(record.get("schemavsn"))
    return AlertPacket(
        int(record.get("candid") or 0), jd, exposure, program, version if _VERSION.fullmatch(version) else "unknown"
    )


def _header(packet: bytes) -> tuple[dict[bytes, bytes], int]:
    """Return the file's metadata and where its first block begins.

    Raises IndexError where it ends too early, ValueError where a length cannot be.
    """
    position = len(MAGIC)
    meta: dict[bytes, bytes] = {}
    while True:
        count, position = _long(packet, position)
        if count == 0:
            position += _SYNC_BYTES
            if position > len(packet):
                raise IndexError
            return meta, position
        if count < 0:
            count = -count
            _, position = _long(packet, position)
        if count + len(meta) > _HEADER_ENTRIES_MOST:
            raise ValueError
        for _ in range(count):
            key, position = _bytes(packet, position)
            meta[key], position = _bytes(packet, position)


def _bytes(data: bytes, position: int) -> tuple[bytes, int]:
    size, position = _long(data, position)
    if size < 0:
        raise ValueError
    if position + size > len(data):
        raise IndexError
    return data[position : position + size], position + size


def _long(data: bytes, position: int) -> tuple[int, int]:
    """Decode an Avro long (zig-zag, variable length) and return it with the next position."""
    shift = result = 0
    while True:
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return (result >> 1) ^ -(result & 1), position
        shift += 7
        if shift > 63:
            raise ValueError
