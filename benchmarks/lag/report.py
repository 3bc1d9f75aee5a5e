"""The results as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.lag.measure import Cost, middle, percentile
from benchmarks.lag.values import Comparison


def machine() -> str:
    """Return date and machine in words."""
    with Path("/proc/meminfo").open() as lines:
        memory = int(next(lines).split()[1]) / 1024**2
    day = datetime.now(UTC).date()
    return f"{day}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def report(
    costs: Sequence[Cost], comparisons: Sequence[Comparison], shape: tuple[int, int, int], missing: Iterable[str]
) -> str:
    """Return the whole report; `shape` is topics, partitions and the groups of the main table."""
    topics, partitions, groups = shape
    main = [cost for cost in costs if cost.groups == groups]
    parts = [
        "# Consumer lag, side by side\n",
        f"{machine()}. `python -m benchmarks.lag`: one Kafka, {topics} topics of {partitions} partitions; every group has a commit on "
        "every partition, at random between caught up and the log's start. kafka_exporter and KMinion with their defaults: they "
        "collect when they are scraped. kafka-lag collects every 5 s. Medians.\n",
    ]
    parts += [f"{name} was not there and is missing in the tables.\n" for name in missing]
    if main:
        parts.append(f"## {groups} groups: {topics * partitions * groups:,} group-partitions\n")
        parts.append(_main(main))
    parts.append("## Cost against size\n\n![CPU per collection, time of a scrape and memory against size](../lag.svg)\n")
    parts.append(_sizes(costs, topics * partitions))
    if comparisons:
        parts.append("## The same values, series by series, nothing moving\n")
        parts.append(_values(comparisons))
    return "\n".join(parts)


def _main(costs: Sequence[Cost]) -> str:
    rows: list[tuple[str, str, list[str]]] = [
        ("scrape (gzip), median", "", [_s(percentile(c.scrapes, 0.5)) for c in costs]),
        ("scrape, 99th percentile", "< 0.05 s", [_s(percentile(c.scrapes, 0.99)) for c in costs]),
        (
            "scrape while a collection runs, 99th percentile",
            "< 0.05 s",
            [_s(percentile(c.scrapes_meanwhile, 0.99)) for c in costs],
        ),
        (
            "scrapes measured, of them while a collection runs",
            "",
            [f"{len(c.scrapes)}, {len(c.scrapes_meanwhile)}" for c in costs],
        ),
        ("scrape of plain text", "", [_s(c.plain_scrape) for c in costs]),
        ("CPU per collection, nothing moved", "", [_s(middle(c.quiet_cpu)) for c in costs]),
        ("CPU per collection, all commits and ends moved", "< 0.5 s", [_s(middle(c.moving_cpu)) for c in costs]),
        (
            "the same, groups within 50 messages of the end on 9 of 10 partitions",
            "",
            [_s(middle(c.near_cpu)) for c in costs],
        ),
        ("a collection takes, all moved", "", [_s(middle(c.collection)) for c in costs]),
        ("pace: a collection every", "", [_s(c.pace) for c in costs]),
        ("resident memory (at its peak)", "< 120 MB", [f"{c.megabytes:.0f} ({c.peak_megabytes:.0f}) MB" for c in costs]),
        ("bytes of a scrape, gzip", "< 1 MB", [f"{c.gzip_bytes / 1e6:.2f} MB" for c in costs]),
        ("the same, groups near the end", "< 1 MB", [f"{c.near_gzip_bytes / 1e6:.2f} MB" for c in costs]),
        ("bytes of a scrape, plain", "", [f"{c.plain_bytes / 1e6:.1f} MB" for c in costs]),
    ]
    lines = [f"| what | aim | {' | '.join(c.name for c in costs)} |", "|---|---|" + "---:|" * len(costs)]
    lines += [f"| {what} | {aim} | {' | '.join(cells)} |" for what, aim, cells in rows]
    lines += [f"\n{c.name}: {c.failed}." for c in costs if c.failed]
    return "\n".join(lines) + "\n"


def _sizes(costs: Sequence[Cost], each: int) -> str:
    lines = [
        "| groups | group-partitions | exporter | CPU quiet | CPU all moved | collection | scrape p50 | p99 | MB (peak) | gzip MB | pace |",
        "|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for c in costs:
        if c.failed and not c.moving_cpu:
            lines.append(f"| {c.groups} | {c.groups * each:,} | {c.name} | {c.failed} | | | | | | | |")
            continue
        cells = (
            _s(middle(c.quiet_cpu)),
            _s(middle(c.moving_cpu)),
            _s(middle(c.collection)),
            _s(percentile(c.scrapes, 0.5)),
            _s(percentile(c.scrapes, 0.99)),
            f"{c.megabytes:.0f} ({c.peak_megabytes:.0f})",
            f"{c.gzip_bytes / 1e6:.2f}",
            _s(c.pace),
        )
        lines.append(f"| {c.groups} | {c.groups * each:,} | {c.name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _values(comparisons: Sequence[Comparison]) -> str:
    lines = ["| value | against | equal | different by a rule | wrong |", "|---|---|---:|---|---:|"]
    for c in comparisons:
        named = "; ".join(f"{count}: {name}" for name, count in c.named.items())
        lines.append(f"| {c.kind} | {c.peer} | {c.equal:,} | {named} | {len(c.wrong)} |")
    return "\n".join(lines) + "\n"


def _s(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds:.3f} s" if seconds < 1 else f"{seconds:.1f} s"
