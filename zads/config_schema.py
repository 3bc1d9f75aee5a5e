"""All of zads.toml as one model, and what can be asked about its keys: meaning, kind, default, example.

Error messages and docs/config.md both read the answers, so that no key is described twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

from zads.config_models import (
    Community,
    Contact,
    Host,
    Internal,
    KafkaCluster,
    Mirror,
    Model,
    Service,
    Site,
    Slo,
    Stream,
    Thresholds,
)
from zads.config_notifier import Notifier
from zads.config_programs import Alertmanager, Exporters, Prometheus, Rendered, Wall
from zads.config_types import Kind, Unit, duration_text

Path = tuple[str | int, ...]


class Config(Model):
    """All of zads.toml; every table but [kafka.public] has defaults."""

    site: Site = Site()
    stream: Stream = Stream()
    kafka: dict[Literal["upstream", "public"], KafkaCluster] = Field({})
    mirror: Mirror = Mirror()
    internal: Internal = Internal()
    communities: tuple[Community, ...] = Field((), alias="community")
    contacts: tuple[Contact, ...] = Field((), alias="contact")
    hosts: tuple[Host, ...] = Field((), alias="host")
    services: tuple[Service, ...] = Field((), alias="service")
    thresholds: Thresholds = Thresholds()
    slo: Slo = Slo()
    exporters: Exporters = Exporters()
    prometheus: Prometheus = Prometheus()
    alertmanager: Alertmanager = Alertmanager()
    notifier: Notifier = Notifier()
    wall: Wall = Wall()
    rendered: Rendered = Rendered()


@dataclass(frozen=True)
class Shape:
    """What stands at a place of zads.toml: a table (`model`), several of them (`many`), a table of tables by name (`names`)."""

    model: type[BaseModel] | None
    many: bool = False
    names: tuple[str, ...] = ()


def shape(annotation: Any) -> Shape:
    """Return the shape of a field's annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return shape(arguments[0])
    if origin in {Union, UnionType}:
        return shape(next(a for a in arguments if a is not NoneType))
    if origin is tuple:
        return Shape(shape(arguments[0]).model, many=True)
    if origin is dict:
        return Shape(shape(arguments[1]).model, names=get_args(arguments[0]))
    return Shape(annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None)


@dataclass(frozen=True)
class Place:
    """A path of zads.toml: the field it belongs to (None at the root) and the table that it is (None for a value)."""

    field: FieldInfo | None
    model: type[BaseModel] | None
    many: bool = False
    names: tuple[str, ...] = ()

    def known(self) -> tuple[str, ...]:
        """Return the keys that may stand here."""
        if self.names:
            return self.names
        return tuple(field.alias or name for name, field in self.model.model_fields.items()) if self.model else ()


def place(path: Path) -> Place | None:
    """Return what stands at the path, None where zads.toml has nothing of that name."""
    here = Place(None, Config)
    for part in path:
        if isinstance(part, int):
            if here.model is not None and not here.many:
                return None
            here = Place(here.field, here.model)
        elif here.names:
            if part not in here.names:
                return None
            here = Place(here.field, here.model)
        elif here.model is not None and not here.many:
            found = next((f for n, f in here.model.model_fields.items() if (f.alias or n) == part), None)
            if found is None:
                return None
            form = shape(found.annotation)
            here = Place(found, form.model, form.many, form.names)
        else:
            return None
    return here


def kind(field: FieldInfo) -> Kind:
    """Return what the field's value is called and what is expected there."""
    return _kind(field.annotation, tuple(field.metadata))


def _kind(annotation: Any, metadata: tuple[Any, ...]) -> Kind:
    for mark in reversed(metadata):
        if isinstance(mark, Kind):
            return mark
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin in {Union, UnionType}:
        return _kind(next(a for a in arguments if a is not NoneType), ())
    if origin is tuple:
        inner = _kind(arguments[0], ())
        return Kind(f"list: {inner.name}", inner.expects)
    if origin is dict:
        inner = _kind(arguments[1], ())
        return Kind(f"table: {inner.name}", inner.expects)
    if origin is Literal:
        words = ", ".join(f'"{word}"' for word in arguments)
        return Kind(f"one of {words}", f"one of {words}")
    return Kind("table", "a table")


def unit(field: FieldInfo) -> str:
    """Return what a number counts, "" where it is no quantity."""
    return next((mark.name for mark in field.metadata if isinstance(mark, Unit)), "")


def toml(value: Any, *, duration: bool = False) -> str:
    """Return a value as zads.toml writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if duration and isinstance(value, int | float):
        return f'"{duration_text(float(value))}"'
    if isinstance(value, str | PurePath):
        return quoted(str(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml(part) for part in value)}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }"
    return str(value)


def quoted(text: str) -> str:
    """Return a text as a TOML string: literal where it holds a backslash and may, else with JSON's escapes, which TOML shares."""
    if "\\" in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def example(field: FieldInfo) -> str:
    """Return an example of the value as zads.toml writes it, "" for a table."""
    duration = kind(field).name == "duration"
    if field.examples:
        return toml(field.examples[0], duration=duration)
    if field.is_required() or field.default in (None, "", ()) or isinstance(field.default, BaseModel):
        return ""
    return toml(field.default, duration=duration)


def tables() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every table with its heading, in the order of the models."""
    yield from _tables("", Config)


def _tables(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        form, path = shape(field.annotation), f"{prefix}{field.alias or name}"
        if form.model is None:
            continue
        headings = [f"[{path}.{key}]" for key in form.names] or [f"[[{path}]]" if form.many else f"[{path}]"]
        yield ", ".join(headings), form.model
        yield from _tables(f"{path}.", form.model)
