"""Who may act: a password or its hash from a file, sessions that expire, tokens against forged forms, guesses that wait.

Sessions live in the memory of the process: no key lies on a disk, a log-out is one, and a password that was changed
logs everybody out, since the notifier reads it when it starts. What a restart costs is typing it once more.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from zads.passwords import BEGIN, fits

LASTS, IDLE = 12 * 3600.0, 3600.0  # seconds: a session at most, and without being used
_SESSIONS_MOST = 200
_FREE, _FIRST_WAIT, _WAIT_MOST = 5, 60.0, 3600.0  # wrong ones of one address, then seconds that double
_FORGOTTEN_AFTER = 6 * 3600.0
_ADDRESSES_MOST = 1000
_ALL_FREE, _ALL_FIRST_WAIT, _ALL_WAIT_MOST = 50, 5.0, 300.0  # of all addresses together
_ALL_FORGOTTEN_AFTER = 600.0
_LONGEST_PASSWORD = 200


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address that we listen on."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _same(given: str, right: str) -> bool:
    """Compare without telling how much was right; what is given may be any text."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


@dataclass
class _Session:
    name: str
    ends: float
    idle: float


class _Guesses:
    """Wrong passwords of somebody: after the free ones each makes the next wait twice as long."""

    def __init__(self, free: int, first: float, most: float, forgotten_after: float) -> None:
        self._free, self._first, self._most, self._forgotten_after = free, first, most, forgotten_after
        self._count, self._until, self._last = 0, 0.0, -math.inf

    def wait(self, now: float) -> float:
        return max(0.0, self._until - now)

    def wrong(self, now: float) -> None:
        if self.old(now):
            self._count = 0
        self._count, self._last = self._count + 1, now
        if self._count >= self._free:
            self._until = now + min(self._most, self._first * 2 ** min(self._count - self._free, 30))

    def old(self, now: float) -> bool:
        return now - max(self._last, self._until) > self._forgotten_after


class Login:
    """Check passwords and sessions.

    `password`: the password, or its hash ("$scrypt$..."); without one nobody can log in. `open_to_all`, where only
    this machine reaches the page, lets everybody act then all the same.
    """

    def __init__(
        self, password: str | None, *, open_to_all: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._password, self._open, self._clock = password, open_to_all and password is None, clock
        self._key = secrets.token_bytes(32)
        self._lock, self._checking = threading.Lock(), threading.Lock()
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._tries: OrderedDict[str, _Guesses] = OrderedDict()
        self._all = _Guesses(_ALL_FREE, _ALL_FIRST_WAIT, _ALL_WAIT_MOST, _ALL_FORGOTTEN_AFTER)
        self._trusted: OrderedDict[str, None] = OrderedDict()  # addresses from which somebody has logged in

    @property
    def possible(self) -> bool:
        """Tell whether there is a password to log in with."""
        return self._password is not None

    @property
    def open(self) -> bool:
        """Tell whether everybody who reaches the page may act."""
        return self._open

    # -- passwords -----------------------------------------------------------------------------

    def wait(self, address: str) -> float:
        """Return the seconds until this address may try again, 0 when it may now.

        An address from which somebody has logged in does not wait for what others do: guessing from everywhere does
        not keep the operator out.
        """
        key = _neighbourhood(address)
        with self._lock:
            now = self._clock()
            own = self._tries.get(key) or (self._tries.get("") if len(self._tries) >= _ADDRESSES_MOST else None)
            return max(own.wait(now) if own else 0.0, 0.0 if key in self._trusted else self._all.wait(now))

    def try_password(self, given: str, address: str, name: str = "") -> str | None:
        """Return a new session for the right password; None for a wrong one, or while the address has to wait.

        One at a time, since checking a hash takes a fifth of a second by design.
        """
        key = _neighbourhood(address)
        with self._checking:
            if self._password is None or self.wait(address) > 0:
                return None
            right = len(given) <= _LONGEST_PASSWORD and self._right(given)
            with self._lock:
                now = self._clock()
                if not right:
                    self._tries_of(key, now).wrong(now)
                    self._all.wrong(now)
                    return None
                self._tries.pop(key, None)
                self._trusted[key] = None
                self._trusted.move_to_end(key)
                while len(self._trusted) > _ADDRESSES_MOST:
                    self._trusted.popitem(last=False)
                return self._begin(name, now)

    def _right(self, given: str) -> bool:
        known = self._password or ""
        return fits(given, known) if known.startswith(BEGIN) else _same(given, known)

    def _tries_of(self, key: str, now: float) -> _Guesses:
        for other in [name for name, tries in self._tries.items() if tries.old(now)]:
            del self._tries[other]
        if key not in self._tries and len(self._tries) >= _ADDRESSES_MOST:
            key = ""  # an attack from everywhere must not fill the memory: the rest counts as one
        return self._tries.setdefault(key, _Guesses(_FREE, _FIRST_WAIT, _WAIT_MOST, _FORGOTTEN_AFTER))

    # -- sessions ------------------------------------------------------------------------------

    def _begin(self, name: str, now: float) -> str:
        session = secrets.token_urlsafe(32)
        self._sessions[_digest(session)] = _Session(name, now + LASTS, now + IDLE)
        while len(self._sessions) > _SESSIONS_MOST:
            self._sessions.popitem(last=False)
        return session

    def _find(self, session: str | None, *, used: bool) -> _Session | None:
        with self._lock:
            now, key = self._clock(), _digest(session or "")
            found = self._sessions.get(key)
            if found is None:
                return None
            if now >= min(found.ends, found.idle):
                del self._sessions[key]
                return None
            if used:
                found.idle = now + IDLE
            return found

    def valid(self, session: str | None, *, used: bool = True) -> bool:
        """Tell whether who shows this session may act; `used`: a person asks, not a page that renews itself."""
        return self._open or self._find(session, used=used) is not None

    def name(self, session: str | None) -> str:
        """Return how whoever logged in calls herself; "" where nobody did."""
        found = self._find(session, used=False)
        return found.name if found else ""

    def log_out(self, session: str | None) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(session or ""), None)

    # -- forms ---------------------------------------------------------------------------------

    def form_token(self, session: str | None) -> str:
        """Return the token that a form of this session carries; before the log-in, of this visit's cookie."""
        return hmac.new(self._key, f"form:{session or ''}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def form_valid(self, session: str | None, token: str) -> bool:
        """Tell whether a form was made by our own page for this session."""
        return _same(token, self.form_token(session))


def _digest(session: str) -> bytes:
    """Return what a session is looked up by: how long that takes tells nothing about the session."""
    return hashlib.sha256(session.encode("utf-8", "replace")).digest()


def _neighbourhood(address: str) -> str:
    """Return what shares a limit: an IPv4 address, an IPv6 network of one subscriber."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address[:64] or "unknown"
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, 64), strict=False)) if isinstance(ip, IPv6Address) else str(ip)
