"""Is this machine's clock right? Delays are measured with it: what the kernel says of it, without any privilege."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The beginning of struct timex (man 2 adjtimex); the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("rest", ctypes.c_char * 512),
    )


@dataclass(frozen=True)
class Clock:
    """What the kernel says: whether something keeps the clock right, and by how much it may be off (seconds)."""

    synchronised: bool
    error_seconds: float


def clock() -> Clock | None:
    """Return the kernel's word, None where it has none (no Linux, or forbidden in a container)."""
    try:
        state = _Timex()
        result = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    if result < 0:
        return None
    return Clock(result != _TIME_ERROR, state.maxerror / 1e6)


def host() -> str:
    """Return this machine's name: where the probe looked from."""
    return os.uname().nodename
