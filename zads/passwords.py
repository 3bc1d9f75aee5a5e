"""Passwords as hashes: scrypt (RFC 7914) by the standard library, written in the PHC text form.

`$scrypt$ln=14,r=8,p=5$SALT$HASH`, both in base64 without padding
(https://github.com/P-H-C/phc-string-format). The parameters are OWASP's for 16 MiB: a guess costs a fifth of a
second, a log-in too.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

BEGIN = "$scrypt$"
_LN, _R, _P = 14, 8, 5
_MEMORY_MOST = 128 << 20
_WORK_MOST = 1 << 22  # 2^ln * r * p: some seconds
_LINE = re.compile(
    r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,2}),p=([0-9]{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})"
)


class HashError(ValueError):
    """A line that is no hash of ours; says what to write instead, never what stands there."""


@dataclass(frozen=True)
class _Hash:
    ln: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def of(self, password: str) -> bytes:
        data, n = password.encode("utf-8", "replace"), 1 << self.ln
        return hashlib.scrypt(data, salt=self.salt, n=n, r=self.r, p=self.p, maxmem=2 * _MEMORY_MOST, dklen=len(self.digest))


def hash_password(password: str) -> str:
    """Return the line to keep instead of the password; another one each time, for its salt."""
    salt = secrets.token_bytes(16)
    digest = _Hash(_LN, _R, _P, salt, bytes(32)).of(password)
    return f"{BEGIN}ln={_LN},r={_R},p={_P}${_text(salt)}${_text(digest)}"


def check_hash(line: str) -> None:
    """Raise HashError when a line is no hash, or one that costs more than a log-in may."""
    _parse(line)


def fits(password: str, line: str) -> bool:
    """Tell whether a password is the one of a hash, in a time that does not tell how much of it was right.

    Raises HashError.
    """
    known = _parse(line)
    return hmac.compare_digest(known.of(password), known.digest)


def _parse(line: str) -> _Hash:
    match = _LINE.fullmatch(line)
    if match is None:
        raise HashError("is no password hash: zads notify hash-password makes one")
    ln, r, p = (int(number) for number in match.groups()[:3])
    if not (0 < ln < 32 and r and p) or 128 * r << ln > _MEMORY_MOST or (r * p) << ln > _WORK_MOST:
        raise HashError("is a password hash that needs too much memory or time: zads notify hash-password makes another")
    try:
        salt, digest = (base64.b64decode(part + "=" * (-len(part) % 4)) for part in match.groups()[3:])
    except binascii.Error:
        raise HashError("is no password hash: zads notify hash-password makes one") from None
    return _Hash(ln, r, p, salt, digest)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")
