"""Write a whole TOML document: what zads.toml is made of, without its comments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zads.config_schema import quoted, toml


def document(content: Mapping[str, Any]) -> str:
    """Return the text that `tomllib` reads as the same content."""
    return "\n".join(_table(content, "")).strip("\n") + "\n"


def _table(content: Mapping[str, Any], path: str) -> list[str]:
    tables = {key: value for key, value in content.items() if isinstance(value, dict) or _many(value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in content.items() if key not in tables]
    for key, value in tables.items():
        name = f"{path}{_key(key)}"
        for one in value if isinstance(value, list) else [value]:
            lines += ["", f"[[{name}]]" if isinstance(value, list) else f"[{name}]", *_table(one, f"{name}.")]
    return lines


def _many(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else '"' + quoted_basic(key) + '"'


def quoted_basic(text: str) -> str:
    """Return the text as it stands between double quotes."""
    return quoted(text + "\n")[1:-3]  # a line's end forces the form with escapes


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + " }"
    return value.isoformat() if hasattr(value, "isoformat") else toml(value)
