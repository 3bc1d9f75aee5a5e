"""`zads explain ALERT`: the runbook's section in the terminal, with the alert's rules and this site's numbers."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from zads.config import Config
    from zads.explain import Explanation
    from zads.runbook import Rule

_DESCRIPTION = """Print what an alert means, how to check it, how to mend it and whom to call; its severity, its expression
and this site's thresholds; which alerts silence it and which it silences. Without a name: all alerts."""


def _config(args: argparse.Namespace) -> tuple[Config | None, str]:
    """Return the site's config; else why there is none: the runbook is needed most when something is broken."""
    from zads.config import ConfigErrors, load

    try:
        return load(args.config), ""
    except ConfigErrors as errors:
        first = str(errors.errors[0]) if errors.errors else "it cannot be read"
        return None, f"{args.config}: {first}. Without it this site's thresholds and silences are not known."


def _explain(args: argparse.Namespace) -> int:
    from rich.console import Console

    from zads.explain import explain, find
    from zads.runbook import read_rules

    config, why = _config(args)
    rules = read_rules(config.rendered.rules if config else None)
    if not any(rule.alert for rule in rules):
        print(
            "zads explain: there are no alert rules here; `rendered.rules` in zads.toml names their folder", file=sys.stderr
        )
        return 1
    console = Console(highlight=False, emoji=False)
    if args.alert is None:
        _list(console, rules)
        return 0
    try:
        name = find(args.alert, rules)
    except ValueError as error:
        print(f"zads explain: {error}", file=sys.stderr)
        return 1
    _show(console, explain(name, rules, config))
    if why:
        print(why, file=sys.stderr)
    return 0


def _list(console: Console, rules: list[Rule]) -> None:
    from rich.table import Table
    from rich.text import Text

    from zads.runbook import runbook_text, section

    table = Table("alert", "severity", "means", box=None, pad_edge=False, header_style="bold")
    text, seen = runbook_text() or "", set()
    for rule in rules:
        if rule.alert and rule.name not in seen:
            seen.add(rule.name)
            severities = {other.severity for other in rules if other.alert and other.name == rule.name}
            severity = " or ".join("the service's" if " " in one else one for one in sorted(severities))
            table.add_row(rule.name, severity, Text(_first(section(text, rule.name) or "")))
    console.print(table)


def _first(text: str) -> str:
    """Return the first sentence of a section, without markup."""
    plain = re.sub(r"\*\*[^*]+\*\*:?\s*|`", "", text, count=1).replace("`", "")
    return re.split(r"(?<=[.:])\s", " ".join(plain.split("\n\n")[0].split()), maxsplit=1)[0]


def _show(console: Console, one: Explanation) -> None:
    from rich.markdown import Markdown
    from rich.text import Text

    def plain(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    severities = " or ".join(dict.fromkeys(rule.severity for rule in one.rules))
    plain(f"{one.name}   severity: {severities}", "bold")
    if one.runbook:
        console.print(Markdown(one.runbook))
    else:
        plain("The runbook has no section of it.")
    for rule in one.rules:
        plain("")
        plain(f"Fires ({rule.file}) when this holds{'' if rule.wait == '0s' else f' for {rule.wait}'}:", "bold")
        plain("  " + rule.expression.replace("\n", "\n  "))
        plain("  labels: " + ", ".join(f"{key}={value}" for key, value in rule.labels.items()))
        plain(
            "  "
            + ", ".join(
                f"{key}: {rule.annotations[key]}" for key in ("runbook_url", "dashboard", "panel") if key in rule.annotations
            )
        )
    if one.made_of:
        plain("")
        plain("Made of recorded series:", "bold")
        for record in one.made_of:
            plain(f"  {record.name} =\n    " + record.expression.replace("\n", "\n    "))
    if one.thresholds:
        plain("")
        plain("This site's numbers:", "bold")
        for threshold in one.thresholds:
            plain(f"  {threshold.series} = {threshold.value}{f'   {threshold.meaning}' if threshold.meaning else ''}")
    for title, names in (("Silent while one of these fires:", one.silenced_by), ("Silences:", one.silences)):
        if names:
            plain("")
            plain(title, "bold")
            plain("  " + "\n  ".join(names))


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads explain`."""
    parser = commands.add_parser("explain", help="what an alert means and what to do", description=_DESCRIPTION)
    parser.add_argument("alert", nargs="?", metavar="ALERT", help="its name, such as ServiceDown; all are listed without")
    parser.set_defaults(func=_explain)
