"""`zads export NAME | all`: run exporters, each on its port, or all in one process on one port."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from zads.collector import Collector, CollectorLoop
from zads.config import Config, load
from zads.http import Server

_NAMES = ("kafka-lag", "broker-egress", "alert-arrival", "services")


def _port(config: Config, name: str) -> int:
    return int(getattr(config.exporters, f"{name.replace('-', '_')}_port"))


def _collector(config: Config, name: str) -> Collector:
    build: Callable[[Config], Collector] = importlib.import_module(f"exporters.{name.replace('-', '_')}").build
    return build(config)


def _run(args: argparse.Namespace) -> int:
    config = load(args.config)
    names = _NAMES if args.name == "all" else (args.name,)
    if args.check:
        print(f"{args.config} is right for {', '.join(names)}")
        return 0
    loops = {name: CollectorLoop(_collector(config, name), config.exporters.interval) for name in names}
    if args.once:
        for loop in loops.values():
            snapshot = loop.once()
            sys.stdout.write(snapshot.body.decode())
            loop.stop()
        return 0 if all(loop.snapshot().ok for loop in loops.values()) else 1
    port = _port(config, args.name)
    try:
        server = Server(config.exporters.listen, port, loops)
    except OSError as error:
        print(f"{config.exporters.listen}:{port} cannot be listened on: {error.strerror}", file=sys.stderr)
        return 1
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    for loop in loops.values():
        loop.start()
    server.start()
    logging.getLogger(__name__).info("listening on http://%s:%d/metrics", config.exporters.listen, server.port)
    stop.wait()
    server.stop()
    for loop in loops.values():
        loop.stop()
    return 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads export`."""
    parser = commands.add_parser("export", help="run an exporter, or all of them in one process")
    parser.add_argument("name", choices=(*_NAMES, "all"))
    parser.add_argument("--check", action="store_true", help="check the config and exit")
    parser.add_argument("--once", action="store_true", help="collect once, print the metrics and exit")
    parser.set_defaults(func=_run)
