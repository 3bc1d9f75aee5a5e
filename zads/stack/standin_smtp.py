"""The stand-in for an SMTP server: takes mail for one domain, refuses what real servers refuse.

Sources: RFC 5321 (commands, replies), RFC 3463 (enhanced codes), RFC 6531 (SMTPUTF8), RFC 3207 (STARTTLS),
RFC 4954 (AUTH), RFC 1870 (SIZE), Postfix's and Gmail's replies. Syntax and sequence are aiosmtpd's.

The rate: 60 messages a minute and sender, one a second, as Amazon SES grants a new account and between
Exchange Online's 30 a minute and what Postfix is usually set to. A storm of a few dozen pages passes, one
of hundreds does not, unless the notifier folds it. The refusal is Postfix's (450 4.7.1, "too much mail").
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import MISSING, SMTP, AuthResult, LoginPassword

from zads.stack import standin_mail
from zads.stack.inbox_store import Inbox
from zads.stack.standin_away import Away, nobody
from zads.stack.standin_rates import Rate, RateLimit

_LOG = logging.getLogger(__name__)
SMTP_RATE = Rate(60, 60.0)
# Mailboxes with a fate, so that a test can see each answer that a real server gives for one recipient.
_FATES = {
    "unknown": "550 5.1.1 User unknown",
    "disabled": "550 5.2.1 Mailbox disabled, not accepting messages",
    "moved": "551 5.1.6 User not local, the mailbox has moved",
    "overquota": "552 5.2.2 Mailbox is over its quota",
    "blocked": "550 5.7.1 Message refused by policy",
    "full": "452 4.2.2 Mailbox full",
    "busy": "450 4.2.1 Recipient is receiving mail too quickly, try again later",
    "broken": "451 4.3.0 Local error in processing",
    "closing": "421 4.3.2 Service shutting down, closing transmission channel",
}


@dataclass(frozen=True)
class SmtpLimits:
    """Largest message in bytes, most recipients of one (RFC 5321 asks for at least 100), messages by sender."""

    size: int = 10_000_000
    recipients: int = 100
    messages: Rate = SMTP_RATE


class Smtp:
    """What to do with senders, recipients and messages; a handler in aiosmtpd's sense."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        domain: str = "example.org",
        limits: SmtpLimits | None = None,
        credentials: Mapping[str, str] | None = None,
        away: Away = nobody,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._away = away
        self._inbox, self._domain, self._limits = inbox, domain.lower(), limits or SmtpLimits()
        self._credentials = credentials
        self._rate = RateLimit(self._limits.messages.count, self._limits.messages.seconds, clock)
        self._greylisted: set[tuple[str, str]] = set()

    async def handle_EHLO(self, _server: Any, session: Any, _envelope: Any, name: str, replies: list[str]) -> list[str]:
        """Say what we can; AUTH only where somebody could pass it."""
        if not re.fullmatch(r"[\w.:\[\]-]+", name):
            return ["501 5.5.4 Invalid domain name"]
        session.host_name = name
        return [reply for reply in replies if self._credentials or not reply.startswith("250-AUTH")]

    async def handle_AUTH(self, _server: Any, _session: Any, _envelope: Any, _words: list[str]) -> Any:
        """Refuse AUTH where nobody has credentials."""
        return MISSING if self._credentials else "503 5.5.1 Error: authentication not enabled"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        """Check a user's password."""
        known = (
            (self._credentials or {}).get(data.login.decode("utf-8", "replace")) if isinstance(data, LoginPassword) else None
        )
        right = known is not None and hmac.compare_digest(known.encode(), data.password)
        return AuthResult(success=right, handled=False)

    async def handle_MAIL(self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]) -> str:
        """Take a sender; the null sender (<>) is that of bounces and always right."""
        if self._away("email"):
            return "421 4.3.2 Service shutting down, closing transmission channel"
        refusal = _bad_address(address, envelope) if address != "<>" else None
        if refusal:
            return refusal
        if address != "<>" and "@" not in address:
            return "553 5.1.7 Sender address has no domain"
        if self._rate.take(address.lower()):
            return "450 4.7.1 Error: too much mail from this sender, try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server: Any, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:
        """Take a recipient of our domain."""
        refusal = _bad_address(address, envelope)
        if refusal:
            return refusal
        local, _, domain = address.rpartition("@")
        if not local and domain.lower() != "postmaster":
            return "553 5.1.3 Recipient address has no domain"
        if local and domain.lower() != self._domain:
            return f"550 5.7.1 Relaying denied: this server takes mail for {self._domain}"
        mailbox = local.partition("+")[0].lower()
        if mailbox == "greylisted" and (envelope.mail_from, address) not in self._greylisted:
            self._greylisted.add((envelope.mail_from, address))
            return "450 4.2.0 Greylisted, try again later"
        if mailbox == "closing":
            # The reply goes out first; RFC 5321 section 4.2.1: 421 announces that the channel is closed.
            asyncio.get_running_loop().call_later(0.1, server.transport.close)
        if mailbox in _FATES:
            return _FATES[mailbox]
        if len(envelope.rcpt_tos) >= self._limits.recipients:
            return "452 4.5.3 Error: too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Take a message that is one (RFC 5322)."""
        mail = standin_mail.read(envelope.content)
        if mail.problem:
            return f"554 5.6.0 {mail.problem}"
        raw = envelope.content.decode("utf-8", "replace")
        self._inbox.add("email", mail.state, mail.subject, mail.text, raw)
        return "250 2.0.0 Queued"

    async def handle_exception(self, error: Exception) -> str:
        """Answer as a server with a fault of its own does: the client shall try again."""
        _LOG.error("SMTP: %s: %s", type(error).__name__, error, exc_info=error)
        return "451 4.3.0 Error: local error in processing"


def _bad_address(address: str, envelope: Any) -> str | None:
    try:
        address.encode("utf-8")
    except UnicodeEncodeError:
        return "553 5.1.3 Error: malformed address"
    if not address.isascii() and not envelope.smtp_utf8:
        return "553 5.6.7 Non-ASCII addresses need SMTPUTF8"
    return None


class _Protocol(SMTP):
    async def smtp_VRFY(self, _arg: str) -> None:
        """Neither confirm nor echo (RFC 5321 section 3.5.3)."""
        await self.push("252 2.5.2 Cannot VRFY user, but will accept message and attempt delivery")

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """Parse an address; the standard library's parser fails on some broken ones in its own ways."""
        try:
            address: tuple[str | None, str | None] = super()._getaddr(arg)
        except (IndexError, AttributeError, TypeError, ValueError):
            return None, None
        return address


class SmtpServer(Controller):
    """The server on a port, in a thread of its own: `start()` and `stop()`.

    With `tls` it offers STARTTLS, and insists on it unless `tls_required` is False; with `implicit_tls` it speaks TLS
    from the first byte, as on port 465. With `credentials` (user to password) it takes mail only after AUTH.
    """

    def __init__(
        self,
        inbox: Inbox,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        tls_required: bool = True,
        implicit_tls: bool = False,
        credentials: Mapping[str, str] | None = None,
        limits: SmtpLimits | None = None,
        away: Away = nobody,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        limits = limits or SmtpLimits()
        handler = Smtp(inbox, limits=limits, credentials=credentials, away=away, clock=clock)
        starttls = tls is not None and not implicit_tls
        super().__init__(
            handler,
            hostname=host,
            port=port,
            ssl_context=tls if implicit_tls else None,
            tls_context=tls if starttls else None,
            require_starttls=starttls and tls_required,
            data_size_limit=limits.size,
            auth_required=credentials is not None,
            auth_require_tls=starttls,
            authenticator=handler.authenticate,
            ident="ZADS stand-in",
        )

    def start(self) -> None:
        """Listen and serve; raises OSError at once when the port is taken. Port 0 becomes a free one, in `port`."""
        self._socket = socket.create_server((self.hostname, self.port))
        self.port = self._socket.getsockname()[1]
        super().start()

    def _create_server(self) -> Awaitable[asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._socket, ssl=self.ssl_context)

    def factory(self) -> SMTP:
        """Make the protocol of one connection."""
        return _Protocol(self.handler, **self.SMTP_kwargs)
