"""The night's report as an e-mail.

The text and the page stand in the mail, the page with its plots is attached: e-mail programs drop SVG.
"""

from __future__ import annotations

import hashlib
import io
import time
from email.message import EmailMessage
from email.utils import formatdate

from notifier.channels.email import EmailChannel
from notifier.model import DeliveryError
from notifier.words import one_line
from zads.config import Email
from zads.report import html, text
from zads.report.document import Document

_TRIES, _PAUSE = 4, 20.0


def message(document: Document, name: str, settings: Email, recipient: str, now: float) -> EmailMessage:
    """Return the mail to one recipient; the same report to the same recipient has the same Message-ID."""
    domain = settings.sender.rpartition("@")[2]
    mail = EmailMessage()
    mail["From"], mail["To"] = settings.sender, recipient
    mail["Subject"] = one_line(f"{document.title}: {document.headline}")
    mail["Date"] = formatdate(now)
    digest = hashlib.blake2b(recipient.encode(), digest_size=6).hexdigest()
    mail["Message-ID"] = f"<zads-report-{name}-{digest}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    plain = io.StringIO()
    text.show(document, plain)
    # Quoted-printable keeps every line under RFC 5321's 1,000 octets.
    mail.set_content(plain.getvalue(), cte="quoted-printable")
    mail.add_alternative(html.page(document, with_plots=False), subtype="html", cte="quoted-printable")
    mail.add_attachment(html.page(document).encode(), maintype="text", subtype="html", filename=f"zads-{name}.html")
    return mail


def send(channel: EmailChannel, recipient: str, mail: EmailMessage) -> str | None:
    """Return why a mail was not taken, None when it was; what may pass is tried again for a minute."""
    for attempt in range(_TRIES):
        try:
            channel.post(recipient, mail)
            return None
        except DeliveryError as error:
            if error.permanent or attempt == _TRIES - 1:
                return str(error)
            time.sleep(_PAUSE)
    return None
