"""Numbers as people read them, by Grafana's names of units. A unit that is not known here says its name."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

_TIMES = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_CLOCK = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d"))
_SI = ((1.0, ""), (1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P"))
_IEC = ((1.0, ""), (1024.0, "Ki"), (1024.0**2, "Mi"), (1024.0**3, "Gi"), (1024.0**4, "Ti"), (1024.0**5, "Pi"))
_SHORT = ((1.0, ""), (1e3, " K"), (1e6, " Mil"), (1e9, " Bil"), (1e12, " Tri"))
# Letters after the number, the prefixes that it takes, and how many of the letters one is.
_SCALED = {
    "bytes": ("B", _IEC, 1.0),
    "kbytes": ("B", _IEC, 1024.0),
    "mbytes": ("B", _IEC, 1024.0**2),
    "decbytes": ("B", _SI, 1.0),
    "deckbytes": ("B", _SI, 1e3),
    "decmbytes": ("B", _SI, 1e6),
    "bits": ("b", _IEC, 1.0),
    "decbits": ("b", _SI, 1.0),
    "Bps": ("B/s", _SI, 1.0),
    "binBps": ("B/s", _IEC, 1.0),
    "KBs": ("B/s", _SI, 1e3),
    "MBs": ("B/s", _SI, 1e6),
    "bps": ("b/s", _SI, 1.0),
    "binbps": ("b/s", _IEC, 1.0),
    "hertz": ("Hz", _SI, 1.0),
}
_RATES = {
    "ops": "ops/s",
    "reqps": "req/s",
    "rps": "reads/s",
    "wps": "writes/s",
    "iops": "I/O ops/s",
    "cps": "counts/s",
    "pps": "packets/s",
    "mps": "messages/s",
    "eps": "events/s",
    "cpm": "counts/min",
    "opm": "ops/min",
    "rpm": "reads/min",
    "wpm": "writes/min",
    "celsius": "°C",
}
_WORDS = {"bool": ("True", "False"), "bool_yes_no": ("Yes", "No"), "bool_on_off": ("On", "Off")}
_SPANS = ((31536000, "year"), (604800, "week"), (86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_MOMENT = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "MMM": "%b", "ddd": "%a"}


@dataclass(frozen=True)
class Scale:
    """How a chart's axis writes its numbers: divided by `by`, `digits` after the point, then the suffix."""

    by: float
    prefix: str
    suffix: str
    digits: int | None

    def text(self, value: float) -> str:
        """Return the number with its unit."""
        return f"{self.prefix}{_number(value / self.by, self.digits)}{self.suffix}"


def text(value: float, unit: str, decimals: int | None = None) -> str:
    """Return the number in words: 41 min, 1.2 MB/s, 312,480."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit in {"dateTimeAsIso", "dateTimeAsUS", "dateTimeAsLocal", "dateTimeAsSystem"}:
        return _date(value, "%Y-%m-%d %H:%M:%S")
    if unit.startswith("time:"):
        return _date(value, re.sub(r"YYYY|MMM|ddd|MM|DD|HH|mm|ss", lambda m: _MOMENT[m[0]], unit[5:]))
    if unit in {"dtdurations", "dtdurationms"}:
        return _spans(value / (1000 if unit.endswith("ms") else 1), decimals)
    if unit in _WORDS:
        return _WORDS[unit][value == 0]
    return scale(value, unit, decimals).text(value)


def scale(most: float, unit: str, decimals: int | None = None) -> Scale:
    """Return the scale that suits a value, or a chart whose largest is `most`."""
    size = abs(most)
    if unit in {"", "none", "locale", "string", "sishort"}:
        return Scale(1, "", "", decimals)
    if unit == "short":
        return _steps(size, _SHORT, "", 1.0, decimals, glue="")
    if unit in {"percent", "percentunit"}:
        return Scale(1 if unit == "percent" else 0.01, "", "%", decimals)
    if unit in _TIMES:
        by, letters = next(((b, s) for b, s in reversed(_CLOCK) if size * _TIMES[unit] >= b), _CLOCK[0])
        by, letters = (1.0, "s") if size == 0 else (by, letters)
        return Scale(by / _TIMES[unit], "", f" {letters}", decimals)
    if unit in _SCALED:
        letters, prefixes, each = _SCALED[unit]
        return _steps(size, prefixes, letters, each, decimals, glue=" ")
    if unit in _RATES:
        return _steps(size, _SHORT, f" {_RATES[unit]}", 1.0, decimals, glue="")
    kind, _, given = unit.partition(":")
    if kind == "suffix":
        return _steps(size, _SHORT, f" {given.strip()}", 1.0, decimals, glue="")
    if kind == "prefix":
        return Scale(1, given, "", decimals)
    return Scale(1, "", f" {unit}", decimals)


def _steps(
    size: float, prefixes: tuple[tuple[float, str], ...], letters: str, each: float, decimals: int | None, *, glue: str
) -> Scale:
    by, prefix = next(((b, p) for b, p in reversed(prefixes) if size * each >= b), prefixes[0])
    return Scale(by / each, "", f"{glue}{prefix}{letters}", decimals)


def _number(value: float, digits: int | None) -> str:
    if digits is None:
        digits = 0 if value == round(value) or abs(value) >= 100 else 2 - math.floor(math.log10(abs(value) or 1))
        digits = max(0, min(6, digits))
        shown = f"{value:,.{digits}f}"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    shown = f"{value:,.{digits}f}"
    return shown.removeprefix("-") if float(shown.replace(",", "")) == 0 else shown


def _date(milliseconds: float, layout: str) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime(layout)
    except (OverflowError, OSError, ValueError):
        return "no date"


def _spans(value: float, decimals: int | None) -> str:
    """Return 41 minutes, or 2 hours, 5 minutes with one decimal: each decimal is a further part."""
    left = abs(value)
    parts: list[str] = []
    for size, name in _SPANS:
        count = int(left // size)
        if count or parts:
            if count:
                parts.append(f"{count} {name}{'s' if count > 1 else ''}")
            left -= count * size
            if len(parts) > (decimals or 0):
                break
    return ("-" if value < 0 else "") + (", ".join(parts) or "0 seconds")
