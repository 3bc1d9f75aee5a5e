"""The kernel's messages about TCP connections, as bytes: what to ask, and the few fields that matter of what comes.

sock_diag(7) and linux/inet_diag.h, linux/tcp.h. Written with struct instead of a netlink library: once a second over
all connections of a busy host, the library's objects took thirty times the CPU of everything else here.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

from exporters.broker_egress.ledger import Connection

NETLINK_SOCK_DIAG = 4
TCP_DESTROY_GROUPS = (1 << 0) | (1 << 2)  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
LISTEN = 10
_SOCK_DIAG_BY_FAMILY = 20
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_REQUEST_DUMP = 0x1 | 0x300  # NLM_F_REQUEST | NLM_F_DUMP
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_STATES = 0xFFF & ~((1 << 6) | (1 << 7))  # all but TIME_WAIT, CLOSE
_INET_DIAG_INFO = 2
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_QUESTION = struct.Struct("=BBBBI")  # inet_diag_req_v2, before the socket that it asks for
_PORTS = struct.Struct(">HH")
_SOCKET = 48  # inet_diag_sockid
_MESSAGE = 72  # inet_diag_msg
_COOKIE_TO_QUEUE = struct.Struct("=QIII")  # inet_diag_msg from idiag_cookie to idiag_wqueue
_ATTRIBUTE = struct.Struct("=HH")  # nlattr
# Of tcp_info: tcpi_rtt, tcpi_total_retrans, tcpi_bytes_acked (Linux 4.1 and newer).
_TCP_INFO = struct.Struct("=68xI28xI16xQ")


def question(family: int, port: int, sequence: int) -> bytes:
    """Return the request for all TCP sockets of an address family whose own port is `port`: the kernel leaves out the rest."""
    body = _QUESTION.pack(family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0, _STATES)
    body += _PORTS.pack(port, 0).ljust(_SOCKET, b"\0")
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, sequence, 0) + body


def messages(data: bytes, sequence: int | None = None) -> Iterator[tuple[int, int] | None]:
    """Yield where each message about a socket begins and ends in what was received; None ends a dump.

    With `sequence`, answers to other requests are left out. Raises OSError for the kernel's errors.
    """
    position, end = 0, len(data)
    while position + _HEADER.size <= end:
        size, kind, flags, answers, _ = _HEADER.unpack_from(data, position)
        if size < _HEADER.size or position + size > end:
            raise OSError(errno.EBADMSG, "a message of the kernel is cut off")
        if sequence is None or answers == sequence:
            if flags & _DUMP_INTERRUPTED:
                raise OSError(errno.EINTR, "the table of sockets changed while it was read")
            if kind in {_ERROR, _DONE}:
                code = struct.unpack_from("=i", data, position + _HEADER.size)[0] if size >= _HEADER.size + 4 else 0
                if code < 0:
                    raise OSError(-code, os.strerror(-code))
                yield None
            elif kind == _SOCK_DIAG_BY_FAMILY and size >= _HEADER.size + _MESSAGE:
                yield position + _HEADER.size, position + size
        position += (size + 3) & ~3


def local(data: bytes, begin: int) -> tuple[int, int]:
    """Return the socket's own port and its state."""
    port: int = _PORTS.unpack_from(data, begin + 4)[0]
    return port, data[begin + 1]


def connection(data: bytes, begin: int, end: int) -> Connection | None:
    """Return the connection that a message describes, None when it has no counters.

    Raises OSError when the kernel is too old to count bytes.
    """
    at = _attribute(data, begin + _MESSAGE, end)
    if at is None:
        return None
    if at[1] - at[0] < _TCP_INFO.size:
        raise OSError(errno.ENOTSUP, "this kernel does not count the bytes of connections (Linux 4.1 and newer do)")
    rtt, retransmits, acked = _TCP_INFO.unpack_from(data, at[0])
    here, there = _PORTS.unpack_from(data, begin + 4)
    long = data[begin] == socket.AF_INET6
    address = data[begin + 24 : begin + (40 if long else 28)]
    peer = socket.inet_ntop(socket.AF_INET6 if long else socket.AF_INET, address)
    cookie, _, _, queue = _COOKIE_TO_QUEUE.unpack_from(data, begin + 44)
    # The kernel's cookie names a socket for as long as the machine runs.
    return Connection(f"{cookie}/{here}/{peer}/{there}", peer, acked, retransmits, rtt / 1e6, queue)


def _attribute(data: bytes, position: int, end: int) -> tuple[int, int] | None:
    """Return where the content of INET_DIAG_INFO begins and ends."""
    while position + _ATTRIBUTE.size <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, position)
        if size < _ATTRIBUTE.size or position + size > end:
            return None
        if kind == _INET_DIAG_INFO:
            return position + _ATTRIBUTE.size, position + size
        position += (size + 3) & ~3
    return None
