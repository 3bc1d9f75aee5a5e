"""Short, stable names for what went wrong, as label values of error counters."""

from __future__ import annotations

from kafka.errors import KafkaError as _KafkaError
from kafka.errors import for_code as _for_code


class ClosedDuringAuthenticationError(_KafkaError):  # type: ignore[misc]
    """The broker closed the connection while we logged in: a wrong name or password, most likely."""


def reason(error: BaseException | int) -> str:
    """Return the reason for an exception or for a protocol error code."""
    if isinstance(error, int):
        return str(_for_code(error).__name__).removesuffix("Error")
    return type(error).__name__.removesuffix("Error")
