"""What went wrong on the way to a provider, in a sentence for the operator; an address behind the host's name is never in it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from notifier.words import one_line

_DEEPEST = 12


def trouble(error: BaseException, host: str) -> tuple[str, bool]:
    """Return the sentence, and whether the provider may have got the request all the same.

    The libraries wrap the cause several times, with the whole address in their words: only the cause is told.
    """
    causes = list(_causes(error))
    for kind, words in (
        (ssl.SSLCertVerificationError, "its certificate is not accepted: {}"),
        (socket.gaierror, "the name cannot be resolved: {}"),
        (ConnectionRefusedError, "nobody listens there"),
    ):
        for cause in causes:
            if isinstance(cause, kind):
                return f"{host}: {words.format(_detail(cause))}", False
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return f"{host}: TLS fails: {_detail(cause)}", True
    if any(_named(cause, "ConnectTimeout", "ConnectTimeoutError") for cause in causes):
        return f"{host}: no connection in time", False
    if any(isinstance(cause, TimeoutError) or _named(cause, "Timeout", "ReadTimeoutError") for cause in causes):
        return f"{host}: no answer in time", True
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return f"{host}: {one_line(str(cause.strerror))}", not _before(causes)
    if any(isinstance(one, ConnectionError | EOFError) or _named(one, "RemoteDisconnected") for one in causes):
        return f"{host}: the connection was cut", True
    return f"{host}: {type(causes[-1]).__name__}", True


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what it wraps, outside first."""
    todo, seen = [error], set[int]()
    while todo and len(seen) < _DEEPEST:
        one = todo.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        wrapped = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        todo += [inner for inner in wrapped if isinstance(inner, BaseException)]


def _before(causes: list[BaseException]) -> bool:
    """Tell whether no connection was made: urllib3 says so by its error's name."""
    return any(_named(cause, "NewConnectionError", "NameResolutionError") for cause in causes)


def _named(error: BaseException, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(error).__mro__)


def _detail(error: BaseException) -> str:
    words = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or getattr(error, "reason", "")
    return one_line(str(words or type(error).__name__))[:200]
