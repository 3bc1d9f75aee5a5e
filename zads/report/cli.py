"""`zads report`: what a night, or a quarter of nights, was."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zads.config import Config
    from zads.report.document import Document
    from zads.slo_quarter import Quarter

_DESCRIPTION = """Tell what a night was, from Prometheus' record: what kind of night, alerts by program and how complete,
delays by stage, what each community got, bad minutes and their causes, what was told, and the quarter's promise.
For a quarter: its nights, communities, incidents and budget. What nobody measured is said to be unknown."""
_EPILOG = """exit code: 0 written, 1 nothing can be said (Prometheus away, nothing on record), 2 a wrong option or config.
docs/report.md explains each figure."""


def night_or_quarter(text: str) -> str | Quarter:
    """Take an argument that names a night or a quarter."""
    from zads.report.asked import parse

    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def compose(config: Config, asked: str | Quarter, now: datetime) -> tuple[Document, dict[str, Any]]:
    """Return the report that is asked for ("" is the night that began last), to read and for programs.

    Raises PrometheusError and ReportError.
    """
    from zads.ask_prometheus import Prometheus
    from zads.report import machine, night_document, read_night
    from zads.report.asked import named

    prometheus = Prometheus(config)
    if isinstance(asked, str):
        night = read_night.read(config, prometheus, named(asked, config.site, now), now)
        return night_document.document(night), machine.night(night)
    from zads.report import quarter_document, read_quarter

    quarter = read_quarter.read(config, prometheus, asked, now)
    return quarter_document.document(quarter), machine.quarter(quarter)


def _report(args: argparse.Namespace) -> int:
    from zads.ask_prometheus import PrometheusError
    from zads.config import load
    from zads.report.errors import ReportError

    try:
        document, plain = compose(load(args.config), args.which or "", datetime.now(UTC))
    except (PrometheusError, ReportError) as error:
        print(f"zads report: {error}", file=sys.stderr)
        return 1
    if args.html:
        from zads.report.html import page

        args.html.write_text(page(document), encoding="utf-8")
    if args.json:
        print(json.dumps(plain, indent=2))
    elif args.html:
        print(f"{document.title}\n{document.headline}\nwritten to {args.html}")
    else:
        from zads.report.text import show

        show(document, sys.stdout)
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads report`."""
    parser = commands.add_parser("report", help="what a night or a quarter was", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "which",
        nargs="?",
        type=night_or_quarter,
        metavar="NIGHT|QUARTER",
        help="20261125 (UT date, as in topic names), last (the night that ended last), tonight, or 2026Q4; "
        "without it the night that began last",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as one page without outside parts")
    parser.add_argument("--json", action="store_true", help="print it for programs")
    parser.set_defaults(func=_report)
