"""Numbers in words, for the page at / of each exporter: "12 s", "1.2 MB/s", "3 connections"."""

from __future__ import annotations

from collections.abc import Sequence


def span(seconds: float) -> str:
    """Return a time that has passed or is to come in its largest unit: "12 s", "3 min", "5 h", "29 days"."""
    for size, name in ((172_800.0, "days"), (7_200.0, "h"), (120.0, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86_400.0, 'h': 3_600.0, 'min': 60.0}[name]:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s" if seconds >= 1 or seconds <= 0 else f"{max(1.0, seconds * 1000):.0f} ms"


def rate(bytes_per_second: float) -> str:
    """Return bytes per second: "1.2 MB/s", "340 kB/s"."""
    return f"{bytes_per_second / 1e6:.1f} MB/s" if bytes_per_second >= 1e6 else f"{bytes_per_second / 1e3:.0f} kB/s"


def count(number: int, one: str, many: str) -> str:
    """Return a number with its noun: "1 connection", "12,345 alerts"."""
    return f"{number:,} {one if number == 1 else many}"


def some(names: Sequence[str], most: int = 3) -> str:
    """Return the names, or the first of them and how many more: "a, b, c and 4 more"."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
