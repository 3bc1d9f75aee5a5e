"""Who may acknowledge: a password from a file, a signed cookie that expires, a token against forged forms."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import deque

_HOURS = 12
_TRIES, _PER_SECONDS = 5, 60.0


class Login:
    """Check passwords and sessions; without a password everybody may acknowledge (loopback only)."""

    def __init__(self, password: str | None) -> None:
        self._password = password
        self._key = secrets.token_bytes(32)  # sessions end with the process
        self._tries: deque[float] = deque()

    @property
    def needed(self) -> bool:
        """Tell whether a log-in is asked for."""
        return self._password is not None

    def try_password(self, given: str) -> str | None:
        """Return a session for the right password; at most five tries a minute."""
        now = time.monotonic()
        while self._tries and now - self._tries[0] > _PER_SECONDS:
            self._tries.popleft()
        if len(self._tries) >= _TRIES or self._password is None:
            return None
        self._tries.append(now)
        if not hmac.compare_digest(given.encode(), self._password.encode()):
            return None
        self._tries.clear()
        return self._sign(str(int(time.time()) + _HOURS * 3600))

    def valid(self, session: str | None) -> bool:
        """Tell whether the session is one of ours and has not expired."""
        if not self.needed:
            return True
        until, _, _ = (session or "").partition(".")
        if not until.isdigit() or int(until) < time.time():
            return False
        return hmac.compare_digest(session or "", self._sign(until))

    def form_token(self, session: str | None) -> str:
        """Return the token that a form of this session carries."""
        return hmac.new(self._key, f"form:{session or ''}".encode(), hashlib.sha256).hexdigest()

    def form_valid(self, session: str | None, token: str) -> bool:
        """Tell whether a form was made by our own page for this session."""
        return hmac.compare_digest(token, self.form_token(session))

    def _sign(self, until: str) -> str:
        return f"{until}.{hmac.new(self._key, until.encode(), hashlib.sha256).hexdigest()}"
