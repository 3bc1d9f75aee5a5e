"""The locator: every key of a TOML text is found on its line, and no text makes it fail."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zads.config_lines import line_of, locate

ROOT = Path(__file__).parents[2]
TEXT = '''# a comment with [site] and key = 1
title = "one # two = [three]"

[site]   # comment
name = 'a "quoted" name'
"odd key" = 1
dotted.inner = 2
'lit.eral' = 3

[[community]]
name = "a"
networks = [  # first
  "192.0.2.0/24",   # [not a table]
  "198.51.100.0/24",
]
[[community]]
name = """
three
lines"""
inline = { x = 1, y = ["p", { z = 2 }] }
when = 1979-05-27 07:32:00
[community.sub]
key = true
[ spaced . out ]
deep = [[1, 2], [3]]
'''


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _paths(inner, (*path, index))


@pytest.mark.parametrize("text", [TEXT, TEXT.replace("\n", "\r\n"), (ROOT / "zads.toml").read_text(encoding="utf-8")])
def test_every_path_that_tomllib_knows_has_a_line(text: str) -> None:
    lines = locate(text)
    assert [path for path in _paths(tomllib.loads(text)) if path not in lines] == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("site",), 4),
        (("site", "odd key"), 6),
        (("site", "dotted", "inner"), 7),
        (("site", "lit.eral"), 8),
        (("community", 0, "networks", 1), 14),
        (("community", 1), 16),
        (("community", 1, "inline", "y", 1, "z"), 20),
        (("community", 1, "sub", "key"), 23),
        (("spaced", "out", "deep", 1, 0), 25),
    ],
)
def test_lines_are_right(path: tuple[str | int, ...], line: int) -> None:
    assert locate(TEXT)[path] == line


def test_a_key_that_is_not_there_has_its_tables_line() -> None:
    lines = locate(TEXT)
    assert line_of(lines, ("site", "missing")) == 4
    assert line_of(lines, ("nowhere", "at", "all")) is None


@given(st.text(alphabet="[]{}=\"'#,.\n\\ ab1", max_size=60))
def test_no_text_makes_it_fail_or_hang(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in locate(text).values())
