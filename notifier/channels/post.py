"""One POST of JSON to an address that may itself be a secret: no redirects, no hidden retries, only the host's name in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests

from notifier.channels.network import trouble
from notifier.model import DeliveryError, retry_after

TIMEOUT = 10.0
_READ_MOST = 200
# What passes although it is a 4xx (RFC 9110, RFC 6585, RFC 8470): too slow, too early, too many.
_PASSES = {408, 425, 429}
# The server is known not to have begun: all other failures of its own may have come after the work.
_UNTOUCHED = {408, 425, 429, 503}


@dataclass(frozen=True)
class Answer:
    """What came back: the status, the first letters of the body, the seconds to wait where it says so."""

    host: str
    status: int
    text: str
    wait: float | None

    @property
    def accepted(self) -> bool:
        """Tell whether the message was taken."""
        return 200 <= self.status < 300

    def error(self, words: str = "") -> DeliveryError:
        """Return the failure that the status stands for; the body is not quoted, since it may hold the address."""
        permanent = 300 <= self.status < 500 and self.status not in _PASSES
        doubtful = not permanent and self.status not in _UNTOUCHED
        try:
            phrase = f" {HTTPStatus(self.status).phrase}"
        except ValueError:
            phrase = ""
        said = f"{self.host} answered {self.status}{phrase}"
        wait = None if permanent else self.wait
        return DeliveryError(f"{said}: {words}" if words else said, permanent=permanent, retry_after=wait, doubtful=doubtful)


def host_of(url: str) -> str:
    """Return the host's name and port: all of an address that may be told."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return f"{parts.hostname or 'the address'}:{port}" if port else parts.hostname or "the address"


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    ca_file: Path | None = None,
    timeout: float = TIMEOUT,
    read_all: bool = False,
) -> Answer:
    """Post the body and return the answer; `read_all`: the body of a success counts too.

    Raises DeliveryError when there is none.
    """
    host = host_of(url)
    if ca_file is not None and not ca_file.is_file():
        raise DeliveryError(f"{host}: {ca_file}, the certificates that vouch for it, cannot be read")
    try:
        with requests.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "User-Agent": "ZADS-Monitor", **headers},
            timeout=timeout,
            allow_redirects=False,
            stream=True,  # the first letters are enough
            verify=True if ca_file is None else str(ca_file),
            auth=_as_it_is,
        ) as answer:
            read = read_all or not answer.ok
            text = answer.raw.read1(_READ_MOST).decode("utf-8", "replace") if read else ""
            return Answer(host, answer.status_code, text, retry_after(answer.headers.get("Retry-After")))
    except (requests.RequestException, OSError, ValueError) as error:
        words, doubtful = trouble(error, host)
        raise DeliveryError(words, doubtful=doubtful) from None


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add no login: without this, a password of ~/.netrc would go to the receiver."""
    return request
