"""Find on which line each key of a TOML text stands, since tomllib forgets it.

A small scanner that follows keys, strings and brackets and ignores what values mean. It never fails: where
a text surprises it, it returns what it has found so far, and messages do without a line.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict

Path = tuple[str | int, ...]
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")  # a date may have its time behind a blank
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'",
    re.DOTALL,
)


class _Surprised(Exception):
    """The text is not what the scanner understands."""


def locate(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of every table, key and array entry of the text."""
    scanner = _Scanner(text)
    with contextlib.suppress(_Surprised, RecursionError):
        scanner.run()
    return scanner.lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line of the path, or of the nearest table around it; None where neither is in the text."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _Scanner:
    """One pass over the text."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.lines: dict[Path, int] = {}
        self._counted, self._line = 0, 1
        self._arrays: dict[Path, int] = defaultdict(int)  # entries of each [[array of tables]]

    def run(self) -> None:
        """Scan the whole text."""
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _note(self, path: Path) -> None:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self._line)

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise _Surprised
        self._at = match.end()
        return match.group()

    def _take(self, symbol: str) -> None:
        if not self._text.startswith(symbol, self._at):
            raise _Surprised
        self._at += len(symbol)

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self._skip(_SPACE)
            parts.append(_plain(self._skip(_STRING)) if self._peek() in {'"', "'"} else self._skip(_BARE))
            self._skip(_SPACE)
            if self._peek() != ".":
                return tuple(parts)
            self._at += 1

    def _header(self) -> Path:
        start, double = self._at, self._text.startswith("[[", self._at)
        self._take("[[" if double else "[")
        names = self._key()
        self._take("]]" if double else "]")
        path: Path = ()
        for position, name in enumerate(names):
            path = (*path, name)
            last = position == len(names) - 1
            if double and last:
                path = (*path, self._arrays[path])
                self._arrays[path[:-1]] += 1
            elif self._arrays.get(path):
                path = (*path, self._arrays[path] - 1)
        end, self._at = self._at, start
        self._note(path)
        self._at = end
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        path = (*table, *self._key())
        end, self._at = self._at, start
        self._note(path)
        self._at = end
        self._take("=")
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        symbol = self._peek()
        if symbol == "[":
            self._array(path)
        elif symbol == "{":
            self._at += 1
            self._skip(_BLANK)
            while self._peek() != "}":
                self._pair(path)
                self._skip(_BLANK)
                if self._peek() == ",":
                    self._at += 1
                    self._skip(_BLANK)
            self._at += 1
        else:
            self._skip(_STRING if symbol in {'"', "'"} else _SCALAR)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        self._skip(_BLANK)
        while self._peek() != "]":
            self._note((*path, index))
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            if self._peek() == ",":
                self._at += 1
                self._skip(_BLANK)
        self._at += 1


def _plain(text: str) -> str:
    """Return what a quoted key stands for."""
    if text.startswith("'"):
        return text[1:-1]
    try:
        return str(json.loads(text))
    except ValueError:
        return text[1:-1]
