"""`zads wall serve`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterator

import uvicorn

from wall.app import application
from wall.source import Source
from zads.config import host_port, load


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGTERM and SIGINT and end with 0; uvicorn would raise the signal again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._drain)
        yield

    def _drain(self) -> None:
        self.should_exit = True


def _serve(args: argparse.Namespace) -> int:
    config = load(args.config)
    host, port = host_port(config.wall.listen)
    settings = uvicorn.Config(
        application(Source(config)), host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=3
    )
    server = _Server(settings)
    asyncio.run(server.serve())
    return 0 if server.started else 1


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads wall`."""
    parser = commands.add_parser("wall", help="the wall page, for machines without Grafana")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="serve the page").set_defaults(func=_serve)
