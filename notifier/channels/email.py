"""E-mail: text and HTML, one thread per incident, one transaction per recipient.

RFC 5322 (threads), RFC 3834 (Auto-Submitted), RFC 3463 (status codes). The same delivery always has the
same Message-ID, so that a doubtful resend is recognised by the receiving server.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from notifier.model import Delivery, DeliveryError
from notifier.render import Message, one_line
from zads.config import Email, host_port, read_secret

_LOG = logging.getLogger(__name__)
_TIMEOUT = 15.0
# Refusals that concern our set-up, not the recipient: they pass when it is mended.
_CONFIGURATION = {530, 534, 535, 538}


class _LaterError(DeliveryError):
    """The server answers and does not want this one recipient's mail now."""


class EmailChannel:
    """Send by SMTP."""

    name = "email"

    def __init__(self, settings: Email, timeout: float = _TIMEOUT) -> None:
        self._settings, self._timeout = settings, timeout
        self._taken: dict[int, set[str]] = {}

    def send(self, delivery: Delivery, message: Message) -> Mapping[str, str]:
        """Send to each recipient that has not taken this delivery yet."""
        taken = self._taken.get(delivery.id, set())
        refused: list[str] = []
        later: list[DeliveryError] = []
        for recipient in self._settings.to:
            if recipient in taken:
                continue
            try:
                self._transaction(recipient, self._compose(delivery, message, recipient))
                taken.add(recipient)
            except DeliveryError as error:
                if error.permanent:
                    refused.append(str(error))
                else:
                    later.append(error)
                    if error.doubtful or not isinstance(error, _LaterError):
                        break  # the server itself is in trouble: it is for the others too
        if later:
            # One recipient's full mailbox neither delays nor doubles the others' mail.
            self._taken[delivery.id] = taken
            raise later[0]
        self._taken.pop(delivery.id, None)
        if refused and not taken:
            raise DeliveryError("; ".join(refused), permanent=True)
        for text in refused:
            _LOG.warning("a recipient refused for good, the others have the mail: %s", text)
        return {}

    def _compose(self, delivery: Delivery, message: Message, recipient: str) -> bytes:
        incident, domain = delivery.incident, self._settings.sender.rpartition("@")[2]
        root = f"<{incident.key}@{domain}>"
        first = delivery.kind == "firing" and delivery.fallback_for == ""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._settings.sender, recipient
        subject = one_line(message.subject)
        mail["Subject"] = subject if first else f"Re: {subject}"
        mail["Date"] = formatdate(delivery.created_at)
        mail["Message-ID"] = f"<zads-delivery-{delivery.id}-{incident.fingerprint}@{domain}>"
        # A root of our own, the same for all messages of the incident: a thread also where the first was lost.
        mail["In-Reply-To"] = root
        mail["References"] = root
        mail["Thread-Topic"] = subject
        mail["Thread-Index"] = self._thread_index(incident.key, first)
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["X-ZADS-State"], mail["X-ZADS-Severity"] = message.state, one_line(incident.severity)
        if incident.severity == "page" and message.state == "firing":
            mail["Importance"] = "high"
        # Quoted-printable keeps every line under RFC 5321's 1,000 octets, whatever a label contains.
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail.as_bytes(policy=SMTP)

    @staticmethod
    def _thread_index(key: str, first: bool) -> str:
        """Return Outlook's thread header: 22 bytes for the thread, 5 more for each answer."""
        root = b"\x01" + hashlib.blake2b(key.encode(), digest_size=21).digest()
        return base64.b64encode(root if first else root + b"\x00\x00\x00\x00\x01").decode()

    def _transaction(self, recipient: str, mail: bytes) -> None:
        host, port = host_port(self._settings.smarthost)
        handed_over = False
        try:
            with smtplib.SMTP(host, port, timeout=self._timeout) as smtp:
                if self._settings.starttls:
                    smtp.starttls(context=ssl.create_default_context())
                if self._settings.username and self._settings.password_file:
                    smtp.login(self._settings.username, read_secret(self._settings.password_file))
                handed_over = True
                smtp.sendmail(self._settings.sender, [recipient], mail)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients[recipient]
            raise self._refusal(recipient, code, text) from None
        except smtplib.SMTPResponseException as error:
            raise self._refusal(recipient, error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"{host}: {error} (set starttls = false only on a network you trust)") from None
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"{host}:{port}: {error}", doubtful=handed_over) from None

    @staticmethod
    def _refusal(recipient: str, code: int, text: bytes | str) -> DeliveryError:
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        permanent = 500 <= code < 600 and code not in _CONFIGURATION
        kind = _LaterError if code // 10 == 45 else DeliveryError  # 450, 451, 452
        return kind(f"{recipient}: {code} {one_line(words)}", permanent=permanent)
