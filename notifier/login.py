"""Who may acknowledge: a password from a file, a signed cookie that expires, a token against forged forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

_HOURS = 12
_TRIES, _PER_SECONDS = 5, 60.0
_ADDRESSES_MOST = 1000


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address that we listen on."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _same(given: str, right: str) -> bool:
    """Compare without telling how much was right; what is given may be any text."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


class Login:
    """Check passwords and sessions.

    Without a password nobody can log in; `open_to_all`, where only this machine reaches the page, lets
    everybody act all the same.
    """

    def __init__(
        self, password: str | None, *, open_to_all: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._password, self._open, self._clock = password, open_to_all and password is None, clock
        self._key = secrets.token_bytes(32)  # sessions end with the process
        self._tries: dict[str, deque[float]] = {}

    @property
    def possible(self) -> bool:
        """Tell whether there is a password to log in with."""
        return self._password is not None

    def try_password(self, given: str, address: str) -> str | None:
        """Return a session for the right password; five wrong ones a minute lock out their own address only."""
        now, tries = self._clock(), self._tries_of(address)
        if self._password is None or len(tries) >= _TRIES:
            return None
        if not _same(given, self._password):
            tries.append(now)
            return None
        tries.clear()
        return self._sign(str(int(time.time()) + _HOURS * 3600))

    def _tries_of(self, address: str) -> deque[float]:
        now, key = self._clock(), _neighbourhood(address)
        self._tries = {k: v for k, v in self._tries.items() if v and now - v[-1] <= _PER_SECONDS}
        if len(self._tries) >= _ADDRESSES_MOST:
            key = "everybody else"  # an attack from everywhere must not fill the memory
        tries = self._tries.setdefault(key, deque())
        while tries and now - tries[0] > _PER_SECONDS:
            tries.popleft()
        return tries

    def valid(self, session: str | None) -> bool:
        """Tell whether who shows this session may act: it is one of ours and has not expired."""
        if self._open:
            return True
        until, _, _ = (session or "").partition(".")
        if not (until.isascii() and until.isdigit() and len(until) < 12) or int(until) < time.time():
            return False
        return _same(session or "", self._sign(until))

    def form_token(self, session: str | None) -> str:
        """Return the token that a form of this session carries."""
        return hmac.new(self._key, f"form:{session or ''}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def form_valid(self, session: str | None, token: str) -> bool:
        """Tell whether a form was made by our own page for this session."""
        return _same(token, self.form_token(session))

    def _sign(self, until: str) -> str:
        return f"{until}.{hmac.new(self._key, until.encode(), hashlib.sha256).hexdigest()}"


def _neighbourhood(address: str) -> str:
    """Return what shares a limit: an IPv4 address, an IPv6 network of one subscriber."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:64]
    return str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) else str(ip)
