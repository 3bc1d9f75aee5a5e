"""Series in promtool's short notation: runs, gaps, and the stale marker that Prometheus writes where a series ends."""

from __future__ import annotations

import numpy as np

Labels = dict[str, str]


def text(name: str, labels: Labels) -> str:
    """Return a series' name as PromQL writes it."""
    inside = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{inside}}}" if inside else name


def encode(values: np.ndarray, unseen: np.ndarray | None = None) -> str:
    """Return the values as promtool's `values`; nan is no sample.

    Where a series ends it gets a stale marker, as Prometheus writes one; not where Prometheus itself was away
    (`unseen`).
    """
    if unseen is not None and unseen.any():
        values = np.where(unseen, np.nan, values)
    there = ~np.isnan(values)
    same = np.zeros(len(values), dtype=bool)
    same[1:] = (values[1:] == values[:-1]) | (~there[1:] & ~there[:-1])
    starts = np.flatnonzero(~same)
    lengths = np.diff(np.append(starts, len(values)))
    parts, before = [], False
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = float(values[start])
        if value == value:
            number = f"{value:.12g}"
            parts.append(f"{number}x{length - 1}" if length > 1 else number)
            before = True
            continue
        rest = length
        if before and not (unseen is not None and unseen[start]):
            parts.append("stale")
            rest -= 1
        before = False
        if rest:
            parts.append(f"_x{rest}")
    return " ".join(parts)
