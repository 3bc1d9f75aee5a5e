"""Cost against size as a picture (matplotlib, the extra `bench`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.lag.measure import Cost, middle, percentile

_COLOURS = {"kafka-lag": "#0072b2", "KMinion": "#d55e00", "kafka_exporter": "#cc79a7"}  # Okabe and Ito's
_PANELS: tuple[tuple[str, Callable[[Cost], float | None]], ...] = (
    ("CPU per collection, all moved (s)", lambda cost: middle(cost.moving_cpu)),
    ("scrape, 99th percentile (s)", lambda cost: percentile(cost.scrapes, 0.99)),
    ("resident memory (MB)", lambda cost: cost.megabytes or None),
)


def plot(costs: Sequence[Cost], each: int, path: Path) -> bool:
    """Draw into an SVG file; tell whether matplotlib was there."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.hashsalt": "zads", "svg.fonttype": "none", "font.size": 10})
    figure, axes = pyplot.subplots(1, len(_PANELS), figsize=(13, 4), layout="constrained")
    for axis, (title, value) in zip(axes, _PANELS, strict=True):
        for name, colour in _COLOURS.items():
            points = [(c.groups * each, v) for c in costs if c.name == name and (v := value(c)) is not None]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", color=colour, label=name)
        axis.set(xscale="log", yscale="log", title=title, xlabel="group-partitions")
        axis.grid(visible=True, which="major", color="#dddddd")
    axes[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    return True
