"""A wall of its own before a Prometheus, on a free port."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from wall.app import DASHBOARDS, application
from wall.source import Source
from zads.config import Config


@contextmanager
def served(config: Config, prometheus: str, folder: Path = DASHBOARDS) -> Iterator[str]:
    """Yield the wall's address; `prometheus` is host and port."""
    there = config.prometheus.model_copy(update={"address": prometheus})
    app = application(Source(config.model_copy(update={"prometheus": there})), folder)
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
