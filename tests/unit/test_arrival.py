"""Packets, counts, delays: what arrives, what cannot be read, what is missing."""

from __future__ import annotations

import io
import random
from pathlib import Path

import fastavro
import pytest

from exporters.alert_arrival.counts import AlertTopic, Arrivals, mirror_state, night_sums
from exporters.alert_arrival.latency import Latency
from exporters.alert_arrival.packets import BadPacketError, Decoder
from zads.stack.alert_packets import Exposure, templates

PACKETS = sorted((Path(__file__).resolve().parents[2] / "zads" / "stack" / "packets").glob("*.avro"))


@pytest.mark.parametrize("path", PACKETS, ids=lambda p: p.stem)
def test_real_packets_are_read_as_fastavro_reads_them(path: Path) -> None:
    """The fields are those that the whole packet has."""
    data = path.read_bytes()
    whole = next(iter(fastavro.reader(io.BytesIO(data))))
    packet = Decoder().decode(data)
    assert packet.candid == whole["candid"]
    assert packet.jd == whole["candidate"]["jd"]
    assert packet.program == whole["candidate"]["programid"]
    assert packet.schema_version == whole["schemavsn"]


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
        (lambda p: p[: len(p) // 2], "truncated"),
        (lambda p: p[:10], "truncated"),
        (lambda p: b"Obj\x01" + bytes(10_000_000), "bad_schema"),
        (lambda p: p.replace(b'"candidate"', b'"kandidate"'), "no_candidate"),
    ],
)
def test_bad_packets_have_a_reason(spoil, reason: str) -> None:
    """Never fatal, always counted by a word."""
    with pytest.raises(BadPacketError) as caught:
        Decoder().decode(spoil(PACKETS[0].read_bytes()))
    assert caught.value.reason == reason


def test_random_noise_is_only_ever_a_bad_packet() -> None:
    """500 packets with bytes turned over raise nothing else."""
    rng, decoder = random.Random(1), Decoder()
    whole = PACKETS[0].read_bytes()
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            decoder.decode(bytes(data))
        except BadPacketError as error:
            assert error.reason


def _topics(identity: str = "a") -> dict[str, AlertTopic]:
    return {"ztf_20260401_programid1": AlertTopic("ztf_20260401_programid1", identity, "20260401", 1)}


def test_arrivals_never_go_down_and_survive_a_restart() -> None:
    """Counted over a restart, a recreated topic and a partition without a leader."""
    part = ("ztf_20260401_programid1", 0)
    arrivals = Arrivals()
    arrivals.update("public", _topics(), {part: 100})
    arrivals.done_first()
    arrivals.update("public", _topics(), {part: 150})
    assert arrivals.total["public", 1] == 50
    arrivals.update("public", _topics(), {})  # no leader for a moment
    again = Arrivals(arrivals.state())
    again.update("public", _topics(), {part: 160})
    assert again.total["public", 1] == 60
    again.update("public", _topics("b"), {part: 7})  # deleted and made anew
    assert again.total["public", 1] == 67


def test_a_night_is_the_sum_of_its_ends() -> None:
    """Over partitions, by night and program."""
    ends = {("ztf_20260401_programid1", p): 10 for p in range(16)}
    assert night_sums(_topics(), ends) == {("20260401", 1): 160}


def test_duplicates_and_gaps_are_told_apart() -> None:
    """One partition with 3 too many and one with 2 too few: surplus 3, missing 2, not 1."""
    name = "ztf_20260401_programid1"
    upstream = {(name, 0): 100, (name, 1): 100, (name, 2): 100}
    source = {(name, 0): 100, (name, 1): 100, (name, 2): 90}
    public = {(name, 0): 103, (name, 1): 98, (name, 2): 90}
    state, waiting = mirror_state(name, upstream, public, source, {})
    assert (state.behind, state.surplus, state.missing) == (10, 3, 2)
    assert waiting == [((name, 2), 90)]


def test_latency_buckets_are_cumulative_and_hold_the_goal() -> None:
    """20 min and ZTF's 13 min are exact edges; negative delays are 0."""
    latency = Latency()
    for seconds in (-5.0, 0.5, 780.0, 1199.0, 100_000.0):
        latency.observe("exposure", 1, seconds)
    ((_, buckets, _),) = latency.items()
    counts = dict(buckets)
    assert counts["780.0"] == 3
    assert counts["1200.0"] == 4
    assert counts["+Inf"] == 5
