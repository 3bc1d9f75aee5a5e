"""Links of dashboards, panels and cells: only to pages of this server, and to web addresses that stand in the dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from wall.boards.fields import Shown
from wall.boards.frames import Field
from wall.boards.times import Range
from wall.boards.variables import Variable

_FIELD = re.compile(r"\$\{__(?:field\.labels|data\.fields)(?:\.([\w ]+)|\[[\"']?([^\]\"']+)[\"']?\])\}")
_SAFE = re.compile(r"(https?://[^\s\"'<>\\]+|/(?![/\\])[^\s\"'<>\\]*)")


@dataclass(frozen=True)
class Context:
    """What links carry on: the variables and the time."""

    variables: Mapping[str, Variable]
    span: Range

    def time(self) -> str:
        """Return the time as parameters."""
        return urlencode({"from": self.span.begin, "to": self.span.end})

    def chosen(self) -> str:
        """Return the variables as parameters."""
        pairs = [(f"var-{v.name}", value) for v in self.variables.values() if v.kind != "datasource" for value in v.chosen]
        return urlencode(pairs)

    def fill(self, url: str) -> str:
        """Return the address with time and variables put in, empty when it leads nowhere that we let people go."""

        def value(found: re.Match[str]) -> str:
            name, form = found[1] or found[3], found[2] or ""
            variable = self.variables.get(name)
            if variable is None:
                return found[0]
            if form == "queryparam":
                return urlencode([(f"var-{name}", v) for v in variable.chosen])
            return quote(",".join(variable.chosen), safe="")

        filled = url.replace("${__url_time_range}", self.time()).replace("${__all_variables}", self.chosen())
        filled = re.sub(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)", value, filled)
        return filled if _SAFE.fullmatch(filled) else ""

    def also(self, url: str, link: Mapping[str, Any]) -> str:
        """Return the address with the time and the variables that the link keeps."""
        kept = [self.time()] if link.get("keepTime") else []
        kept += [self.chosen()] if link.get("includeVars") else []
        more = "&".join(part for part in kept if part)
        return f"{url}{'&' if '?' in url else '?'}{more}" if url and more else url


Tagged = Callable[[Sequence[str]], list[tuple[str, str]]]


def of_board(declared: Sequence[Mapping[str, Any]], context: Context, tagged: Tagged) -> list[dict[str, str]]:
    """Return a dashboard's or a panel's links; `tagged` finds dashboards by their tags."""
    links = []
    for link in declared:
        targets = [(str(link.get("title", "")), str(link.get("url") or ""))]
        if link.get("type") == "dashboards":
            targets = tagged(link.get("tags") or ())
        for title, url in targets:
            address = context.also(context.fill(url), link)
            if address:
                links.append({"title": title, "url": address, "tooltip": str(link.get("tooltip") or "")})
    return links


def of_value(
    config: Mapping[str, Any], column: Field, row: Mapping[str, str], shown: Shown, raw: Any, context: Context
) -> str:
    """Return the first link of a value, empty without one."""
    said = {"__value.text": shown.text, "__value.raw": raw, "__series.name": column.name, "__field.name": column.name}
    for link in config.get("links") or ():
        url = _FIELD.sub(lambda m: quote({**row, **column.labels}.get(m[1] or m[2], ""), safe=""), str(link.get("url", "")))
        for name, value in said.items():
            url = url.replace(f"${{{name}}}", quote(str("" if value is None else value), safe=""))
        if address := context.fill(url):
            return address
    return ""
