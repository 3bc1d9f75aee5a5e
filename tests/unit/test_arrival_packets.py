"""The decoder: real packets of every schema, and whatever else may come."""

from __future__ import annotations

import io
import json
import random
import time
import zlib
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.alert_arrival.packets import MOST_BYTES, REASONS, BadPacketError, Decoder
from zads.stack.alert_packets import Exposure, templates

PACKETS = sorted((Path(__file__).resolve().parents[2] / "zads" / "stack" / "packets").glob("*.avro"))
WHOLE = PACKETS[0].read_bytes()


def _container(schema: dict[str, Any], record: dict[str, Any], codec: str = "null") -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, [record], codec=codec)
    return file.getvalue()


def _schema(candidate: list[dict[str, Any]], *more: dict[str, Any]) -> dict[str, Any]:
    inner = {"type": "record", "name": "ztf.alert.candidate", "fields": candidate}
    return {"type": "record", "name": "ztf.alert", "fields": [*more, {"name": "candidate", "type": inner}]}


def _reason(data: bytes | None) -> str:
    with pytest.raises(BadPacketError) as caught:
        Decoder().decode(data)
    assert caught.value.reason in REASONS
    return caught.value.reason


@pytest.mark.parametrize("path", PACKETS, ids=lambda p: p.stem)
def test_real_packets_are_read_as_fastavro_reads_them(path: Path) -> None:
    """The fields are those that the whole packet has."""
    data = path.read_bytes()
    whole = next(iter(fastavro.reader(io.BytesIO(data))))
    packet = Decoder().decode(data)
    assert packet.candid == whole["candid"]
    assert packet.jd == whole["candidate"]["jd"]
    assert packet.exposure_seconds == (whole["candidate"]["exptime"] or 30.0)
    assert packet.program == whole["candidate"]["programid"]
    assert packet.schema_version == whole["schemavsn"]


def test_schema_4_with_null_fields() -> None:
    """ZTF's 4.02: forced photometry after the candidate, every nullable field null, a candid beyond 2^53."""
    nullable = [{"name": name, "type": ["int", "null"]} for name in ("nid", "rcid", "field")]
    history = {
        "type": "record",
        "name": "ztf.alert.fp_hist",
        "fields": [{"name": "forcediffimflux", "type": ["float", "null"]}],
    }
    schema = _schema(
        [
            {"name": "jd", "type": "double"},
            {"name": "programid", "type": "int"},
            *nullable,
            {"name": "exptime", "type": ["float", "null"]},
            {"name": "drb", "type": ["float", "null"]},
        ],
        {"name": "schemavsn", "type": "string"},
        {"name": "candid", "type": "long"},
    )
    schema["fields"].append({"name": "fp_hists", "type": [{"type": "array", "items": history}, "null"]})
    schema["fields"].append({"name": "cutoutScience", "type": ["null", "bytes"]})
    candidate = {"jd": 2461369.25, "programid": 1, "nid": None, "rcid": None, "field": None, "exptime": None, "drb": None}
    record = {"schemavsn": "4.02", "candid": 3_600_000_000_000_000_001, "candidate": candidate}
    for codec in ("null", "deflate"):
        data = _container(schema, record | {"fp_hists": [{"forcediffimflux": None}], "cutoutScience": b"x" * 10}, codec)
        packet = Decoder().decode(data)
        assert (packet.candid, packet.schema_version) == (3_600_000_000_000_000_001, "4.02")
        assert packet.exposure_end == pytest.approx((2461369.25 - 2440587.5) * 86400 + 30)


def test_simulated_packets_are_whole_ztf_packets() -> None:
    """fastavro reads them, candid is larger than 2^53 and unique, the size is real."""
    rng, made = random.Random(3), templates()
    exposure = Exposure(2461369.25, 2, 600, 1)
    packets = [made[i % 2].write(exposure, i, rng) for i in range(20)]
    records = [next(iter(fastavro.reader(io.BytesIO(p)))) for p in packets]
    assert len({r["candid"] for r in records}) == 20
    assert all(r["candid"] > 2**53 and r["candid"] == r["candidate"]["candid"] for r in records)
    assert all(60_000 < len(p) < 80_000 for p in packets)
    assert {r["candidate"]["programid"] for r in records} == {2}
    assert Decoder().decode(packets[0]).exposure_end == pytest.approx((2461369.25 - 2440587.5) * 86400 + 30)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda p: b"", "empty"),
        (lambda p: None, "empty"),
        (lambda p: b"not an alert", "not_avro"),
        (lambda p: bytes(10_000_000), "not_avro"),
        (lambda p: p + bytes(10_000_000), "too_large"),
        (lambda p: p[: len(p) // 2], "truncated"),
        (lambda p: p[:-1], "truncated"),
        (lambda p: p[:10], "truncated"),
        (lambda p: p[:-1] + b"\x00", "corrupt"),  # another file's marker after the block
        (lambda p: b"Obj\x01" + bytes(1_000_000), "bad_schema"),
        (lambda p: p.replace(b'"candidate"', b'"kandidate"'), "no_candidate"),
    ],
)
def test_bad_packets_have_a_reason(spoil, reason: str) -> None:
    """Never fatal, always counted by a word."""
    assert _reason(spoil(WHOLE)) == reason


@pytest.mark.parametrize(
    ("fields", "candidate", "reason"),
    [
        ([{"name": "jd", "type": "string"}, {"name": "programid", "type": "int"}], {"jd": "x", "programid": 1}, "bad_field"),
        (
            [{"name": "jd", "type": "double"}, {"name": "programid", "type": "int"}],
            {"jd": float("nan"), "programid": 1},
            "bad_field",
        ),
        (
            [{"name": "jd", "type": "double"}, {"name": "programid", "type": "int"}],
            {"jd": 59000.5, "programid": 1},
            "bad_field",
        ),
        (
            [{"name": "jd", "type": "double"}, {"name": "programid", "type": "int"}],
            {"jd": 2461369.5, "programid": 77},
            "bad_field",
        ),
        ([{"name": "jd", "type": "double"}], {"jd": 2461369.5}, "no_candidate"),
    ],
    ids=["text for a number", "not a number", "MJD", "a program that cannot be", "no program"],
)
def test_values_that_no_alert_can_have(fields, candidate, reason: str) -> None:
    """They would poison sums or become label values."""
    assert _reason(_container(_schema(fields), {"candidate": candidate})) == reason


def test_a_candid_that_is_no_number_is_a_bad_field() -> None:
    """Counted, not raised."""
    fields = [{"name": "jd", "type": "double"}, {"name": "programid", "type": "int"}]
    data = _container(
        _schema(fields, {"name": "candid", "type": "string"}),
        {"candid": "ZTF1", "candidate": {"jd": 2461369.5, "programid": 1}},
    )
    assert _reason(data) == "bad_field"


def test_a_wild_schema_version_becomes_unknown() -> None:
    """It is a label's value."""
    fields = [{"name": "jd", "type": "double"}, {"name": "programid", "type": "int"}]
    schema = _schema(fields, {"name": "schemavsn", "type": "string"})
    packet = Decoder().decode(_container(schema, {"schemavsn": "4" * 900, "candidate": {"jd": 2461369.5, "programid": 1}}))
    assert packet.schema_version == "unknown"


def _crafted(schema: Any, block: bytes, codec: bytes = b"null") -> bytes:
    def long(value: int) -> bytes:
        out, value = b"", value * 2
        while value >= 0x80:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    text, sync = schema if isinstance(schema, bytes) else json.dumps(schema).encode(), bytes(range(16))
    entries = b"".join(long(len(x)) + x for x in (b"avro.schema", text, b"avro.codec", codec))
    return b"Obj\x01" + long(2) + entries + b"\x00" + sync + long(1) + long(len(block)) + block + sync


def _nested(depth: int) -> Any:
    schema: Any = "int"
    for number in range(depth):
        schema = {"type": "record", "name": f"r{number}", "fields": [{"name": "a", "type": schema}]}
    return schema


_NODE = {"type": "record", "name": "n", "fields": [{"name": "next", "type": ["null", "n"]}]}
_TRAPS = {
    "an array of 2^40 nothings": (
        {"type": "record", "name": "a", "fields": [{"name": "candid", "type": {"type": "array", "items": "null"}}]},
        b"\x80\x80\x80\x80\x80\x80\x01",
    ),
    "a list without an end": (
        {"type": "record", "name": "a", "fields": [{"name": "candid", "type": _NODE}]},
        b"\x02" * 4_000_000,
    ),
    "nested 200 deep": ({"type": "record", "name": "a", "fields": [{"name": "candid", "type": _nested(200)}]}, b"\x02"),
    "a decimal of 4 MB": (
        {
            "type": "record",
            "name": "a",
            "fields": [{"name": "candid", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}],
        },
        b"\x80\xa4\xe8\x03" + b"\x7f" * 4_000_000,
    ),
    "JSON nested a million deep": (b"[" * 1_000_000, b"\x02"),
    "no record": ("int", b"\x02"),
    "a union as schema": (["int", "null"], b"\x00\x02"),
    "a schema without fields": ({"type": "record", "name": "a", "fields": []}, b"\x02"),
}


@pytest.mark.parametrize("trap", _TRAPS, ids=str)
@pytest.mark.timeout(20)
def test_schemas_that_would_hang_or_kill_the_reader(trap: str) -> None:
    """The schema stands in the packet: garbage brings its own."""
    begin = time.monotonic()
    assert _reason(_crafted(*_TRAPS[trap]))
    assert time.monotonic() - begin < 2


@pytest.mark.timeout(20)
def test_a_header_that_walks_backwards_ends() -> None:
    """A negative length of a key, once an endless loop."""
    assert _reason(b"Obj\x01" + bytes([0xFE] + [0xFF] * 7 + [0x00]) + b"\x03" + bytes(50)) == "corrupt"
    assert _reason(b"Obj\x01\x02\x03" + bytes(50)) == "corrupt"


def test_few_bytes_that_unpack_to_gigabytes() -> None:
    """Unpacking stops at the largest packet."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(200_000_000)) + packer.flush()
    assert len(bomb) < MOST_BYTES
    begin = time.monotonic()
    assert _reason(
        _crafted({"type": "record", "name": "a", "fields": [{"name": "candid", "type": "long"}]}, bomb, b"deflate")
    )
    assert time.monotonic() - begin < 1


def test_a_bad_schema_is_looked_at_once() -> None:
    """A stream of the same garbage costs a hash each."""
    decoder, data = (
        Decoder(),
        _crafted({"type": "record", "name": "a", "fields": [{"name": "x", "type": _nested(300)}]}, b"\x02"),
    )
    begin = time.monotonic()
    for _ in range(200):
        with pytest.raises(BadPacketError):
            decoder.decode(data)
    assert time.monotonic() - begin < 1


@settings(max_examples=300, deadline=2000)
@given(st.data())
def test_a_real_packet_with_bytes_turned_over_is_a_packet_or_a_bad_one(data: st.DataObject) -> None:
    """Whatever 1 to 30 bytes become, in the header, the schema or the content."""
    packet = bytearray(WHOLE)
    reach = data.draw(st.sampled_from([60, 300, 23_000, len(packet)]))
    for _ in range(data.draw(st.integers(1, 30))):
        packet[data.draw(st.integers(0, reach - 1))] = data.draw(st.integers(0, 255))
    try:
        Decoder().decode(bytes(packet))
    except BadPacketError as error:
        assert error.reason in REASONS


@settings(max_examples=300, deadline=2000)
@given(st.binary(max_size=400), st.binary(max_size=200))
def test_anything_at_all_is_only_ever_a_bad_packet(after_magic: bytes, block: bytes) -> None:
    """Behind the right first bytes, and as the content of a right container."""
    for packet in (b"Obj\x01" + after_magic, after_magic, _crafted({"type": "record", "name": "a", "fields": []}, block)):
        with pytest.raises(BadPacketError):
            Decoder().decode(packet)


_names = st.sampled_from(["candid", "candidate", "schemavsn", "jd", "programid", "a.b", ""])
_types = st.recursive(
    st.sampled_from(["null", "int", "long", "string", "bytes", "double", "boolean", "nonsense", "r", 7, None]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.fixed_dictionaries({"type": st.just("array"), "items": inner}),
        st.fixed_dictionaries({"type": st.just("map"), "values": inner}),
        st.fixed_dictionaries({"type": st.just("fixed"), "name": _names, "size": st.integers(-5, 100)}),
        st.fixed_dictionaries({"type": st.just("enum"), "name": _names, "symbols": st.lists(_names, max_size=2)}),
        st.fixed_dictionaries(
            {
                "type": st.just("record"),
                "name": _names,
                "fields": st.lists(st.fixed_dictionaries({"name": _names, "type": inner}), max_size=4),
            }
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=2000)
@given(_types, st.binary(max_size=300))
def test_any_schema_with_any_content(kind: Any, block: bytes) -> None:
    """A packet or a BadPacketError, soon."""
    for schema in (kind, {"type": "record", "name": "r", "fields": [{"name": "candidate", "type": kind}]}):
        try:
            Decoder().decode(_crafted(schema, block))
        except BadPacketError as error:
            assert error.reason in REASONS


def test_decoding_is_five_times_faster_than_reading_whole_packets() -> None:
    """Only the packet's beginning is read."""
    decoder = Decoder()
    decoder.decode(WHOLE)

    def rate(call, count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            call()
        return count / (time.perf_counter() - begin)

    whole = max(rate(lambda: next(iter(fastavro.reader(io.BytesIO(WHOLE)))), 50) for _ in range(3))
    ours = max(rate(lambda: decoder.decode(WHOLE), 300) for _ in range(3))
    assert ours > 5 * whole
