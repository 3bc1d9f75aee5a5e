"""The secret that signs webhooks, in the form of Standard Webhooks (standardwebhooks.com): "whsec_" and base64."""

from __future__ import annotations

import base64
import binascii

PREFIX = "whsec_"
_LEAST, _MOST = 24, 512  # bytes, as the specification says


def signing_key(secret: str) -> bytes:
    """Return the bytes that sign.

    Raises ValueError, without the secret, where the text is not of that form or the key is too short.
    """
    make = f"; make one with: printf {PREFIX}; openssl rand -base64 32"
    if not secret.startswith(PREFIX):
        raise ValueError(f'does not begin with "{PREFIX}", as receivers\' libraries expect{make}')
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f'has something after "{PREFIX}" that is not base64{make}') from None
    if not _LEAST <= len(key) <= _MOST:
        raise ValueError(f"holds {len(key)} bytes; a key has {_LEAST} to {_MOST}{make}")
    return key
