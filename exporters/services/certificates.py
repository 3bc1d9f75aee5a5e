"""When does a TLS listener's certificate expire? Read from the certificate itself, valid or not.

Python's ssl gives the fields only of certificates that it trusts; an expired one, or one of a private
authority, is what a monitor wants to know about. RFC 5280, section 4.1: the second date of `validity`.
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime

_UTC_TIME, _GENERALIZED_TIME, _EXPLICIT_VERSION = 0x17, 0x18, 0xA0


def expires(host: str, port: int, timeout: float) -> float:
    """Return when the listener's certificate expires, in seconds since 1970.

    Raises OSError when it does not speak TLS or its certificate cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent or believed: only the date is read
    with (
        socket.create_connection((host, port), timeout=timeout) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    if not certificate:
        raise ConnectionError(f"{host}:{port} showed no certificate")
    try:
        return not_after(certificate)
    except (IndexError, ValueError) as error:
        raise ConnectionError(f"{host}:{port} showed a certificate that cannot be read") from error


def not_after(certificate: bytes) -> float:
    """Return the end of validity of a DER certificate.

    Raises IndexError or ValueError for what is no certificate.
    """
    _, body, _ = _element(certificate, 0)
    _, fields, _ = _element(body, 0)
    tag, _, position = _element(fields, 0)
    # version (optional), serial number, signature, issuer, validity
    for _ in range(3 if tag == _EXPLICIT_VERSION else 2):
        _, _, position = _element(fields, position)
    _, validity, _ = _element(fields, position)
    _, _, second = _element(validity, 0)
    tag, text, _ = _element(validity, second)
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(tag)
    if form is None:
        raise ValueError(f"tag {tag} is no time")
    # Two-digit years: Python's pivot is 1969, RFC 5280's 1950; no certificate of today ends before 1969.
    return datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    """Return tag, content and the position after an ASN.1 element."""
    tag, length = data[position], data[position + 1]
    position += 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[position : position + count], "big")
        position += count
    if position + length > len(data):
        raise IndexError
    return tag, data[position : position + length], position + length
