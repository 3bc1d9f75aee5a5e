"""What is wrong with a zads.toml, in an operator's words: where, what, what the key means, what was found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from zads.config_schema import Path, Place, example, kind, place, tables, toml, unit
from zads.config_types import duration_text

_SECRET = re.compile(r"token|pass|secret|credential|key|webhook|auth", re.IGNORECASE)
_LONGEST = 60


@dataclass(frozen=True)
class ConfigError:
    """One thing that is wrong: where (dotted path, line) and what to write instead."""

    path: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ConfigErrors(Exception):
    """All that is wrong with one config file."""

    def __init__(self, source: str, errors: Iterable[ConfigError]) -> None:
        self.source = source
        self.errors = tuple(errors)
        super().__init__("\n".join(located(source, error) for error in self.errors))


def located(source: str, error: ConfigError) -> str:
    """Return the error as `file:LINE: dotted.path: message`."""
    return f"{source}:{error.line}: {error}" if error.line else f"{source}: {error}"


def dotted(path: Path) -> str:
    """Return a path as people write it: community[0].networks[1]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else ("." if text else "") + part
    return text


def secretive(path: Path) -> bool:
    """Tell whether a key looks like one that holds a secret: its value is never shown."""
    return any(isinstance(part, str) and _SECRET.search(part) for part in path)


def shown(value: Any) -> str:
    """Return a value as a message shows it: short, and nothing of what stands inside a table or a list."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an empty list" if not value else "a list"
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, str):
        value = re.sub(r"//[^/@\s]*@", "//***@", value)
    text = toml(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def with_meaning(path: Path, message: str) -> str:
    """Return the message followed by what the key means, with an example."""
    here = place(path)
    if here is None:
        return message
    if here.field is None or (here.field.description is None and here.model is not None):
        meaning, sample = ((here.model.__doc__ or "").strip().split("\n", 1)[0].rstrip(".") if here.model else ""), ""
        meaning = meaning[:1].lower() + meaning[1:] if meaning[1:2].islower() else meaning
    else:
        meaning, sample = here.field.description or "", example(here.field)
        counts = unit(here.field)
        if counts and counts not in meaning:
            meaning += f", in {counts}"
    text = f"{message}; {meaning}" if meaning else message
    return text + (f", for example {sample}" if sample and "write " not in message else "")


def explain(error: Any, path: Path) -> ConfigError:
    """Return pydantic's error in plain words; `path` is where it is in the file."""
    name, found = error["type"], error["input"]
    if name == "extra_forbidden" or (name == "literal_error" and error["loc"][-1] == "[key]"):
        return ConfigError(dotted(path), _unknown(path))
    if name == "missing":
        return ConfigError(dotted(path), with_meaning(path, "is missing"))
    here = place(path)
    words = _words(error, here)
    hidden = secretive(path)
    if hidden and isinstance(found, str) and found:
        words = words.replace(repr(found), "this value").replace(found, "***")
    elif not hidden and error["type"] != "too_short" and not _said(found, words):
        words += f", found {shown(found)}"
    return ConfigError(dotted(path), with_meaning(path, words))


def _words(error: Any, here: Place | None) -> str:
    name, context = error["type"], error.get("ctx", {})
    table = dotted(tuple(part for part in error["loc"] if isinstance(part, str)))
    if name == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if name == "literal_error":
        return "expected " + re.sub("'([^']*)'", r'"\1"', str(context["expected"])) + _near(error)
    if name in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        limit = next(iter(context.values()))
        is_duration = here is not None and here.field is not None and kind(here.field).name == "duration"
        text = f'"{duration_text(limit)}"' if is_duration else f"{limit:g}"
        than = {"greater_than": "more than", "less_than": "less than", "less_than_equal": "at most"}.get(name, "at least")
        return f"expected {than} {text}"
    if name == "too_short":
        return "expected at least one entry"
    if name in {"tuple_type", "list_type"}:
        if here is not None and here.model is not None:
            return f"expected a list of tables: write [[{table}]]"
        return "expected a list in [ ]"
    if name in {"model_type", "model_attributes_type", "dict_type"}:
        return f"expected one table: write [{table}]" if isinstance(error["input"], list) else "expected a table"
    if name == "finite_number":
        return "expected a finite number"
    if here is not None and here.field is not None:
        return f"expected {kind(here.field).expects}"
    return f"is not right: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _said(found: Any, words: str) -> bool:
    """Tell whether the words show what was found already."""
    if not isinstance(found, str) or not found:
        return False
    return repr(found) in words or (len(found) > 3 and bool(re.search(rf"(?<!\w){re.escape(found)}(?!\w)", words)))


def _near(error: Any) -> str:
    words = re.findall("'([^']*)'", str(error["ctx"]["expected"]))
    found = str(error["input"])
    near = difflib.get_close_matches(found.lower(), {word.lower() for word in words}, 1)
    word = next((w for w in words if near and w.lower() == near[0]), None)
    return f' (did you mean "{word}"?)' if word else ""


def _unknown(path: Path) -> str:
    """Say what to write instead of a key that zads.toml does not have."""
    key, around = str(path[-1]), place(path[:-1])
    known = around.known() if around else ()
    pairs = [
        name.removesuffix("_file")
        for name in known
        if name.endswith("_file") and name.removesuffix("_file") + "_env" in known
    ]
    if secretive((key,)) and key not in {"keys"}:
        near = key if key in pairs else next(iter(difflib.get_close_matches(key, pairs, 1, 0.5)), None)
        near = near or next((pair for pair in pairs if key.lower() in pair or pair in key.lower()), None)
        if near and not key.endswith(("_file", "_env")):
            return f"unknown key; secrets stand in a file or in the environment: write {near}_file or {near}_env"
    near = next(iter(difflib.get_close_matches(key.lower(), known, 1)), None)
    if near:
        return f"unknown key; did you mean {_heading(path[:-1], near)}?"
    if len(path) == 1 and key.endswith("s") and key[:-1] in known:
        return f"unknown key; did you mean {_heading((), key[:-1])}?"
    homes = [heading for heading, model in tables() if key in {f.alias or n for n, f in model.model_fields.items()}]
    if homes:
        return f"unknown key here; it belongs into {' or '.join(homes[:3])}"
    if secretive((key,)):
        return "unknown key; secrets stand in a file or in the environment, never in zads.toml"
    return "unknown key; known here: " + ", ".join(known) if known else "unknown key"


def _heading(above: Path, key: str) -> str:
    here = place((*above, key))
    if here is None or here.model is None:
        return key
    name = dotted((*(part for part in above if isinstance(part, str)), key))
    return f"[[{name}]]" if here.many else f"[{name}]"
