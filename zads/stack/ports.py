"""Is a port free, and if not, who holds it?"""

from __future__ import annotations

import socket

import psutil

from zads.config import host_port


def holder(address: str) -> str | None:
    """Return who holds the address ("nginx, process 123"), or None when it is free."""
    host, port = host_port(address)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        # As servers do: a connection in TIME_WAIT does not hold the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            return None
        except OSError as error:
            return _process_on(port) or f"unknown ({error.strerror})"


def _process_on(port: int) -> str | None:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid is None:
                    return "a process of another user"
                return f"{psutil.Process(connection.pid).name()}, process {connection.pid}"
    except psutil.Error:
        return None
    return None
