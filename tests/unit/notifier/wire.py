"""A provider on the wire that records what it gets and answers as the test says: any status, cut off, slow, malformed."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CUT = "the connection is cut once the request is read"
SLOW = "nothing comes for as long as the test runs"
GARBAGE = "what comes is no HTTP"


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Wire:
    """What a provider does: `answers` are used up one by one, the last one stays."""

    answers: list[Any]
    got: list[Request] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    wire: Wire

    def _any(self) -> None:
        wire = self.wire
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        wire.got.append(Request(self.command, self.path, headers, body))
        answer = wire.answers.pop(0) if len(wire.answers) > 1 else wire.answers[0]
        self.close_connection = True
        if answer == SLOW:
            wire.released.wait(60)
        elif answer == GARBAGE:
            self.wfile.write(b"\x00\x01 what is this?\r\n\r\n")
        elif answer != CUT:
            status, more, text = (*answer, {}, "")[:3] if isinstance(answer, tuple) else (answer, {}, "")
            if isinstance(more, str):
                more, text = {}, more
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

    do_GET = do_POST = _any

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(*answers: Any, tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """Serve on a port of its own; an answer is a status, or (status, headers, body), (status, body), CUT, SLOW, GARBAGE."""
    wire = Wire(list(answers) or [200])
    handler = type("Handler", (_Handler,), {"wire": wire})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    wire.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.released.set()
        server.shutdown()
        server.server_close()


def certificate(folder: Path, name: str = "IP:127.0.0.1", *, expired: bool = False) -> tuple[Path, ssl.SSLContext]:
    """Make a certificate that vouches for itself; return its file, and a server's context that shows it."""
    public, private = folder / "public.pem", folder / "private.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-keyout", str(private), "-out", str(public), "-subj", "/CN=test", "-days", "9"]
    subprocess.run([*argv, "-addext", f"subjectAltName={name}"], check=True, capture_output=True)
    if expired:
        again = ["openssl", "x509", "-in", str(public), "-signkey", str(private), "-days", "-1", "-out", str(public)]
        subprocess.run(again, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return public, context
