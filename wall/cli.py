"""`zads wall serve`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import uvicorn

from wall.app import application
from wall.source import Source
from zads.config import host_port, load


def _serve(args: argparse.Namespace) -> int:
    config = load(args.config)
    host, port = host_port(config.wall.listen)
    settings = uvicorn.Config(
        application(Source(config)), host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(settings)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve())
    return 0 if server.started else 1


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads wall`."""
    parser = commands.add_parser("wall", help="the wall page, for machines without Grafana")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("serve", help="serve the page").set_defaults(func=_serve)
