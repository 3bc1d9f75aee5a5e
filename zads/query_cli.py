"""`zads query EXPRESSION`: ask the site's Prometheus; what the runbook's checks are written with.

The address comes from zads.toml, so that one command is right on the monitor, on the local stack and in a drill.
"""

from __future__ import annotations

import argparse
import sys

_DESCRIPTION = """Evaluate a PromQL expression at the site's Prometheus and print one line for each series: its labels and
its value. Nothing to print is said as "nothing"."""


def _query(args: argparse.Namespace) -> int:
    from zads.ask_prometheus import Prometheus, PrometheusError
    from zads.config import load

    try:
        found = Prometheus(load(args.config)).at(args.expression)
    except PrometheusError as error:
        print(f"zads query: {error}", file=sys.stderr)
        return 1
    for row in sorted(found, key=lambda row: sorted(row.labels.items())):
        labels = [f"{key}={value}" for key, value in sorted(row.labels.items()) if key != "__name__"]
        print(f"{' '.join([row.labels.get('__name__', ''), *labels]).strip() or 'value'}: {row.value:.12g}")
    if not found:
        print("nothing")
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads query`."""
    parser = commands.add_parser("query", help="ask the site's Prometheus", description=_DESCRIPTION)
    parser.add_argument("expression", help="PromQL, in quotes")
    parser.set_defaults(func=_query)
