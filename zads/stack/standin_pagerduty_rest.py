"""The stand-in for PagerDuty's REST API v2: `GET /incidents` with its documented parameters, errors and rate.

Source: developer.pagerduty.com (List incidents, authentication, errors, pagination, rate limits) and its OpenAPI
schema. Only what can be asked of a single service is there: filters by team, user and urgency are refused.
"""

from __future__ import annotations

import hmac
import math
import time
from collections.abc import Callable, Mapping, Sequence

from zads.stack.standin_http import Reply
from zads.stack.standin_pagerduty_incidents import SERVICE, Incident, Incidents, seconds
from zads.stack.standin_rates import Rate, RateLimit

REST_RATE = Rate(960, 60.0)  # "Each Account API Key is allowed 960 requests per minute"
_STATUSES = ("triggered", "acknowledged", "resolved")
_LIMIT, _LIMIT_MOST, _RECORDS_MOST = 25, 100, 10_000
_MONTH, _HALF_YEAR = 30 * 86_400.0, 184 * 86_400.0
_KNOWN = {
    *("limit", "offset", "total", "date_range", "incident_key", "service_ids[]", "statuses[]", "sort_by"),
    *("include[]", "since", "until", "time_zone"),
}
_SORTS: Mapping[str, Callable[[Incident], float]] = {
    "incident_number": lambda one: one.number,
    "created_at": lambda one: one.created_at,
    "resolved_at": lambda one: one.changed_at if one.status == "resolved" else math.inf,
}


class PagerDutyRest:
    """Reads for one API key; keys with a fate show what a real account gives ("forbidden", "expired")."""

    def __init__(
        self,
        incidents: Incidents,
        token: str,
        *,
        rate: Rate = REST_RATE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._incidents, self._token, self._rate = incidents, token, rate
        self._limit = RateLimit(rate.count, rate.seconds, clock)

    def listing(self, authorization: str, accept: str, query: Sequence[tuple[str, str]]) -> Reply:
        """Answer GET /incidents."""
        refusal = self._refuse(authorization, accept)
        if refusal:
            return refusal
        wait = self._limit.take(self._token)
        if wait:
            headers = {"ratelimit-limit": str(self._rate.count), "ratelimit-remaining": "0"}
            return _error(429, 2020, "Rate Limit Exceeded", headers={**headers, "ratelimit-reset": str(math.ceil(wait))})
        try:
            return self._page(query)
        except ValueError as error:
            return _error(400, 2001, "Invalid Input Provided", str(error))

    def _refuse(self, authorization: str, accept: str) -> Reply | None:
        kind, _, given = authorization.partition("=")
        if kind != "Token token" or not given:
            return _error(401, 2006, "Authentication failed")
        if given == "forbidden":
            return _error(403, 2010, "Access Denied")
        if given == "expired":
            return _error(402, 2012, "Your account is expired and cannot use the API")
        if not self._token or not hmac.compare_digest(given.encode(), self._token.encode()):
            return _error(401, 2006, "Authentication failed")
        if "version=2" not in accept:
            return _error(400, 2002, "Arguments Caused Error", "Accept has to be application/vnd.pagerduty+json;version=2")
        return None

    def _page(self, query: Sequence[tuple[str, str]]) -> Reply:
        """Return a page; raises ValueError with what is wrong with the query."""
        for name, _ in query:
            if name not in _KNOWN:
                raise ValueError(f"{name} is not known")
        one = dict(query)
        limit, offset = _number(one, "limit", _LIMIT, 1), _number(one, "offset", 0, 0)
        limit = min(limit, _LIMIT_MOST)
        if offset + limit > _RECORDS_MOST:
            raise ValueError(f"Offset and limit together cannot exceed {_RECORDS_MOST}")
        found = self._filtered(query)
        for name, descending in reversed(_sorts(one.get("sort_by", "incident_number"))):
            found.sort(key=_SORTS[name], reverse=descending)
        page = [incident.as_json() for incident in found[offset : offset + limit]]
        more = len(found) > offset + limit
        total = len(found) if one.get("total") == "true" else None
        return Reply(200, {"incidents": page, "limit": limit, "offset": offset, "total": total, "more": more})

    def _filtered(self, query: Sequence[tuple[str, str]]) -> list[Incident]:
        one = dict(query)
        statuses = [value for name, value in query if name == "statuses[]"] or list(_STATUSES)
        wrong = [status for status in statuses if status not in _STATUSES]
        if wrong:
            raise ValueError(f"{wrong[0]} is no status")
        if one.get("date_range") not in (None, "all"):
            raise ValueError("date_range must be all")
        found = [incident for incident in self._incidents.all() if incident.status in statuses]
        if one.get("date_range") is None:
            since, until = self._range(one)
            found = [incident for incident in found if since <= incident.created_at < until]
        if one.get("incident_key"):
            found = [incident for incident in found if incident.key == one["incident_key"]]
        services = [value for name, value in query if name == "service_ids[]"]
        return found if not services or SERVICE["id"] in services else []

    def _range(self, one: Mapping[str, str]) -> tuple[float, float]:
        now = self._incidents.wall()
        since = seconds(one["since"]) if "since" in one else now - _MONTH
        until = seconds(one["until"]) if "until" in one else now + 86_400
        if since is None or until is None:
            raise ValueError("Invalid time values in 'since' and/or 'until' parameters")
        if not 0 <= until - since <= _HALF_YEAR:
            raise ValueError("Invalid Query Date Range")
        return since, until


def _number(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) >= least):
        raise ValueError(f"{name} must be a number from {least}")
    return int(text)


def _sorts(text: str) -> list[tuple[str, bool]]:
    parts = [part.partition(":") for part in text.split(",")]
    if len(parts) > 2 or any(name not in _SORTS or way not in ("", "asc", "desc") for name, _, way in parts):
        raise ValueError("sort_by is one or two of incident_number, created_at, resolved_at, each with :asc or :desc")
    return [(name, way == "desc") for name, _, way in parts]


def _error(status: int, code: int, message: str, *errors: str, headers: dict[str, str] | None = None) -> Reply:
    body = {"message": message, "code": code, **({"errors": list(errors)} if errors else {})}
    return Reply(status, {"error": body}, headers)
