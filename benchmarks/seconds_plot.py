"""Draw what the methods said beside what was true: one small picture per scenario, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.seconds_report import Point
from benchmarks.seconds_scenarios import Scenario

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 760, 150, 70, 60, 50
_COLOURS = ("#0072b2", "#d55e00", "#cc79a7")  # Okabe and Ito's, told apart by everybody
_TRUE = "#999999"


def plot(points: Sequence[Point], scenarios: Sequence[Scenario], methods: Sequence[str]) -> str:
    """Return the picture; what lies far above the true lag is cut at the panel's upper edge, and below zero at the lower."""
    begin = min((p.at for p in points), default=0.0)
    length = max((p.at for p in points), default=1.0) - begin or 1.0
    height = _TOP + len(scenarios) * (_HEIGHT + _GAP)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" font-family="sans-serif" '
        'font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    for index, (name, colour) in enumerate(zip(("true", *methods), (_TRUE, *_COLOURS), strict=False)):
        x = _LEFT + index * 190
        out.append(f'<line x1="{x}" x2="{x + 24}" y1="18" y2="18" stroke="{colour}" stroke-width="3"/>')
        out.append(f'<text x="{x + 30}" y="22">{escape(name)}</text>')
    for row, scenario in enumerate(scenarios):
        mine = [p for p in points if p.scenario == scenario.name]
        top = _TOP + row * (_HEIGHT + _GAP)
        most = 1.25 * max([p.true for p in mine], default=1.0) or 1.0
        out.append(f'<text x="{_LEFT}" y="{top - 6}">{escape(scenario.name)}: {escape(scenario.what)}</text>')
        out.append(f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#cccccc"/>')
        for share in (0.0, 0.5, 1.0):
            y = top + _HEIGHT * (1 - share)
            out.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{most * share:,.0f} s</text>')
        lines = [(_TRUE, 5.0, [(p.at, p.true) for p in mine if p.method == methods[0]])]
        lines += [
            (colour, 1.3, [(p.at, p.value) for p in mine if p.method == method])
            for method, colour in zip(methods, _COLOURS, strict=False)
        ]
        for colour, width, line in lines:
            for part in _unbroken(line, length / 25):
                path = " ".join(
                    f"{_LEFT + _WIDTH * (at - begin) / length:.1f},{top + _HEIGHT * (1 - min(max(v / most, 0), 1)):.1f}"
                    for at, v in part
                )
                out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
    out.append(f'<text x="{_LEFT}" y="{height - 20}">{length / 60:,.0f} minutes; a restart of all in the middle</text></svg>')
    return "\n".join(out)


def _unbroken(line: list[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """Split a line where nothing was said."""
    parts: list[list[tuple[float, float]]] = [[]]
    for at, value in line:
        if math.isnan(value) or (parts[-1] and at - parts[-1][-1][0] > gap):
            parts.append([])
        if not math.isnan(value):
            parts[-1].append((at, value))
    return [part for part in parts if part]
