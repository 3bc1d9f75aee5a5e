"""Numbers as words inside PromQL, so that one tile's small line can say what its large word means.

A stat panel shows a series' name and its value, and nothing else; a name is made of labels, and `count_values` is what turns
a value into a label. Each function returns an expression of one series per group, with value 1 and its text in a label.
"""

from __future__ import annotations

NBSP = "\N{NO-BREAK SPACE}"


def under(name: str, line: str, pad: int = 16) -> str:
    """Return a legend whose line stands under the name: spaces that do not break leave it no room beside it."""
    return f"{name}{NBSP * pad} {whole(line)}"


def whole(text: str) -> str:
    """Return the text as one that is not broken into lines."""
    return text.replace(" ", NBSP)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def named(expr: str, label: str, text: str) -> str:
    """Return the expression with a label that always says the same."""
    return f"label_replace({expr}, {_quoted(label)}, {_quoted(text)}, {_quoted('')}, {_quoted('')})"


def number(expr: str, form: str, label: str = "text", by: str = "") -> str:
    """Return the value written into `form`, where $1 stands for it."""
    counted = f'count_values by ({by}) ("{label}", {expr})'
    return f'label_replace({counted}, "{label}", "{form}", "{label}", "(.*)")'


def first(*expressions: str, by: str = "") -> str:
    """Return the first of the expressions that has anything, for each group."""
    return f" or on ({by}) ".join(expressions)


def duration(expr: str, label: str = "text", by: str = "", form: str = "{}") -> str:
    """Return a duration in few letters: 4 s, 41 min, 2.1 h, 3 d."""

    def piece(low: float, high: float, unit: float, step: str, letters: str) -> str:
        within = f"{expr} >= {low:g} < {high:g}" if high else f"{expr} >= {low:g}"
        return number(f"round(({within}) / {unit:g}{step})", whole(form.format(f"$1 {letters}")), label, by)

    pieces = (
        piece(0, 100, 1, "", "s"),
        piece(100, 6000, 60, "", "min"),
        piece(6000, 172800, 3600, ", 0.1", "h"),
        piece(172800, 0, 86400, "", "d"),
    )
    return "(" + first(*pieces, by=by) + ")"


def rate(expr: str, label: str = "rate", by: str = "") -> str:
    """Return bytes per second as contracts give them, in MB/s."""
    small = number(f"round(({expr} < 95000) / 1000000, 0.01)", whole("$1 MB/s"), label, by)
    large = number(f"round(({expr} >= 95000) / 1000000, 0.1)", whole("$1 MB/s"), label, by)
    return "(" + first(small, large, by=by) + ")"


def clock(expr: str, label: str = "text", by: str = "", form: str = "{}") -> str:
    """Return a moment as hours and minutes, UTC."""
    group = f"{by}, " if by else ""
    hours = _padded(f'count_values by ({by}) ("hh", hour({expr}))', "hh")
    minutes = _padded(f'count_values by ({group}hh) ("mm", minute({expr}) * on ({by}) group_left (hh) {hours})', "mm")
    joined = f'label_join({minutes}, "{label}", ":", "hh", "mm")'
    return f'label_replace({joined}, "{label}", "{whole(form.format("$1 UTC"))}", "{label}", "(.*)")'


def _padded(expr: str, label: str) -> str:
    return f'label_replace({expr}, "{label}", "0$1", "{label}", "(.)")'
