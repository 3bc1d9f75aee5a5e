"""Read incidents back from PagerDuty's REST API v2 (GET /incidents), by pdpyras.

As in pagerduty.py the library's own retries are off: who polls comes again anyway. A read-only key is enough.
Source: developer.pagerduty.com (List incidents, errors, rate limits).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from typing import Any

import requests

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pdpyras announces its successor at import; the decision record knows
    import pdpyras

from notifier.channels.network import trouble
from notifier.channels.post import host_of
from notifier.model import DeliveryError, retry_after

_TIMEOUT = 5
_PAGE, _PAGES = 25, 4
_REFUSED = {
    401: "it does not accept the key: check notifier.pagerduty.api_token",
    402: "the account may not use this",
    403: "the key may not read incidents: it needs read access, or the scope incidents.read",
    404: "check notifier.pagerduty.api_url",
}
# What the library would write is said once, by who polls; and its words hold the key's last letters.
_SILENT = logging.getLogger(f"{__name__}.library")


class PagerDutyReader:
    """Reads with one REST API key."""

    def __init__(self, api_url: str, token: str, *, timeout: float = _TIMEOUT) -> None:
        self._host = host_of(api_url)
        session = pdpyras.APISession(token)
        session.url = api_url.rstrip("/")
        session.timeout = timeout
        session.max_network_attempts = 0
        session.retry.clear()
        # The library repeats after 429 for ever, unless this is its number of tries and they are used up at once.
        session.retry[429] = 1
        session.max_http_attempts = -1
        session.auth = _as_it_is  # or a password of ~/.netrc would take the key's place
        session.log = _SILENT
        _SILENT.disabled = True
        self._session = session

    def incidents(self, key: str) -> list[Mapping[str, Any]]:
        """Return all incidents with this de-duplication key, the newest first.

        An incident whose alerts have the key has none itself, and is found by it all the same. Raises DeliveryError;
        `permanent` where only a changed configuration helps.
        """
        found: list[Mapping[str, Any]] = []
        for page in range(_PAGES):
            asked = {
                "incident_key": key,
                "date_range": "all",
                "statuses[]": ["triggered", "acknowledged", "resolved"],
                "sort_by": "incident_number:desc",
                "limit": _PAGE,
                "offset": page * _PAGE,
            }
            answer = self._get("/incidents", asked)
            found += [one for one in answer["incidents"] if isinstance(one, dict)]
            if answer.get("more") is not True:
                break
        return sorted(found, key=_number, reverse=True)

    def _get(self, path: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            response = self._session.get(path, params=asked, allow_redirects=False)
        except pdpyras.PDHTTPError as error:
            raise self._refusal(error.response) from None
        except (pdpyras.PDClientError, requests.RequestException, OSError) as error:
            raise DeliveryError(trouble(error, self._host)[0]) from None
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("incidents"), list):
            raise DeliveryError(f"{self._host}: the answer is no list of incidents")
        return answer

    def _refusal(self, response: requests.Response) -> DeliveryError:
        status = response.status_code
        said = f"{self._host} answered {status}"
        hint = _REFUSED.get(status, "")
        wait = retry_after(response.headers.get("ratelimit-reset")) or retry_after(response.headers.get("Retry-After"))
        permanent = 300 <= status < 500 and status not in (408, 425, 429)
        return DeliveryError(f"{said}: {hint}" if hint else said, permanent=permanent, retry_after=wait)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _number(incident: Mapping[str, Any]) -> int:
    number = incident.get("incident_number")
    return number if isinstance(number, int) else 0
