"""Fast text for wide families: one series per group and partition.

prometheus_client formats every sample's labels anew at each rendering. Here the text before a
series' value is made once and kept while the series lives; per collection only values are formatted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from zads.metrics import METRICS


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
    """A gauge family with many series; keys are label values in the catalogue's order."""

    def __init__(self, name: str) -> None:
        metric = METRICS[name]
        self._name, self._labels = metric.name, metric.labels
        text = metric.help.replace("\\", "\\\\").replace("\n", "\\n")
        self._head = f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.kind}\n"
        self._prefixes: dict[tuple[object, ...], str] = {}

    def render(self, samples: Iterable[tuple[tuple[object, ...], float]]) -> bytes:
        """Return the family's text; prefixes of series that are gone are forgotten."""
        old, lines = self._prefixes, [self._head]
        new: dict[tuple[object, ...], str] = {}
        for key, value in samples:
            prefix = old.get(key)
            if prefix is None:
                pairs = ",".join(f'{n}="{escape(str(v))}"' for n, v in zip(self._labels, key, strict=True))
                prefix = f"{self._name}{{{pairs}}} "
            new[key] = prefix
            lines.append(f"{prefix}{number(value)}\n")
        self._prefixes = new
        return "".join(lines).encode() if new else b""
