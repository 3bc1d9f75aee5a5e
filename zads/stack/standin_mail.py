"""Reading a mail that came over SMTP: what its reader sees, and what is wrong with it.

The parsers of the standard library's new policy raise on odd but harmless headers (a Message-ID without
brackets, an unknown charset); a mail server takes such mail, so headers and bodies are decoded by hand.
Sources: RFC 5322 (section 3.6: which headers, how often), RFC 2047, RFC 2045.
"""

from __future__ import annotations

import email
import email.policy
from contextlib import suppress
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parsedate_to_datetime

from zads.stack.inbox_store import STATES

_ONCE = (
    "From", "Sender", "Reply-To", "To", "Cc", "Date", "Message-ID", "In-Reply-To", "References", "Subject",
)  # fmt: skip


@dataclass(frozen=True)
class Mail:
    """A mail as its reader sees it; `problem` says why a server refuses it."""

    subject: str
    text: str
    state: str
    problem: str | None


def read(content: bytes) -> Mail:
    """Read a mail; whatever it contains, this returns."""
    message: Message = email.message_from_bytes(content, policy=email.policy.compat32)
    headers: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        headers.setdefault(name.lower(), []).append(_header(str(value)))
    subject = (headers.get("subject") or [""])[0]
    return Mail(subject, _text(message), _state(headers, subject), _problem(headers))


def _header(value: str) -> str:
    """Return a header's text on one line, encoded words decoded."""
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if "=?" in text and text.isascii():
        with suppress(LookupError, ValueError, HeaderParseError):  # not to be decoded: shown as it came
            text = str(make_header(decode_header(text)))
    return " ".join(text.split())


def _state(headers: dict[str, list[str]], subject: str) -> str:
    """Return the incident's state: what the notifier says, else what the subject says."""
    said = (headers.get("x-zads-state") or [""])[0].lower()
    if said in STATES:
        return said
    return next((state for state in ("resolved", "acknowledged") if state in subject.lower()), "firing")


def _problem(headers: dict[str, list[str]]) -> str | None:
    for name in _ONCE:
        if len(headers.get(name.lower(), [])) > 1:
            return f"{name} header occurs more than once"
    for name in ("From", "Date", "Message-ID"):
        if not any(headers.get(name.lower(), [])):
            return f"Message has no {name} header"
    if "@" not in headers["from"][0]:
        return "From header has no address"
    try:
        parsedate_to_datetime(headers["date"][0])
    except (ValueError, TypeError, IndexError, OverflowError):
        return "Date header is not a date"
    return None


def _text(message: Message) -> str:
    """Return the first plain text, the first HTML where there is none; nothing when there is no text at all."""
    texts: dict[str, str] = {}
    for part in message.walk():
        kind = part.get_content_type()
        disposition = str(part.get("Content-Disposition", "")).strip().lower()
        if kind in {"text/plain", "text/html"} and kind not in texts and not disposition.startswith("attachment"):
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes):
                texts[kind] = _decode(payload, part)
    return texts.get("text/plain", texts.get("text/html", "")).replace("\r\n", "\n")


def _decode(payload: bytes, part: Message) -> str:
    try:
        return payload.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return payload.decode("utf-8", "replace")
