"""Change the rendered files as one, and back: no moment in which one of them is half written."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from zads import render
from zads.config import ConfigError, ConfigErrors
from zads.config_lines import locate

KEPT = "# kept by zads config apply"


class Swap:
    """The files of a folder and what stood there before, kept by a second name until it is certain which stays.

    Going back only renames: it works on a full disk too.
    """

    def __init__(self, directory: Path, files: Mapping[str, str]) -> None:
        self._directory, self._files = directory, dict(files)
        self._former: dict[str, Path] = {}
        obsolete = [name for name in render.SECRETS if name not in files and (directory / name).exists()]
        self._obsolete = [directory / name for name in obsolete]
        self.changed = sorted(name for name, text in files.items() if self._text(name) != text)

    def _text(self, name: str) -> str | None:
        try:
            return (self._directory / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def former(self, name: str) -> str | None:
        """Return what stood there before the swap, None where nothing did."""
        kept = self._former.get(name)
        return kept.read_text(encoding="utf-8") if kept else None

    def forward(self) -> None:
        """Put the new files in place; raises OSError, after which `back` is due."""
        self._directory.mkdir(parents=True, exist_ok=True)
        for name in self._files:
            file = self._directory / name
            kept = file.with_name(f"{file.name}.former")
            with suppress(FileNotFoundError):
                kept.unlink()
            if file.is_file():
                try:
                    os.link(file, kept)
                except OSError:  # a file system without links
                    shutil.copy2(file, kept)
                self._former[name] = kept
        render.write(self._files, self._directory)

    def back(self) -> None:
        """Put the former files back."""
        for name in self._files:
            file, kept = self._directory / name, self._former.get(name)
            if kept is None:
                with suppress(OSError):
                    file.unlink(missing_ok=True)
            elif kept.exists():
                kept.replace(file)
                kept.unlink(missing_ok=True)  # two names of one file: replacing one by the other does nothing

    def done(self) -> None:
        """Forget the former files, and secrets that nothing refers to any more."""
        for file in [*self._former.values(), *self._obsolete]:
            with suppress(OSError):
                file.unlink(missing_ok=True)


def with_kept_lines(text: str, former: str | None) -> str:
    """Return the text with the values that the former applied copy marks as kept.

    Raises ConfigErrors where the text writes such a key in a way that a line cannot replace.
    """
    if former is None or KEPT not in former:
        return text
    lines, wanted = former.splitlines(), dict[tuple[str | int, ...], Any]()
    data = tomllib.loads(former)
    for path, number in locate(former).items():
        if lines[number - 1].rstrip().endswith(KEPT) and _is_value(data, path):
            wanted[path] = lines[number - 1]
    for path, line in wanted.items():
        text = _replaced(text, path, line)
    try:
        new: dict[str, Any] = tomllib.loads(text)
    except ValueError:  # a line that does not fit where it was put
        new = {}
    lost = [path for path in wanted if _value(new, path) != _value(data, path)]
    if lost:
        names = [".".join(map(str, path)) for path in lost]
        raise ConfigErrors(
            "zads.toml", [ConfigError(name, "write this key on a line of its own: its value is kept") for name in names]
        )
    return text


def _replaced(text: str, path: tuple[str | int, ...], line: str) -> str:
    lines, where = text.splitlines(), locate(text)
    value = line.split("=", 1)[1]
    if path in where:
        left = lines[where[path] - 1].split("=", 1)[0]
        lines[where[path] - 1] = f"{left}={value}"
    elif path[:-1] in where and re.match(r"\s*\[", lines[where[path[:-1]] - 1]):
        lines.insert(where[path[:-1]], line)
    else:
        lines += ["", f"[{'.'.join(map(str, path[:-1]))}]", line]
    return "\n".join(lines) + "\n"


def _value(data: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data


def _is_value(data: Any, path: tuple[str | int, ...]) -> bool:
    return all(isinstance(step, str) for step in path) and not isinstance(_value(data, path), dict | list)
