"""A report in a terminal of 80 columns, or as plain text where the output is no terminal."""

from __future__ import annotations

import io
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from zads.report.document import Document, Section, Table

_WIDTH = 80
_MOODS = {"well": "bold green", "warn": "bold yellow", "bad": "bold red", "unknown": "bold"}


def show(document: Document, out: TextIO, *, width: int | None = None) -> None:
    """Write a report; without colours and trailing blanks where `out` is no terminal."""
    console = Console(file=out, highlight=False)
    if not console.is_terminal:
        console = Console(file=io.StringIO(), highlight=False, width=width or _WIDTH)
    else:
        console.width = width or min(console.width, 110)
    _all(console, document)
    if isinstance(console.file, io.StringIO) and console.file is not out:
        out.write("\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n")


def _all(console: Console, document: Document) -> None:
    console.print(Text(document.title, style="bold"))
    console.print()
    console.print(Text(document.headline, style=_MOODS.get(document.mood, "bold")))
    for sentence in document.lede:
        console.print(Text(sentence))
    if document.notes:
        console.print()
        console.print(Text("WHAT NOBODY MEASURED", style="bold"))
        for note in document.notes:
            console.print(_item(note))
    for section in document.sections:
        _section(console, section)
    console.print()
    console.print(Text(document.foot, style="dim"))


def _item(text: str) -> RichTable:
    grid = RichTable.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=1)
    grid.add_column()
    grid.add_row("-", Text(text))
    return grid


def _section(console: Console, section: Section) -> None:
    console.print()
    console.print(Text(section.title.upper(), style="bold"))
    for sentence in section.sentences:
        console.print(Text(sentence))
    if section.table:
        console.print(_table(section.table))
    for sentence in section.after:
        console.print(Text(sentence))
    for plot in section.plots:
        console.print(Text(f"{plot.title}: {plot.says[:1].lower()}{plot.says[1:]}" if plot.says else plot.title))


def _table(table: Table) -> RichTable:
    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), header_style="dim")
    for index, head in enumerate(table.heads):
        figures = index > 0 and index not in table.words
        shown.add_column(head, justify="right" if figures else "left", overflow="fold", no_wrap=False)
    for index, row in enumerate(table.rows):
        shown.add_row(*(Text(cell) for cell in row), style="yellow" if index in table.bad else "")
    return shown
