"""Packets decoded per core-second: the arrival exporter's decoder beside fastavro's reading of whole packets.

    python -m benchmarks.decode

On ZTF's two real packets (schemas 3.2 and 3.3), on packets that the simulator makes of them, and on packets of schema
4.02 that are put together here: the real ones' record with ZTF's forced photometry, every nullable field null.
Process CPU, the best of several rounds. A reader of whole packets parses the schema that stands in each of them, as
fastavro.reader does; the column beside is of one that parses a schema once and reads the bare record by it.
"""

from __future__ import annotations

import copy
import io
import random
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import fastavro

from exporters.alert_arrival.packets import Decoder
from zads.stack.alert_packets import Exposure, templates

AIM = 5.0
ROUNDS, ROUND_SECONDS = 7, 0.5
_EXPOSURE = Exposure(jd=2461369.7, program=1, field=600, filter=1)


def whole(packet: bytes) -> Any:
    """Read a packet as its reader would: everything in it."""
    return next(iter(fastavro.reader(io.BytesIO(packet))))


def with_kept_schema(packet: bytes) -> Callable[[bytes], Any]:
    """Return a reader of whole records that has parsed the packet's schema before, given what stands in its block."""
    schema: Any = fastavro.parse_schema(fastavro.reader(io.BytesIO(packet)).writer_schema)
    return lambda block: fastavro.schemaless_reader(io.BytesIO(block), schema, None)


def block(packet: bytes) -> bytes:
    """Return the bytes of the packet's record."""
    first: Any = next(iter(fastavro.block_reader(io.BytesIO(packet))))
    return bytes(first.bytes_.getvalue())


def real_packets() -> dict[str, bytes]:
    """Return ZTF's own packets by name: schema and object."""
    folder = files("zads.stack").joinpath("packets")
    packets = [entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(".avro")]
    return {f"real, schema {whole(p)['schemavsn']}, {whole(p)['objectId']}": p for p in packets}


def schema_4(packet: bytes, *, codec: str = "null") -> bytes:
    """Make a packet of schema 4.02 out of an older one: forced photometry behind the history, nullable fields null."""
    reader = fastavro.reader(io.BytesIO(packet))
    schema: Any = copy.deepcopy(reader.writer_schema)
    record: Any = next(reader)
    forced: list[Any] = [{"name": name, "type": ["null", "float"]} for name in ("forcediffimflux", "forcediffimfluxunc")]
    forced = [{"name": "jd", "type": "double"}, {"name": "fid", "type": "int"}, *forced, {"name": "procstatus", "type": ["null", "string"]}]
    items = {"type": "record", "name": "fp_hist", "namespace": "ztf.alert", "fields": forced}
    history: Any = {"name": "fp_hists", "type": [{"type": "array", "items": items}, "null"]}
    at = next(i for i, f in enumerate(schema["fields"]) if f["name"] == "prv_candidates") + 1
    schema["fields"].insert(at, history)
    for field in _candidate(schema)["fields"]:
        if isinstance(field["type"], list) and "null" in field["type"]:
            record["candidate"][field["name"]] = None
    jd = record["candidate"]["jd"]
    record |= {"schemavsn": "4.02", "fp_hists": [{"jd": jd - day, "fid": 1} for day in range(30)]}
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), [record], codec=codec)
    return file.getvalue()


def _candidate(schema: Any) -> Any:
    return next(field for field in schema["fields"] if field["name"] == "candidate")["type"]


def packets() -> dict[str, list[bytes]]:
    """Return what is decoded, by what it is."""
    real = real_packets()
    sky = random.Random(1)
    made = [template.write(_EXPOSURE, number, sky) for number in range(100) for template in templates()]
    found = {name: [packet] for name, packet in real.items()}
    found["simulated night, 200 packets"] = made
    newest = next(iter(real.values()))
    found["schema 4.02, nullable fields null"] = [schema_4(newest)]
    found["schema 4.02, deflated"] = [schema_4(newest, codec="deflate")]
    return found


def per_core_second(read: Callable[[bytes], object], batch: list[bytes], rounds: int = ROUNDS) -> float:
    """Return how many packets a second of CPU reads: the best round."""
    for packet in batch:
        read(packet)
    best = 0.0
    for _ in range(rounds):
        count, begin = 0, time.process_time()
        while (spent := time.process_time() - begin) < ROUND_SECONDS:
            for packet in batch:
                read(packet)
            count += len(batch)
        best = max(best, count / spent)
    return best


def main() -> int:
    decoder, good = Decoder(), True
    print(
        "| packets | kB each | fastavro, whole packets, per core-second | the same, schemas parsed before | our decoder "
        "| times | times the second | aim |\n|---|---:|---:|---:|---:|---:|---:|---:|"
    )
    for name, batch in packets().items():
        for packet in batch:
            ours, theirs = decoder.decode(packet), whole(packet)
            assert (ours.candid, ours.jd) == (theirs["candid"], theirs["candidate"]["jd"]), name
        base, fast = per_core_second(whole, batch), per_core_second(decoder.decode, batch)
        kept = per_core_second(with_kept_schema(batch[0]), [block(batch[0])]) if len(batch) == 1 else None
        good &= fast >= AIM * base
        cells = [
            name,
            f"{sum(map(len, batch)) / len(batch) / 1000:.0f}",
            f"{base:,.0f}",
            "-" if kept is None else f"{kept:,.0f}",
            f"{fast:,.0f}",
            f"{fast / base:.1f}",
            "-" if kept is None else f"{fast / kept:.1f}",
            f"{'' if fast >= AIM * base else 'missed: '}{AIM:.0f}",
        ]
        print(f"| {' | '.join(cells)} |")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
