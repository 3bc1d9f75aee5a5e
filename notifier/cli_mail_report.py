"""`zads notify mail-report`: the night's report by e-mail, for a timer in the morning."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from notifier.channels.email import EmailChannel
from notifier.mail_report import message, send
from zads.ask_prometheus import PrometheusError
from zads.config import load
from zads.report.cli import compose, night_or_quarter
from zads.report.errors import ReportError

_DESCRIPTION = """Send the report of a night (the one that ended last) or of a quarter to notifier.report_to, by the server of
[notifier.email]. Run again it is the same mail: receiving servers that compare Message-IDs show it once."""
_EPILOG = "exit code: 0 every server took it, 1 one did not or there is no report, 2 a wrong option or config"


def _mail(args: argparse.Namespace) -> int:
    config, now = load(args.config), datetime.now(UTC)
    recipients, settings = args.to or config.notifier.report_to, config.notifier.email
    if settings is None or not recipients:
        print(f"{args.config}: add [notifier.email] and notifier.report_to, who gets the report", file=sys.stderr)
        return 2
    channel = EmailChannel(settings, settings.password())
    try:
        document, plain = compose(config, args.which or "last", now)
    except (PrometheusError, ReportError) as error:
        print(f"zads notify mail-report: {error}", file=sys.stderr)
        return 1
    name, failed = str(plain.get("night") or plain.get("quarter")), 0
    for recipient in recipients:
        why = send(channel, recipient, message(document, name, settings, recipient, now.timestamp()))
        failed += why is not None
        if why is None:
            print(f"{recipient}: sent")
        else:
            print(why if recipient in why else f"{recipient}: {why}", file=sys.stderr)
    return 1 if failed else 0


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads notify mail-report`."""
    parser = actions.add_parser(
        "mail-report", help="send the night's report by e-mail", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("which", nargs="?", type=night_or_quarter, metavar="NIGHT|QUARTER", help="as `zads report` takes it")
    parser.add_argument("--to", action="append", metavar="ADDRESS", help="somebody else (may be given more than once)")
    parser.set_defaults(func=_mail)
