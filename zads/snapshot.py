"""Fast text for wide families, in parts that are kept compressed while nothing in them changes.

prometheus_client formats every label of every sample at each rendering, and a page of a hundred thousand
series is tens of megabytes of text. Here a page is made of parts (one family on one topic, say): a part is
rendered and deflated once and used again until its values change, and its text is not kept. The gzip of the
page is put together from the parts' deflate streams; plain text is inflated for those who ask for it.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from zads.metrics import METRICS

_WORTH_DEFLATING = 8_192  # bytes: shorter parts are joined with their neighbours, or gzip would gain little
_LEVEL_ONCE, _LEVEL_KEPT = 1, 4  # what is deflated anew each time has to be quick, what is kept small
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_GZIP_END = b"\x03\x00"  # an empty last block


@lru_cache(maxsize=20_000)  # a page holds each group's and each topic's name very often
def escape(value: str) -> str:
    """Escape a label's value (Prometheus text format 0.0.4)."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number(value: float) -> str:
    """Format a value; integers without a fraction, as they are most of a lag exporter's values."""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


class WideFamily:
    """A family of the catalogue with many series, whose text is made by hand."""

    def __init__(self, name: str) -> None:
        metric = METRICS[name]
        self.name, self._labels = metric.name, metric.labels
        text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
        self.head = f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.kind}\n".encode()

    def prefix(self, *values: str) -> str:
        """Return the text of a series up to its last label's value; `values` are all labels but the last.

        A series is then `f'{prefix}{last}"}} {value}\\n'`, where `last` is escaped text or a number.
        """
        pairs = "".join(f'{name}="{escape(value)}",' for name, value in zip(self._labels, values, strict=False))
        return f'{self.name}{{{pairs}{self._labels[len(values)]}="'

    def render(self, samples: Iterable[tuple[tuple[object, ...], float]]) -> bytes:
        """Return the family's whole text, nothing for a family without series."""
        text = self.lines(samples)
        return self.head + text if text else b""

    def lines(self, samples: Iterable[tuple[tuple[object, ...], float]]) -> bytes:
        """Return the text of samples, without the head; keys are label values in the catalogue's order."""
        lines = []
        for key, value in samples:
            pairs = ",".join(f'{n}="{escape(str(v))}"' for n, v in zip(self._labels, key, strict=True))
            lines.append(f"{self.name}{{{pairs}}} {number(value)}\n")
        return "".join(lines).encode()


class Part:
    """A piece of a page: whole lines of text, kept deflated when it is long."""

    __slots__ = ("_data", "_shift", "crc", "deflated", "size")

    def __init__(self, text: bytes) -> None:
        self.size = len(text)
        self.deflated = self.size >= _WORTH_DEFLATING
        self._data = _deflate(text, _LEVEL_KEPT) if self.deflated else text
        self.crc = zlib.crc32(text) if self.deflated else 0
        self._shift = _power(self.size) if self.deflated else 0

    def text(self) -> bytes:
        """Return the text."""
        return zlib.decompressobj(-15).decompress(self._data) if self.deflated else self._data

    def stream(self) -> bytes:
        """Return the deflate stream of a deflated part: whole blocks that look back at nothing before them."""
        return self._data

    def crc_after(self, crc: int) -> int:
        """Return the CRC-32 of a text with CRC `crc`, followed by this part."""
        return _multiply(self._shift, crc) ^ self.crc


class Page:
    """An immutable text made of parts."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.size = sum(part.size for part in parts)

    def chunks(self) -> Iterator[bytes]:
        """Yield the text piece by piece."""
        return (part.text() for part in self._parts)

    def text(self) -> bytes:
        """Return the whole text."""
        return b"".join(self.chunks())

    def gzip(self) -> bytes:
        """Return the page as one gzip member."""
        out, crc, short = [_GZIP_HEAD], 0, list[bytes]()
        for part in (*self._parts, None):
            if part is not None and not part.deflated:
                short.append(part.text())
                continue
            if short:
                text = b"".join(short)
                short.clear()
                out.append(_deflate(text, _LEVEL_ONCE))
                crc = zlib.crc32(text, crc)
            if part is not None:
                out.append(part.stream())
                crc = part.crc_after(crc)
        return b"".join([*out, _GZIP_END, struct.pack("<II", crc, self.size & 0xFFFFFFFF)])


def _deflate(text: bytes, level: int) -> bytes:
    """Return raw deflate blocks that end at a byte and can be followed by any others."""
    engine = zlib.compressobj(level, zlib.DEFLATED, -15)
    return engine.compress(text) + engine.flush(zlib.Z_FULL_FLUSH)


# The CRC of two texts in a row from their CRCs (zlib's crc32_combine, which Python does not have): CRCs are
# polynomials over GF(2) modulo the CRC's own, and appending n bytes multiplies by x^(8n).
_POLYNOMIAL = 0xEDB88320


def _multiply(a: int, b: int) -> int:
    product, bit = 0, 1 << 31
    while True:
        if a & bit:
            product ^= b
            if not a & (bit - 1):
                return product
        bit >>= 1
        if not bit:
            return product
        b = (b >> 1) ^ _POLYNOMIAL if b & 1 else b >> 1


_SQUARES = [1 << 30]  # x^(2^n)
for _ in range(66):
    _SQUARES.append(_multiply(_SQUARES[-1], _SQUARES[-1]))


_PIECE = 10  # bits of a size for which the power is looked up at once


def _power(size: int) -> int:
    """Return x^(8 size)."""
    result, shift = 1 << 31, 0
    while size:
        if piece := size & ((1 << _PIECE) - 1):
            result = _multiply(_piece(piece, shift), result)
        size >>= _PIECE
        shift += _PIECE
    return result


@lru_cache(maxsize=4 << _PIECE)
def _piece(piece: int, shift: int) -> int:
    """Return x^(8 piece 2^shift)."""
    result, step = 1 << 31, 3 + shift
    while piece:
        if piece & 1:
            result = _multiply(_SQUARES[step], result)
        piece >>= 1
        step += 1
    return result
