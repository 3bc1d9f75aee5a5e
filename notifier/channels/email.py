"""E-mail: text and HTML, one thread per incident, one transaction per recipient.

RFC 5322 (threads), RFC 3834 (Auto-Submitted), RFC 5321 and RFC 3463 (status codes), RFC 4954 (log-in). The same
delivery always has the same Message-ID, so that a doubtful resend is recognised by the receiving server.

What a server answers: 4xx passes and is tried again, 5xx stays and is parked. A recipient's own trouble delays no
other; the server's is the same for all. An unreachable server, a certificate that is not accepted and a missing
STARTTLS pass too: they are put right without anything of ours being changed.
"""

from __future__ import annotations

import base64
import hashlib
import re
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from notifier.channels.network import trouble
from notifier.message import Message
from notifier.model import Delivery, DeliveryError, Receipt
from notifier.words import one_line
from zads.config import Email, host_port, joined

_TIMEOUT = 15.0
# Answers that concern our set-up, whatever they are an answer to: no log-in, a wrong one, no encryption.
_CONFIGURATION = {530, 534, 535, 538}
_ENHANCED = re.compile(r"\s*([245])\.(\d{1,3})\.\d{1,3}\b")
_NO_LOGIN = "take notifier.email.username out, or use the server's port for log-ins"
_ADDRESS, _MAILBOX = "1", "2"  # subjects of enhanced codes: the recipient's own


class EmailChannel:
    """Send by SMTP."""

    name = "email"

    def __init__(self, settings: Email, password: str | None = None, timeout: float = _TIMEOUT) -> None:
        self._settings, self._password, self._timeout = settings, password, timeout

    def send(self, delivery: Delivery, message: Message) -> Receipt:
        """Send to each recipient; who did not take it is named in the receipt, so that nobody gets it twice.

        A delivery's own target may be anybody: a person on call, a community's contact.
        """
        recipients = (delivery.target,) if delivery.target else self._settings.to
        missed: dict[str, DeliveryError] = {}
        trouble: DeliveryError | None = None  # the server's own: it is for the others too
        for recipient in recipients:
            try:
                if trouble is None:
                    self._transaction(recipient, self._compose(delivery, message, recipient))
                else:
                    # Asked once for all: a wrong password that is tried for each locks the account.
                    missed[recipient] = DeliveryError(str(trouble), permanent=trouble.permanent)
            except DeliveryError as error:
                missed[recipient] = error
                trouble = None if error.narrow else error
        if len(missed) == len(recipients):
            raise self._all(missed)
        return Receipt(missed=missed)

    def post(self, recipient: str, mail: EmailMessage) -> None:
        """Send an e-mail that is about no incident, such as the night's report.

        Raises DeliveryError.
        """
        self._transaction(recipient, mail.as_bytes(policy=SMTP))

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
        where = joined(host, port)
        handed_over = taken = False
        try:
            with smtplib.SMTP(host, port, timeout=self._timeout) as smtp:
                if self._settings.starttls:
                    smtp.starttls(context=ssl.create_default_context())
                if self._settings.username and self._password:
                    smtp.login(self._settings.username, self._password)
                smtp.ehlo_or_helo_if_needed()
                handed_over = True
                smtp.sendmail(self._settings.sender, [recipient], mail)
                taken = True
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients[recipient]
            raise self._refusal(recipient, code, text, recipients_own=True) from None
        except smtplib.SMTPDataError as error:
            raise self._refusal(recipient, error.smtp_code, error.smtp_error, recipients_own=False) from None
        except smtplib.SMTPResponseException as error:
            if taken:
                return  # an odd answer to our good-bye changes nothing
            raise self._refusal(where, error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            hint = "set starttls = false only on a network you trust" if "STARTTLS" in str(error) else _NO_LOGIN
            raise DeliveryError(f"{where}: {error} ({hint})") from None
        except (smtplib.SMTPException, OSError) as error:
            if taken:
                return
            if isinstance(error, smtplib.SMTPServerDisconnected):
                raise DeliveryError(f"{where}: the connection was cut", doubtful=handed_over) from None
            words, _ = trouble(error, where)
            raise DeliveryError(words, doubtful=handed_over) from None

    @staticmethod
    def _refusal(who: str, code: int, text: bytes | str, *, recipients_own: bool | None = None) -> DeliveryError:
        """Return what an answer means; `recipients_own`: to RCPT it is; to DATA what stays, and what says so; else never."""
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        enhanced = _ENHANCED.match(words)
        # An enhanced code that says "for now" is believed: servers put it behind 5xx for policies that pass.
        permanent = 500 <= code < 600 and not (enhanced and enhanced[1] == "4")
        if recipients_own is False:
            recipients_own = permanent or bool(enhanced and enhanced[2] in (_ADDRESS, _MAILBOX))
        # 421 closes the connection: the server's own trouble.
        narrow = bool(recipients_own) and code != 421 and code not in _CONFIGURATION
        return DeliveryError(f"{who}: {code} {one_line(words)[:500]}", permanent=permanent, narrow=narrow)
