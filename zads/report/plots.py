"""Plots as inline SVG, by pygal, the only module that knows it: no script, no outside part, readable without colour.

Docs: https://www.pygal.org/en/stable/documentation/configuration/
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from zads.report.document import Line, Plot
from zads.report.minutes import Span, within, without

WIDE, NARROW = (880, 230), (400, 230)  # two drawings: letters of one that shrinks could not be read on a phone
DASHES = {"solid": "", "dots": "1 5", "dashes": "9 5", "long": "16 5", "dashdots": "9 5 1 5", "fine": "3 3"}
BAD, UNSEEN, LIMIT = "#d1480a", "#8b93a1", "#5b6470"
_TICKS = (1, 2, 5, 10)
_HOUR, _DAY = 3600, 86400
_SLIVER = 55.0  # seconds
_GRID = "#e6e8ec"
_SVG = "{http://www.w3.org/2000/svg}"

Points = list[tuple[float, float | None]]


def _stroke(colour: str, width: float, dashes: str) -> str:
    more = f";stroke-dasharray:{dashes};stroke-linecap:round" if dashes else ""
    return f"fill:none;stroke:{colour};stroke-width:{width};stroke-linejoin:round{more}"


def _style() -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="#4a5260",
        foreground_strong="#4a5260",
        foreground_subtle=_GRID,
        guide_stroke_color=_GRID,
        major_guide_stroke_color=_GRID,
        guide_stroke_dasharray="0",
        major_guide_stroke_dasharray="0",
        font_family="Inter, system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif",
        label_font_size=13,
        major_label_font_size=13,
        opacity="1",
        opacity_hover="1",
        transition="0s",
    )


def _top(plot: Plot) -> float:
    """Return the greatest value that has to fit, in the plot's unit."""
    values = [value for line in plot.lines for when, value in line.samples if plot.shown.start <= when <= plot.shown.end]
    top = max([value for value in values if math.isfinite(value)], default=0.0)
    if plot.limit and top > plot.limit[1] / 4:
        top = max(top, plot.limit[1])
    return top / plot.scale


def ticks(top: float) -> list[float]:
    """Return three to five round labels from 0 to at least `top`."""
    if top <= 0:
        return [0.0, 1.0]
    rough = top / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in _TICKS if power * factor >= rough * 0.999)
    return [step * index for index in range(math.ceil(top / step - 1e-9) + 1)]


def _points(line: Line, plot: Plot) -> Points:
    """Return a line's points; a gap where samples lack."""
    found: Points = []
    for when, value in line.samples:
        if not plot.shown.start <= when <= plot.shown.end or not math.isfinite(value):
            continue
        if line.style == "bars":
            half = plot.apart / 3
            found += _box(when - half, when + half, value / plot.scale)
            continue
        if found and when - found[-1][0] > plot.apart:
            found.append((found[-1][0], None))
        found.append((when, value / plot.scale))
    return found if line.style == "bars" else _thinned(_stubs(found, plot))


def _stubs(points: Points, plot: Plot) -> Points:
    """Return the points with a bit of line for each that stands alone: a line of one point cannot be seen."""
    found: Points = []
    for index, (when, value) in enumerate(points):
        alone = (index == 0 or points[index - 1][1] is None) and (index + 1 == len(points) or points[index + 1][1] is None)
        if alone and value is not None:
            half = max(plot.apart / 4, plot.shown.seconds / 200)
            found += [(when - half, value), (when + half, value)]
        else:
            found.append((when, value))
    return found


def _thinned(points: Points, most: int = 360) -> Points:
    """Return fewer points than a drawing could show apart; each stretch keeps its highest, and gaps stay."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    found: Points = []
    for index in range(0, len(points), size):
        part = points[index : index + size]
        there = [(when, value) for when, value in part if value is not None]
        if there:
            found.append(max(there, key=lambda point: point[1]))
        if len(there) < len(part):
            found.append((part[-1][0], None))
    return found


def _box(start: float, end: float, high: float) -> Points:
    return [(start, 0.0), (start, high), (end, high), (end, 0.0), (end, None)]


def _hours(shown: Span, most: int, *, dates: bool) -> list[float]:
    """Return where labels of time stand."""
    steps = [_DAY * days for days in (1, 2, 7, 14, 30)] if dates else [_HOUR, 2 * _HOUR, 3 * _HOUR, 4 * _HOUR, 6 * _HOUR]
    if not dates and shown.seconds < 3 * _HOUR:
        steps = [600, 900, 1800, *steps]
    step = next((step for step in steps if shown.seconds / step <= most), steps[-1])
    first = math.ceil(shown.start / step)
    return [float(index * step) for index in range(first, int(shown.end // step) + 1)]


def _label(when: float, *, dates: bool) -> str:
    return f"{datetime.fromtimestamp(when, UTC):{'%d %b' if dates else '%H:%M'}}"


def draw(plot: Plot, name: str, size: tuple[int, int]) -> str:
    """Return a plot as SVG; `name` is its id on the page."""
    labels = ticks(_top(plot))
    high, shown = labels[-1], plot.shown
    bad = within(plot.bad, [shown])
    # Slivers beside a bad stretch are rounding: minutes end at other seconds.
    unseen = [one for one in without(within(plot.unseen, [shown]), bad) if one.seconds >= _SLIVER]
    shades = [
        (f"fill:url(#hatch-{name});fill-opacity:1;stroke:none", unseen),
        (f"fill:{BAD};fill-opacity:.22;stroke:none", bad),
    ]
    layers: list[tuple[Points, str]] = []  # each with what its look is
    for look, stretches in shades:
        boxes = [
            point for one in stretches for point in _box(one.start, max(one.end, one.start + shown.seconds / 400), high)
        ]
        layers.append((boxes, look))
    if plot.limit and plot.limit[1] / plot.scale <= high:
        level = plot.limit[1] / plot.scale
        layers.append(([(shown.start, level), (shown.end, level)], _stroke(LIMIT, 1.3, "6 4")))
    for line in plot.lines:
        dashes = DASHES.get(line.style, "")
        look = (
            f"fill:{line.colour};stroke:none" if line.style == "bars" else _stroke(line.colour, 2.5 if dashes else 2, dashes)
        )
        layers.append((_points(line, plot), look))
    chart = pygal.XY(
        style=_style(),
        width=size[0],
        height=size[1],
        explicit_size=False,
        show_dots=False,
        show_legend=False,
        show_x_guides=False,
        allow_interruptions=True,
        js=[],
        margin=4,
        xrange=(shown.start, shown.end),
        range=(0, high),
        x_value_formatter=lambda when: _label(when, dates=plot.dates),
        value_formatter=lambda value: f"{value:,.6g}",
        disable_xml_declaration=True,
        no_data_text="",
    )
    chart.uuid = name
    chart.x_labels = _hours(shown, 4 if size[0] < 600 else 9, dates=plot.dates)
    chart.y_labels = labels
    for points, look in layers:
        chart.add("", points or [(shown.start, None)], fill="fill:none" not in look)
    looks = "".join(
        f"#chart-{name} .serie-{index} path{{{look.replace(';', '!important;')}!important}}"
        for index, (_, look) in enumerate(layers)
    )
    chart.add_xml_filter(lambda root: _still(root, name, plot, looks))
    return str(chart.render(is_unicode=True))


def _still(root: ElementTree.Element, name: str, plot: Plot, looks: str) -> ElementTree.Element:
    """Leave the picture alone: no script, no tooltip; a name and its words; hatching for what nobody saw."""
    for parent in list(root.iter()):
        for child in list(parent):
            kind = child.get("class") or ""
            if (
                str(child.tag).endswith("script")
                or callable(child.tag)
                or "tooltip-overlay" in kind
                or "text-overlay" in kind
            ):
                parent.remove(child)
    root.attrib |= {"role": "img", "aria-label": f"{plot.title}. {plot.says}", "focusable": "false"}
    defs = next(child for child in root if str(child.tag).endswith("defs"))
    hatch = ElementTree.SubElement(defs, "pattern", {
        "id": f"hatch-{name}", "width": "6", "height": "6", "patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)",
    })  # fmt: skip
    ElementTree.SubElement(hatch, "rect", {"width": "6", "height": "6", "fill": "#eceef1"})
    ElementTree.SubElement(hatch, "line", {"y2": "6", "stroke": UNSEEN, "stroke-width": "1.6"})
    style = ElementTree.SubElement(defs, "style")
    style.text = f"{looks}#chart-{name} .axis .line{{stroke:#9aa1ab}}#chart-{name} .axis .guide.line{{stroke:{_GRID}}}"
    return root
