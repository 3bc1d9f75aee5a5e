"""Decode what monitoring needs from an alert packet, skipping the cutouts and the history.

A ZTF packet is an Avro object container file (Avro 1.11, "Object Container Files") with the schema
inside; the schema is parsed once per distinct text. fastavro's resolution with a small reader schema
skips everything else without building it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from dataclasses import dataclass
from typing import Any

import fastavro

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_WANTED = {"schemavsn", "candid"}
_WANTED_CANDIDATE = {"jd", "exptime", "programid"}
_SCHEMAS_MOST = 50


class BadPacketError(Exception):
    """A packet that cannot be read; `reason` is a short, stable word."""

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
    """Decode packets; keeps the parsed schemas."""

    def __init__(self) -> None:
        self._schemas: dict[bytes, tuple[Any, Any]] = {}

    def decode(self, packet: bytes | None) -> AlertPacket:
        """Return what is wanted of the packet's first record.

        Raises BadPacketError with the reason: empty, not_avro, truncated, unknown_codec, bad_schema, no_candidate.
        """
        if not packet:
            raise BadPacketError("empty")
        if packet[:4] != _MAGIC:
            raise BadPacketError("not_avro")
        try:
            header, position = _header(packet)
        except (IndexError, UnicodeDecodeError):
            raise BadPacketError("truncated") from None
        writer, reader = self._schema(header.get("avro.schema", b""))
        block = self._block(packet, position, header.get("avro.codec", b"null"))
        try:
            record: Any = fastavro.schemaless_reader(io.BytesIO(block), writer, reader)
        except (EOFError, IndexError, ValueError, StopIteration, KeyError, TypeError, OverflowError):
            raise BadPacketError("truncated") from None
        return self._take(record)

    @staticmethod
    def _take(record: Any) -> AlertPacket:
        candidate = record.get("candidate") or {}
        jd, program = candidate.get("jd"), candidate.get("programid")
        if jd is None or program is None:
            raise BadPacketError("no_candidate")
        # exptime is null in some packets: ZTF's survey exposure is 30 s.
        exposure = candidate.get("exptime")
        return AlertPacket(
            int(record.get("candid") or 0),
            float(jd),
            30.0 if exposure is None else float(exposure),
            int(program),
            str(record.get("schemavsn") or "unknown"),
        )

    @staticmethod
    def _block(packet: bytes, position: int, codec: bytes) -> bytes:
        try:
            count, position = _long(packet, position)
            size, position = _long(packet, position)
        except IndexError:
            raise BadPacketError("truncated") from None
        block = packet[position : position + size]
        if count < 1 or size < 0 or len(block) < size:
            raise BadPacketError("truncated")
        if codec in {b"null", b""}:
            return block
        if codec == b"deflate":
            try:
                return zlib.decompress(block, -15)
            except zlib.error:
                raise BadPacketError("truncated") from None
        raise BadPacketError("unknown_codec")

    def _schema(self, text: bytes) -> tuple[Any, Any]:
        key = hashlib.blake2b(text, digest_size=16).digest()
        known = self._schemas.get(key)
        if known is None:
            try:
                raw = json.loads(text)
                known = (fastavro.parse_schema(raw), fastavro.parse_schema(_wanted(json.loads(text))))
            except Exception:  # the library raises many kinds for what is no schema
                raise BadPacketError("bad_schema") from None
            if len(self._schemas) >= _SCHEMAS_MOST:
                self._schemas.clear()
            self._schemas[key] = known
        return known


def _wanted(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with only the fields that monitoring reads."""
    fields = []
    for entry in schema["fields"]:
        if entry["name"] in _WANTED:
            fields.append(entry)
        elif entry["name"] == "candidate":
            record = entry["type"]
            inner = [f for f in record["fields"] if f["name"] in _WANTED_CANDIDATE]
            fields.append({**entry, "type": {**record, "fields": inner}})
    return {**schema, "fields": fields}


def _header(packet: bytes) -> tuple[dict[str, bytes], int]:
    """Return the file's metadata and where its first block begins."""
    position = 4
    meta: dict[str, bytes] = {}
    while True:
        count, position = _long(packet, position)
        if count == 0:
            return meta, position + _SYNC_BYTES
        if count < 0:
            count = -count
            _, position = _long(packet, position)
        for _ in range(count):
            size, position = _long(packet, position)
            key = packet[position : position + size].decode()
            size, position = _long(packet, position + size)
            if size < 0 or position + size > len(packet):
                raise IndexError
            meta[key] = packet[position : position + size]
            position += size


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
            raise IndexError
