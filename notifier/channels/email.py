"""E-mail: text and HTML, one thread per incident, one transaction per recipient.

RFC 5322 (threads), RFC 3834 (Auto-Submitted), RFC 3463 (status codes). The same delivery always has the
same Message-ID, so that a doubtful resend is recognised by the receiving server.
"""

from __future__ import annotations

import base64
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt
from notifier.words import one_line
from zads.config import Email, host_port

_TIMEOUT = 15.0
# Refusals that concern our set-up, not the recipient: they pass when it is mended.
_CONFIGURATION = {530, 534, 535, 538}


class EmailChannel:
    """Send by SMTP."""

    name = "email"

    def __init__(self, settings: Email, password: str | None = None, timeout: float = _TIMEOUT) -> None:
        self._settings, self._password, self._timeout = settings, password, timeout

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Send to each recipient; who did not take it is named in the receipt, so that nobody gets it twice."""
        recipients = (delivery.target,) if delivery.target else self._settings.to
        if delivery.target and delivery.target not in self._settings.to:
            raise DeliveryError(f"{delivery.target} is no longer a recipient", permanent=True, narrow=True)
        missed: dict[str, DeliveryError] = {}
        trouble: DeliveryError | None = None  # the server's own: it is for the others too
        for recipient in recipients:
            try:
                if trouble is None:
                    self._transaction(recipient, self._compose(delivery, message, recipient))
                else:
                    missed[recipient] = DeliveryError(str(trouble), retry_after=trouble.retry_after)
            except DeliveryError as error:
                missed[recipient] = error
                trouble = None if error.narrow or error.permanent else error
        if len(missed) == len(recipients):
            raise self._all(missed)
        return Receipt(missed=missed)

    @staticmethod
    def _all(missed: dict[str, DeliveryError]) -> DeliveryError:
        """Return the error that stands for all: one that may pass is tried again for everybody."""
        errors = list(missed.values())
        worst = next((error for error in errors if not error.permanent), errors[0])
        words = "; ".join(dict.fromkeys(map(str, errors)))
        doubtful = any(error.doubtful for error in errors)
        narrow = all(error.narrow for error in errors)
        return DeliveryError(
            words, permanent=worst.permanent, retry_after=worst.retry_after, doubtful=doubtful, narrow=narrow
        )

    def _compose(self, delivery: Delivery, message: Message, recipient: str) -> bytes:
        incident, domain = delivery.incident, self._settings.sender.rpartition("@")[2]
        thread = delivery.key if delivery.kind == "digest" else incident.key if incident.id > 0 else incident.episode_key
        root = f"<{thread}@{domain}>"
        first = delivery.kind in {"firing", "digest"} and not delivery.again and delivery.fallback_for == ""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._settings.sender, recipient
        subject = one_line(message.subject)
        mail["Subject"] = subject if first else f"Re: {subject}"
        mail["Date"] = formatdate(delivery.created_at)
        mail["Message-ID"] = f"<zads-delivery-{delivery.key}-{incident.fingerprint}@{domain}>"
        # A root of our own, the same for all messages of the incident: a thread also where the first was lost.
        mail["In-Reply-To"] = root
        mail["References"] = root
        mail["Thread-Topic"] = subject
        mail["Thread-Index"] = self._thread_index(root, first)
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["X-ZADS-State"], mail["X-ZADS-Severity"] = message.state, one_line(message.severity)
        if message.severity == "page" and message.state == "firing":
            mail["Importance"] = "high"
        # Quoted-printable keeps every line under RFC 5321's 1,000 octets, whatever a label contains.
        mail.set_content(message.text, cte="quoted-printable")
        mail.add_alternative(message.html, subtype="html", cte="quoted-printable")
        return mail.as_bytes(policy=SMTP)

    @staticmethod
    def _thread_index(root: str, first: bool) -> str:
        """Return Outlook's thread header: 22 bytes for the thread, 5 more for each answer."""
        head = b"\x01" + hashlib.blake2b(root.encode(), digest_size=21).digest()
        return base64.b64encode(head if first else head + b"\x00\x00\x00\x00\x01").decode()

    def _transaction(self, recipient: str, mail: bytes) -> None:
        host, port = host_port(self._settings.smarthost)
        handed_over = taken = False
        try:
            with smtplib.SMTP(host, port, timeout=self._timeout) as smtp:
                if self._settings.starttls:
                    smtp.starttls(context=ssl.create_default_context())
                if self._settings.username and self._password:
                    smtp.login(self._settings.username, self._password)
                handed_over = True
                smtp.sendmail(self._settings.sender, [recipient], mail)
                taken = True
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients[recipient]
            # 421 closes the connection: the server's own trouble.
            raise self._refusal(recipient, code, text, narrow=code != 421) from None
        except smtplib.SMTPResponseException as error:
            if taken:
                return  # an odd answer to our good-bye changes nothing
            raise self._refusal(host, error.smtp_code, error.smtp_error, narrow=False) from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"{host}: {error} (set starttls = false only on a network you trust)") from None
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"{host}:{port}: {error}", doubtful=handed_over) from None

    @staticmethod
    def _refusal(who: str, code: int, text: bytes | str, *, narrow: bool) -> DeliveryError:
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        permanent = 500 <= code < 600 and code not in _CONFIGURATION
        return DeliveryError(f"{who}: {code} {one_line(words)}", permanent=permanent, narrow=narrow)
