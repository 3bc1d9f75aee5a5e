"""Make valid ZTF alert packets out of real ones: new candid, objectId, jd, position, program.

A ZTF packet is an Avro container file with the schema inside (about 23 kB of 67). The header is
built once per template and only the one record is encoded again.
Candid and pid as in Masci et al. 2019 and the sample packets: night id, fraction of the UTC day,
readout channel, "15", sequence.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import fastavro

_SYNC = bytes(range(16))
_JD_2017_01_01 = 2457754.5  # nid 0


@dataclass(frozen=True)
class Exposure:
    """One exposure: when it began (Julian date, days), for which program, where."""

    jd: float
    program: int
    field: int
    filter: int
    seconds: float = 30.0


def _long(number: int) -> bytes:
    """Encode an Avro long: zig-zag, variable length."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number & ~0x7F:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


class Template:
    """A real packet, ready to be written again with other values."""

    def __init__(self, packet: bytes) -> None:
        reader = fastavro.reader(io.BytesIO(packet))
        records: list[Any] = list(reader)
        self._record: dict[str, Any] = records[0]
        for name in ("prv_candidates", "fp_hists"):
            for row in self._record.get(name) or ():
                # A public packet holds no private history: IPAC leaves it out (ztf-avro-alert, "prv_candidates").
                row["programid"] = 1
        self._schema = fastavro.parse_schema(reader.writer_schema)
        empty = io.BytesIO()
        fastavro.writer(empty, self._schema, [], codec="null", sync_marker=_SYNC)
        self._header = empty.getvalue()

    def write(self, exposure: Exposure, sequence: int, sky: random.Random) -> bytes:
        """Return one packet of this exposure; `sequence` makes its candid unique in the exposure."""
        rcid = sky.randrange(64)
        days = exposure.jd - _JD_2017_01_01
        night, fraction = int(days), int(days % 1 * 100_000)
        pid = int(f"{night}{fraction:05d}{rcid:02d}15")
        candid = pid * 1_000_000 + sequence % 1_000_000
        candidate = dict(
            self._record["candidate"],
            jd=exposure.jd,
            exptime=exposure.seconds,
            programid=exposure.program,
            candid=candid,
            pid=pid,
            nid=night,
            rcid=rcid,
            field=exposure.field,
            fid=exposure.filter,
            ra=sky.uniform(0.0, 360.0),
            dec=sky.uniform(-28.0, 89.0),
        )
        name = "".join(sky.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(7))
        record = dict(self._record, objectId=f"ZTF26{name}", candid=candid, candidate=candidate)
        body = io.BytesIO()
        fastavro.schemaless_writer(body, self._schema, record)
        data = body.getvalue()
        return self._header + _long(1) + _long(len(data)) + data + _SYNC


def templates() -> list[Template]:
    """Return the templates from the two real packets of ztf-avro-alert."""
    folder = files("zads.stack").joinpath("packets")
    packets = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".avro")), key=lambda e: e.name)
    return [Template(entry.read_bytes()) for entry in packets]
