"""`zads slo`: how much of the quarter's promise is kept, what is left of its budget, and what took it."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zads.slo import Report
    from zads.slo_quarter import Quarter

_DESCRIPTION = """Print the promise to the communities in night minutes: good, bad, unknown (nobody saw) and without data
(no alert in the whole night); what is left of the quarter's budget; and which nights and incidents took it."""
_EPILOG = "exit code: 0 kept so far, 1 spent or nothing can be said, 2 a wrong option or config. docs/slo.md has the rules."
_MOST = 20


def _quarter(text: str) -> Quarter:
    from zads.slo_quarter import parse_quarter

    try:
        return parse_quarter(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _hours(minutes: float) -> str:
    return f"{minutes / 60:.1f}"


def _head(report: Report) -> list[str]:
    bad, unknown = report.total("bad"), report.total("unknown")
    budget = _hours(report.budget)
    share = f"{100 * report.objective:.6g} % of {report.dark:,} night minutes"
    if report.left >= 0:
        lines = [f"{report.quarter}: {_hours(report.left)} of {budget} h are left ({share} have to be good)"]
    else:
        lines = [
            f"{report.quarter}: SPENT, {_hours(-report.left)} h more than the {budget} h allowed ({share} have to be good)"
        ]
    lines.append(
        f"night minutes until now: {report.total('good'):,} good, {bad:,} bad, {unknown:,} unknown (nobody saw), "
        f"{report.total('without_data'):,} in nights without data"
    )
    if unknown:
        lines.append(f"had all that nobody saw been bad, {_hours(max(0.0, report.left - unknown))} h would be left")
    return lines


def _nights(report: Report, *, every: bool) -> list[str]:
    rows = [night for night in report.nights if every or night.bad or night.unknown]
    if not rows:
        return []
    lines = ["", "by night      dark   good    bad  unknown  without data"]
    lines += [f"{n.name}    {n.dark:>6} {n.good:>6} {n.bad:>6} {n.unknown:>8} {n.without_data:>13}" for n in rows]
    return lines


def _incidents(report: Report) -> list[str]:
    if not report.incidents:
        return []
    lines = ["", "by incident (UTC)               min  what"]
    longest = sorted(report.incidents, key=lambda incident: -incident.minutes)[:_MOST]
    for one in sorted(longest, key=lambda incident: incident.start):
        more = f"; also {', '.join(one.alerts[1:4])}" if one.alerts[1:] else ""
        lines.append(f"{one.start:%Y-%m-%d %H:%M} to {one.end:%H:%M}  {one.minutes:>10}  {one.cause}{more}")
    if (left := len(report.incidents) - len(longest)) > 0:
        lines.append(f"and {left} shorter ones (--json has all)")
    causes = report.by_cause()
    if len(report.incidents) > 1:
        lines += ["", "by cause"] + [f"{minutes:>6} min  {cause}" for cause, minutes in causes.items()]
    return lines


def _json(report: Report) -> dict[str, Any]:
    kinds = ("good", "bad", "unknown", "without_data")
    return {
        "quarter": report.quarter,
        "objective": report.objective,
        "dark_minutes": report.dark,
        "budget_minutes": round(report.budget, 2),
        "left_minutes": round(max(0.0, report.left), 2),
        "kept": report.left >= 0,
        **{f"{kind}_minutes": report.total(kind) for kind in kinds},
        "nights": [{"night": n.name, "dark": n.dark, **{k: getattr(n, k) for k in kinds}} for n in report.nights],
        "incidents": [
            {
                "night": one.night,
                "from": f"{one.start:%Y-%m-%dT%H:%M:%SZ}",
                "to": f"{one.end:%Y-%m-%dT%H:%M:%SZ}",
                "bad_minutes": one.minutes,
                "cause": one.cause,
                "alerts": list(one.alerts),
            }
            for one in report.incidents
        ],
        "by_cause": report.by_cause(),
    }


def _slo(args: argparse.Namespace) -> int:
    from zads.ask_prometheus import Prometheus, PrometheusError
    from zads.config import load
    from zads.slo_quarter import quarter_of
    from zads.slo_read import read

    config, now = load(args.config), datetime.now(UTC)
    quarter = args.quarter or quarter_of(now, config.site.longitude)
    try:
        report = read(config, Prometheus(config), quarter, now)
    except (PrometheusError, ValueError) as error:
        print(f"zads slo: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(_json(report), indent=2))
    else:
        print("\n".join([*_head(report), *_nights(report, every=args.nights), *_incidents(report)]))
    return 0 if report.left >= 0 else 1


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads slo`."""
    parser = commands.add_parser(
        "slo", help="what is left of the quarter's budget, and what took it", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("--quarter", type=_quarter, metavar="2026Q4", help="the quarter (default: tonight's)")
    parser.add_argument("--nights", action="store_true", help="list every night, not only those with bad or unknown minutes")
    parser.add_argument("--json", action="store_true", help="print it for programs")
    parser.set_defaults(func=_slo)
