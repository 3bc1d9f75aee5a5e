"""What a value says and which colour it has: units, mappings, thresholds, overrides, as Grafana's fieldConfig declares them."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wall.boards import units
from wall.boards.frames import Cell, Field

# Told apart by colour-blind people, the light ones first: on a dark page they are what one sees.
PALETTE = ("#56b4e9", "#e8eaed", "#e69f00", "#3fb6a8", "#cc79a7", "#f0e442", "#f0713a", "#a7b0ba")
_NAMED = {
    "green": "#2f8f83",
    "blue": "#56b4e9",
    "yellow": "#f0e442",
    "orange": "#e69f00",
    "red": "#d1480a",
    "purple": "#cc79a7",
    "text": "#e9ebee",
    "white": "#e9ebee",
    "black": "#0c0e12",
    "gray": "#5b6470",
    "grey": "#5b6470",
    "transparent": "transparent",
}
_HEX = re.compile(r"#[0-9a-fA-F]{3,8}|rgba?\([\d., %]{5,40}\)")
_PLAIN = "#a7b0ba"
Config = Mapping[str, Any]


@dataclass(frozen=True)
class Shown:
    """A value in words, its colour, and whether the words stand for a state."""

    text: str
    color: str
    state: bool = False


def colour(name: str, default: str = _PLAIN) -> str:
    """Return a colour that a browser knows; Grafana's named shades become ours."""
    if _HEX.fullmatch(name):
        return name
    base = re.sub(r"^(super-light|semi-dark|light|dark)-", "", name)
    return _NAMED.get(base, default)


def configure(panel: Mapping[str, Any], column: Field, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the panel's defaults with the overrides that match this column applied."""
    source = panel.get("fieldConfig") or {}
    config: dict[str, Any] = copy.deepcopy(source.get("defaults") or {})
    config.setdefault("custom", {})
    for override in source.get("overrides") or ():
        if _matches(override.get("matcher") or {}, column):
            for item in override.get("properties") or ():
                _put(config, str(item.get("id", "")), item.get("value"))
    return config


def _put(config: dict[str, Any], name: str, value: Any) -> None:
    first, _, rest = name.partition(".")
    if first == "custom" and rest:
        config["custom"][rest] = value
    else:
        config[name] = value


def _matches(matcher: Mapping[str, Any], column: Field) -> bool:
    options = matcher.get("options")
    match matcher.get("id"):
        case "byName":
            return column.name == options
        case "byRegexp":
            return bool(pattern(str(options)).search(column.name))
        case "byFrameRefID":
            return column.ref == options
        case "byType":
            return column.kind == options
        case "byNames":
            names = (options or {}).get("names", ())
            return (column.name in names) != ((options or {}).get("mode") == "exclude")
        case _:
            return False


def pattern(text: str) -> re.Pattern[str]:
    """Return a regular expression that may stand between slashes; one that is none matches nothing."""
    body = text[1 : text.rindex("/")] if text.startswith("/") and text.count("/") > 1 else text
    try:
        return re.compile(body)
    except re.error:
        return re.compile(r"(?!)")


def name(config: Config, column: Field) -> str:
    """Return what the column is called."""
    given = config.get("displayName") or config.get("displayNameFromDS")
    if not given:
        return column.name
    return re.sub(r"\${__field\.labels\.(\w+)}", lambda m: column.labels.get(m[1], ""), str(given)).replace(
        "${__field.name}", column.name
    )


def show(config: Config, value: Cell, index: int = 0, span: tuple[float, float] | None = None) -> Shown:
    """Return a value's words and colour; `span` is what percentages of thresholds are of, where no min and max stand."""
    mapped = _mapped(config, value)
    if mapped is not None:
        text = str(mapped.get("text") or "") or (_plain(config, value) if value is not None else "")
        own = mapped.get("color")
        return Shown(text, colour(own) if own else shade(config, value, index, span), True)
    if value is None:
        nothing = str(config.get("noValue") or "")
        return Shown(nothing or "no data", _PLAIN, state=bool(nothing))
    return Shown(_plain(config, value), shade(config, value, index, span))


def _plain(config: Config, value: Cell) -> str:
    if isinstance(value, float):
        return units.text(value, str(config.get("unit") or ""), decimals(config))
    return value or ""


def decimals(config: Config) -> int | None:
    """Return how many digits stand after the point, None for as many as say something."""
    given = config.get("decimals")
    return int(given) if isinstance(given, int | float) else None


def shade(config: Config, value: Cell, index: int = 0, span: tuple[float, float] | None = None) -> str:
    """Return the colour of a value: fixed, of its thresholds, or of its place among others."""
    mode = (config.get("color") or {}).get("mode", "thresholds")
    if mode in {"fixed", "shades"}:
        return colour(str(config["color"].get("fixedColor", "")))
    if mode.startswith("palette-classic"):
        return PALETTE[index % len(PALETTE)]
    return level(config, value, span)


def level(config: Config, value: Cell, span: tuple[float, float] | None = None) -> str:
    """Return the colour of the highest threshold that the value reaches."""
    steps, found = (config.get("thresholds") or {}).get("steps") or (), _PLAIN
    if not steps:
        return found
    if isinstance(value, float):
        low, high = limits(config, span)
        if (config.get("thresholds") or {}).get("mode") == "percentage":
            value = (value - low) / ((high - low) or 1) * 100
    for step in steps:
        at = step.get("value")
        if at is None or (isinstance(value, float) and value >= at):
            found = colour(str(step.get("color", "")))
    return found


def limits(config: Config, span: tuple[float, float] | None = None) -> tuple[float, float]:
    """Return the least and the most, as given or as seen."""
    low, high = config.get("min"), config.get("max")
    seen = span or (0.0, 100.0)
    return (float(seen[0] if low is None else low), float(seen[1] if high is None else high))


def _mapped(config: Config, value: Cell) -> Mapping[str, Any] | None:
    for mapping in config.get("mappings") or ():
        options = mapping.get("options") or {}
        match mapping.get("type"):
            case "value":
                found = _by_value(options, value)
            case "range":
                found = options.get("result") if _within(options, value) else None
            case "regex":
                found = _by_pattern(options, value)
            case "special":
                found = options.get("result") if _special(str(options.get("match", "")), value) else None
            case _:
                found = None
        if found is not None:
            result: Mapping[str, Any] = found
            return result
    return None


def _by_value(options: Mapping[str, Any], value: Cell) -> Mapping[str, Any] | None:
    if value is None:
        return None
    found: Mapping[str, Any] | None = options.get(f"{value:g}" if isinstance(value, float) else value)
    if found is None and isinstance(value, float) and value == round(value) and math.isfinite(value):
        found = options.get(str(int(value)))
    return found


def _within(options: Mapping[str, Any], value: Cell) -> bool:
    if not isinstance(value, float):
        return False
    low, high = options.get("from"), options.get("to")
    return (low is None or value >= low) and (high is None or value <= high)


def _by_pattern(options: Mapping[str, Any], value: Cell) -> Mapping[str, Any] | None:
    if value is None:
        return None
    words, result = (f"{value:g}" if isinstance(value, float) else value), options.get("result") or {}
    found = pattern(str(options.get("pattern", ""))).search(words)
    if not found:
        return None
    filled = re.sub(
        r"\$(\d)", lambda m: found[int(m[1])] if int(m[1]) <= (found.re.groups or 0) else "", str(result.get("text", ""))
    )
    return {**result, "text": filled}


def _special(match: str, value: Cell) -> bool:
    wanted = {"null": value is None, "nan": value is None, "null+nan": value is None, "empty": value == ""}
    return wanted.get(match, False)
