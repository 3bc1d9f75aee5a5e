"""Providers that take everything at once and note when: Slack, PagerDuty, a webhook by HTTP, and SMTP.

They have no limits and no delays of their own, so that what is measured is the sender's. Alerts carry "n=000123" in their
summary; by that a message is recognised.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections import defaultdict

from aiosmtpd.controller import Controller

_NUMBER = re.compile(rb"n(?:=|%3D|=3D)(\d{6})")


class Recorder:
    """All providers of one run, on ports of loopback; `got` maps a provider's path to when each number came first."""

    def __init__(self) -> None:
        self.got: dict[str, dict[int, float]] = defaultdict(dict)
        self.messages: dict[str, list[tuple[float, bytes]]] = defaultdict(list)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.port = 0
        threading.Thread(target=self._run, daemon=True).start()
        self._ready.wait(10)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.mail_port = int(one.getsockname()[1])
        self._mail = Controller(self, hostname="127.0.0.1", port=self.mail_port, data_size_limit=10_000_000)
        self._mail.start()

    def close(self) -> None:
        self._mail.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def forget(self) -> None:
        self.got.clear()
        self.messages.clear()

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:
        self._note("mail", bytes(envelope.content))  # type: ignore[attr-defined]
        return "250 OK"

    def _note(self, path: str, body: bytes) -> None:
        now = time.time()
        self.messages[path].append((now, body[:2000]))
        for number in _NUMBER.findall(body):
            self.got[path].setdefault(int(number), now)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                length = re.search(rb"(?i)content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self._note(path, body)
                status, answer = self._answer(path)
                text = json.dumps(answer).encode()
                lines = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                writer.write(lines.encode() + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @staticmethod
    def _answer(path: str) -> tuple[int, object]:
        if path.endswith(("chat.postMessage", "chat.update")):
            return 200, {"ok": True, "channel": "C1", "ts": f"{time.time():.6f}"}
        if path.endswith("/enqueue"):
            return 202, {"status": "success", "message": "Event processed", "dedup_key": "k"}
        return 200, {"ok": True}
