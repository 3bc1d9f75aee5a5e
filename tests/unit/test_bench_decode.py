"""The benchmark of decoding: what it reads is what it says."""

from __future__ import annotations

import time

from benchmarks.decode import block, per_core_second, real_packets, schema_4, whole, with_kept_schema
from exporters.alert_arrival.packets import Decoder


def test_packets_of_schema_4_are_whole_and_have_null_fields() -> None:
    """Forced photometry is there to be skipped; the decoder reads the same packet as the reader of all of it."""
    for codec in ("null", "deflate"):
        packet = schema_4(next(iter(real_packets().values())), codec=codec)
        record = whole(packet)
        assert record["schemavsn"] == "4.02"
        assert len(record["fp_hists"]) == 30
        assert sum(value is None for value in record["candidate"].values()) > 50
        assert len(record["cutoutScience"]["stampData"]) > 1000
        assert Decoder().decode(packet).schema_version == "4.02"


def test_the_reader_that_keeps_schemas_reads_the_same_record() -> None:
    """Neither of the two it is compared with reads less than all."""
    for packet in real_packets().values():
        assert with_kept_schema(packet)(block(packet)) == whole(packet)


def test_a_rate_is_per_second_of_cpu() -> None:
    """A reader that burns a known time of CPU for each packet."""
    def slow(_: bytes) -> None:
        end = time.process_time() + 0.01
        while time.process_time() < end:
            pass

    assert 60 < per_core_second(slow, [b"x"], 1) <= 100
