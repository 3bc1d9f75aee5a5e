"""Cut a packet's own schema down to what monitoring reads, and refuse those that could hang or kill the reader.

The schema stands inside the packet, so garbage brings its own. fastavro reads by the writer's schema in C,
without a limit on depth or on how long an array of nothing may be. Only the fields up to the last wanted one
are kept: what comes after them (history, cutouts) is never touched, neither built nor skipped.
"""

from __future__ import annotations

import copy
from typing import Any

import fastavro

WANTED = frozenset({"schemavsn", "candid", "candidate"})
WANTED_CANDIDATE = frozenset({"jd", "exptime", "programid"})
_SMALLEST = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
_DEEPEST = 12


def prefix(schema: Any) -> tuple[Any, Any]:
    """Return two parsed schemas: of a packet's beginning, ending with the last wanted field, and of what is wanted of it.

    `schema` is changed. Raises ValueError for what is no record, recurses, or holds an array of values without a
    size. Raises much else for what is no schema: the library's own errors.
    """
    if schema["type"] != "record":
        raise ValueError("a packet is a record")
    schema["fields"] = _cut(schema["fields"], WANTED)
    last = schema["fields"][-1]
    if last["name"] == "candidate" and _is_record(last["type"]):
        last["type"]["fields"] = _cut(last["type"]["fields"], WANTED_CANDIDATE)
    _smallest(schema, {}, 0)
    wanted = copy.deepcopy(schema)
    wanted["fields"] = [field for field in wanted["fields"] if field["name"] in WANTED]
    for field in wanted["fields"]:
        if field["name"] == "candidate" and _is_record(field["type"]):
            field["type"]["fields"] = [f for f in field["type"]["fields"] if f["name"] in WANTED_CANDIDATE]
    return fastavro.parse_schema(schema), fastavro.parse_schema(wanted)


def _is_record(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "record"


def _cut(fields: list[Any], wanted: frozenset[str]) -> list[Any]:
    """Return the fields up to the last wanted one; at least one field, since a record of nothing is never wanted."""
    last = max((index for index, field in enumerate(fields) if field["name"] in wanted), default=0)
    return fields[: last + 1]


def _smallest(schema: Any, known: dict[str, int | None], depth: int) -> int:
    """Return the smallest size of a value in bytes; `known` holds named types, None while one is being looked at.

    Logical types are dropped: nothing here needs a date, and converting a huge decimal takes minutes.
    """
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if isinstance(schema, str):
        if schema in _SMALLEST:
            return _SMALLEST[schema]
        size = known.get(schema.rpartition(".")[2])
        if size is None:
            raise ValueError(f"{schema!r} is unknown, or contains itself")
        return size
    if isinstance(schema, list):
        for option in schema:
            _smallest(option, known, depth + 1)
        return 1
    schema.pop("logicalType", None)
    kind = schema["type"]
    if kind == "array":
        if _smallest(schema["items"], known, depth + 1) < 1:
            raise ValueError("an array of values without a size")
        return 1
    if kind == "map":
        _smallest(schema["values"], known, depth + 1)
        return 1
    if kind not in {"record", "error", "enum", "fixed"}:
        return _smallest(kind, known, depth + 1)
    name = str(schema["name"]).rpartition(".")[2]
    known[name] = None
    size = 1
    if kind == "fixed":
        size = max(0, int(schema["size"]))
    elif kind != "enum":
        size = sum(_smallest(field["type"], known, depth + 1) for field in schema["fields"])
    known[name] = size
    return size
