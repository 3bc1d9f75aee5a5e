"""Serve an application by uvicorn, drain on SIGTERM and end with exit code 0: what every daemon of ours does.

uvicorn alone raises the signal again once it has drained, so that nothing after it runs and the service
manager sees a failure (-15).
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from zads.config import host_port

_GRACE = 5  # seconds: requests that are under way may end


class Server(uvicorn.Server):
    """A uvicorn server whose end by a signal is an orderly one; a second signal does not wait for requests.

    `listening` is called once the address is ours: nobody else serves it, and signals are heeded.
    """

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self.started:
            await asyncio.to_thread(self._listening)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGTERM and SIGINT; only the main thread can be told of signals."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._drain)
        try:
            yield
        finally:
            # What runs after the server (a last commit) must not be cut short by an impatient second signal.
            for number in signals:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

    def _drain(self) -> None:
        self.force_exit, self.should_exit = self.should_exit, True


def serve(application: Any, address: str, *, grace: int = _GRACE, listening: Callable[[], None] = lambda: None) -> bool:
    """Serve an ASGI application on "host:port" until SIGTERM or SIGINT; tell whether it could listen at all.

    Requests under way get `grace` seconds to end. `listening` is called once, when the address is ours.
    """
    host, port = host_port(address)
    settings = uvicorn.Config(
        application, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=grace
    )
    server = Server(settings, listening)
    with contextlib.suppress(SystemExit):  # uvicorn's way to say that the address is taken; it has said why
        asyncio.run(server.serve())
    return server.started
