"""Check the data of a zads.toml against the models and against itself, all errors at once.

pydantic alone stops short of what several keys together get wrong as soon as one of them is wrong by
itself. Here what is wrong is left out until the rest is right, and the rest is cross-checked too; what a
cross-check says about something that was left out is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from zads.config_checks import findings
from zads.config_errors import ConfigError, dotted, explain, with_meaning
from zads.config_findings import Need
from zads.config_schema import Config, Path, place

Errors = list[tuple[Path, ConfigError]]


def validate(data: dict[str, Any]) -> tuple[Config | None, Errors]:
    """Return the configuration, None when there are errors, and every error with its path."""
    part = _Part(data)
    errors: Errors = []
    config = part.model()
    while config is None:
        found = [(error, part.original(error["loc"])) for error in part.errors]
        if not errors:  # what is wrong later is only what leaving out has made so
            errors = [(path, explain(error, path)) for error, path in found if not _follows(error, path, found)]
        part.leave_out(found)
        config = part.model()
    for finding in findings(config):
        path = part.original(finding.path)
        if part.sure(path, finding.needs):
            errors.append((path, ConfigError(dotted(path), with_meaning(path, finding.message))))
    return (None if errors else config), errors


def _follows(error: Any, path: Path, found: list[tuple[Any, Path]]) -> bool:
    """Tell whether a list is only too short because its entries are wrong."""
    return error["type"] == "too_short" and any(other[: len(path)] == path and other != path for _, other in found)


class _Part:
    """The data without what is wrong; a key that must be there holds its example instead."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self._gone: set[Path] = set()
        self._examples: dict[Path, Any] = {}
        self._holes: set[Path] = set()  # all of these but unknown keys, which nothing depends on
        self._kept: dict[Path, list[int]] = {}  # which entries of each list are left
        self.errors: list[Any] = []

    def model(self) -> Config | None:
        """Return the part as a model, or None with `errors` set."""
        self._kept.clear()
        try:
            return Config.model_validate(self._copy(self._data, ()))
        except ValidationError as error:
            self.errors = error.errors()
            return None

    def _copy(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            copy = {k: self._copy(v, (*path, k)) for k, v in value.items() if (*path, k) not in self._gone}
            return copy | {where[-1]: e for where, e in self._examples.items() if where[:-1] == path}
        if isinstance(value, list):
            self._kept[path] = kept = [i for i in range(len(value)) if (*path, i) not in self._gone]
            return [self._copy(value[i], (*path, i)) for i in kept]
        return value

    def original(self, location: Iterable[int | str]) -> Path:
        """Return where a place of the part is in the whole."""
        path: Path = ()
        for step in location:
            if step == "[key]":  # pydantic's word for the key of a dict that is itself wrong
                continue
            kept = self._kept.get(path)
            path = (*path, kept[step] if isinstance(step, int) and kept is not None and step < len(kept) else step)
        return path

    def leave_out(self, found: list[tuple[Any, Path]]) -> None:
        """Leave out what is wrong, and put an example where something is missing."""
        before = len(self._gone) + len(self._examples)
        for error, path in found:
            unknown = error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",)
            here = place(path)
            if error["type"] == "missing" and here and here.field and here.field.examples:
                self._examples[path] = "without-name" if path[-1] == "name" else here.field.examples[0]
            else:
                self._gone.add(self._there(path))
            if not unknown:
                self._holes.add(path)
        if len(self._gone) + len(self._examples) == before:
            # Never reached while the models are as they are; better too little checked than for ever.
            self._gone |= {(key,) for key in self._data}
            self._holes.add(())

    def _there(self, path: Path) -> Path:
        """Return the longest part of the path that is in the data."""
        value: Any = self._data
        for length, step in enumerate(path):
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return path[:length]
        return path

    def sure(self, path: Path, needs: Iterable[Need]) -> bool:
        """Tell whether neither the path nor a need was left out, as a whole or in part."""
        if any(path[: len(hole)] == hole for hole in self._holes):
            return False
        wanted = [need if None in need else self.original(part for part in need if part is not None) for need in needs]
        return not any(_meet(need, hole) for need in wanted for hole in self._holes)


def _meet(need: Need, hole: Path) -> bool:
    return all(a == b or (a is None and isinstance(b, int)) for a, b in zip(need, hole, strict=False))
