"""`zads notify hash-password`: asks without echo, prints the line for notifier.password_hash_file."""

from __future__ import annotations

import argparse
import getpass
import sys

from zads.passwords import hash_password

LEAST = 12  # characters: NIST SP 800-63B-4 asks for 15 where there is no second factor, 8 at least
_MOST = 200


def read_password() -> str:
    """Ask twice at a terminal, else read one line of standard input.

    Raises ValueError when the two differ, or when it is no password to protect a page with.
    """
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise ValueError("the two differ: nothing was printed")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if len(password) < LEAST:
        raise ValueError(f"the password is too short: take {LEAST} characters or more, such as four words")
    if len(password) > _MOST:
        raise ValueError(f"the password is too long: the page takes {_MOST} characters")
    if not password.isprintable():
        raise ValueError("the password holds a character that cannot be typed into the page")
    return password


def _hash(_args: argparse.Namespace) -> int:
    print(hash_password(read_password()))
    return 0


def register(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `zads notify hash-password`."""
    text = "ask for the page's password and print the line for notifier.password_hash_file"
    actions.add_parser("hash-password", help=text, description=f"{text[:1].upper()}{text[1:]}.").set_defaults(func=_hash)
