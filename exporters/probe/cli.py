"""`zads probe`: read the stream from here, report, exit; or do so again and again for a metrics file."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from exporters.probe import clock, faults, report
from exporters.probe.connecting import Connection, connect
from exporters.probe.faults import ProbeError
from exporters.probe.group import GroupFetcher
from exporters.probe.options import Since, Wanted, site
from exporters.probe.reading import Reading
from exporters.probe.report import Contract, Report
from exporters.probe.textfile import TextFile
from zads import kafka
from zads.config import Config, ConfigError, ConfigErrors, KafkaCluster, default_path, parse_duration

_DESCRIPTION = """Read the alert stream from here as a community's consumer does, and report what it is like: how long
connecting takes, alerts and MB per second, delays, and what is missing, comes twice or cannot be decoded.
It needs the right to read, takes part in no consumer group and commits nothing: it never shows up as a consumer
that lags, and changes nothing on the cluster."""
_EPILOG = """exit code: 0 the stream can be read (also when it is silent), 1 it cannot, or --max-delay was missed,
2 a wrong option or config. docs/probe.md says how to read the figures."""
_FILES = "the keys of [kafka.public] that say how to log in: security_protocol, sasl_mechanism, sasl_username, ..."


class _Live:
    """A line a second on a terminal, and what a person has to know meanwhile."""

    def __init__(self) -> None:
        self._lines = 0
        self._told = False

    def __call__(self, reading: Reading, second: int) -> None:
        if not reading.topics and not self._told:
            self._told = True
            print("no topic of that kind yet; waiting for one", file=sys.stderr)
        if self._lines % 20 == 0:
            print("UTC        alerts/s    MB/s   delay here   waiting", file=sys.stderr)
        self._lines += 1
        found = reading.figures.second(second)
        delay = "-" if found.delay is None else report.span(found.delay)
        at = datetime.fromtimestamp(second, UTC).strftime("%H:%M:%S")
        print(f"{at} {found.alerts:>10,} {found.wire / 1e6:>7.2f} {delay:>12} {reading.figures.lag:>9,}", file=sys.stderr)


def _number(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _duration(text: str) -> float:
    try:
        seconds = parse_duration(text) if not re.fullmatch(r"\d+(\.\d+)?", text) else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError("it has to be more than 0")
    return seconds


def _since(text: str) -> Since:
    try:
        return Since.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _night(text: str) -> str:
    try:
        datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no night; write YYYYMMDD, the UTC date of its midnight") from None
    return text


def _contract(config: Config, community: str | None, max_delay: float | None) -> Contract:
    """Return what was promised; raises ConfigErrors for a community that the config does not know."""
    if community is None:
        return Contract(max_delay=max_delay)
    for one in config.communities:
        if one.name == community:
            return Contract(float(one.contracted_bytes_per_second), one.burst_factor, max_delay)
    known = ", ".join(one.name for one in config.communities) or "none"
    raise ConfigErrors(
        "--community", [ConfigError(community, f"there is no such community in the config; it names {known}")]
    )


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the reading, so that the report still comes; a second one ends at once."""
    before: dict[signal.Signals, Any] = {}

    def on_signal(number: int, _frame: FrameType | None) -> None:
        stop.set()
        for known, handler in before.items():
            signal.signal(known, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def probe(
    cluster: KafkaCluster,
    config: Config,
    wanted: Wanted,
    contract: Contract,
    args: argparse.Namespace,
    stop: threading.Event,
) -> Report:
    """Look once and return what was found; never raises for what the cluster does."""
    values: dict[str, Any] = {
        "contract": {"bytes_per_second": contract.bytes_per_second, "burst_factor": contract.burst_factor}
    }
    connection: Connection | None = None
    group: GroupFetcher | None = None
    live = _Live() if sys.stderr.isatty() and not args.quiet else lambda _reading, _second: None
    try:
        connection = connect(cluster)
        values["connect_seconds"] = {step: round(took, 4) for step, took in connection.seconds.items()}
        if args.group is not None:
            try:
                group = GroupFetcher(cluster, args.group, earliest=args.since.edge == "earliest")
            except (kafka.KafkaFailure, OSError, AssertionError, ValueError) as error:
                raise faults.of_group(str(error), args.group) from error
        reading = Reading(connection, wanted, args.since, config.stream.topic_regex, group)
        reading.run(args.seconds, args.alerts, stop, live)
        return report.of(reading, connection.address, connection.seconds, contract, clock.clock())
    except ProbeError as error:
        return report.failed(error, values)
    finally:
        for part in (group, connection):
            if part is not None:
                part.close()


def _show(found: Report, cluster: KafkaCluster, args: argparse.Namespace) -> None:
    if args.json:
        head = {"from": clock.host(), "bootstrap": list(cluster.bootstrap), "state": found.state, "good": found.good}
        print(json.dumps({**head, "words": found.words, **found.values}, ensure_ascii=False), flush=True)
    elif not (args.textfile and args.quiet):
        print(report.table(found), flush=True)


def _run(args: argparse.Namespace) -> int:
    if args.once_per is not None and args.textfile is None and not args.json:
        raise ConfigErrors(
            "--once-per", [ConfigError("", "it goes with --textfile FILE or --json: results have to go somewhere")]
        )
    if args.group is not None and args.since.edge == "ago":
        raise ConfigErrors(
            "--from", [ConfigError("", "a group goes on where it was; with --group write latest or earliest")]
        )
    given = args.config != default_path() or "ZADS_CONFIG" in os.environ
    config, cluster = site(args.config, given, args.cluster, args.bootstrap, args.security_config)
    wrong = kafka.faults(cluster)
    if wrong:
        source = str(args.security_config or args.config)
        raise ConfigErrors(source, [ConfigError(f"kafka.{args.cluster}.{key}", why) for key, why in wrong])
    contract = _contract(config, args.community, args.max_delay)
    _wanted(args, config)
    if not os.environ.get("ZADS_DEBUG"):
        # What the client library says of a lost connection is said by us, in the report.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
    stop, file = threading.Event(), TextFile(args.textfile) if args.textfile else None
    good = True
    with _stopped_by_signals(stop):
        while True:
            begin = time.monotonic()
            found = probe(cluster, config, _wanted(args, config), contract, args, stop)
            if args.once_per is not None and stop.is_set():
                return 0 if good else 1  # a probe that was cut short by the end says nothing
            good = found.good
            _show(found, cluster, args)
            if file is not None:
                file.write(found)
            if args.once_per is None or stop.wait(max(0.0, args.once_per - (time.monotonic() - begin))):
                return 0 if good else 1


def _wanted(args: argparse.Namespace, config: Config) -> Wanted:
    """Return which topics are wanted now: tonight is another night tomorrow."""
    try:
        return Wanted.of(config, args.topic, args.night, args.program or (), datetime.now(UTC))
    except ValueError as error:
        raise ConfigErrors("--topic", [ConfigError("", str(error))]) from None


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads probe`."""
    parser = commands.add_parser(
        "probe",
        help="read the stream from here as a community does, and report delay and rate",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # "-10m" is a value here, as -10 is one for argparse by itself: no option of ours begins with a digit.
    parser._negative_number_matcher = re.compile(r"^-\d[\d.a-z]*$")
    where = parser.add_argument_group("what to read from")
    where.add_argument("--config", type=Path, default=argparse.SUPPRESS, help="the site's file, when there is one")
    where.add_argument("--cluster", default="public", help="which of the config's clusters (default: %(default)s)")
    where.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker, or several with commas; enough without a config")
    where.add_argument("--security-config", type=Path, metavar="FILE", help=_FILES)
    what = parser.add_argument_group("what to read")
    what.add_argument("--topic", metavar="PATTERN", help="topics whose whole name matches this regular expression")
    what.add_argument("--night", type=_night, metavar="YYYYMMDD", help="the night's topics (default: tonight's)")
    what.add_argument(
        "--program", type=int, action="append", metavar="N", help="of these programs (default: the public ones)"
    )
    what.add_argument(
        "--from",
        dest="since",
        type=_since,
        default=Since(),
        metavar="WHERE",
        help="latest (default), earliest, or how long ago: -10m. Topics that appear meanwhile are read whole",
    )
    what.add_argument(
        "--group", metavar="NAME", help="join this group to read, and still commit nothing (default: no group)"
    )
    until = parser.add_argument_group("until when, and what is good")
    until.add_argument("--seconds", type=_duration, default=60.0, help="read for so long, 90 or 5m (default: 60)")
    until.add_argument("--alerts", type=_number, metavar="N", help="end after so many alerts")
    until.add_argument(
        "--max-delay", type=_duration, metavar="TIME", help="exit 1 when 95 %% took longer from exposure to here"
    )
    until.add_argument(
        "--community", metavar="NAME", help="compare with this community's contract (default: 1 MB/s, bursts of 5)"
    )
    out = parser.add_argument_group("output")
    out.add_argument("--json", action="store_true", help="the report as one line of JSON; a candid is text there")
    out.add_argument("--quiet", action="store_true", help="no line a second on the terminal")
    out.add_argument(
        "--textfile", type=Path, metavar="FILE.prom", help="write metrics for node_exporter's textfile collector"
    )
    out.add_argument("--once-per", type=_duration, metavar="TIME", help="probe again and again, one begun each TIME")
    parser.set_defaults(func=_run)
