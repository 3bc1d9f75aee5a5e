"""What people do on the page: log in and out, acknowledge, silence, send a test or what was parked. Each needs its token."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from notifier.dispatch import Dispatcher
from notifier.login import LASTS, Login, is_loopback
from notifier.model import Incident
from notifier.page_frame import Visitor
from notifier.page_login import login_page, not_possible, too_early
from notifier.page_trial import send_test
from notifier.site_answers import Refusal, form_of, guarded, headers, page
from notifier.store import Store
from notifier.words import one_line
from zads.config import Config, host_port

_LOG = logging.getLogger(__name__)
Result = TypeVar("Result")
# Where a log-in may lead: pages of ours, never another host ("//host", "/\\host").
_OURS = re.compile(
    r"/(?:incident/[0-9]{1,18}|refused/[0-9]{1,18}|history|statistics|runbook)?(?:\?[A-Za-z0-9_=&%+.,:-]{0,2000})?(?:#[a-z-]{0,40})?"
)
_NUMBER = re.compile(r"[0-9]{1,18}")
_NAME_MOST, _WHY_MOST = 60, 200
_HOURS = {"1": 1, "4": 4, "12": 12}
_WAITING_MOST = 8  # log-ins at once; each costs a fifth of a second
_TEST_EVERY = 20.0  # seconds between two test messages by one channel


def number_of(request: Request) -> int | None:
    """Return the number in an address; None for what is none, or one that no incident has."""
    text = str(request.path_params["number"])
    return int(text) if _NUMBER.fullmatch(text) else None


def ours(target: str) -> str:
    """Return where to go after the log-in: a page of ours."""
    return target if _OURS.fullmatch(target) else "/"


class Deeds:
    """The addresses that change something; `show` renders an incident's page, `overview` the first page, with words."""

    def __init__(self, config: Config, store: Store, dispatcher: Dispatcher, login: Login, show: Any, overview: Any) -> None:
        self._config, self._store, self._dispatcher, self._login = config, store, dispatcher, login
        self._show, self._overview = show, overview
        self._secure = config.notifier.external_url.startswith("https://")
        # The prefix makes browsers refuse a cookie of that name that a neighbour host or plain HTTP set.
        self._cookie = f"{'__Host-' if self._secure else ''}zads_session"
        self._visit = f"{'__Host-' if self._secure else ''}zads_visit"
        self._threads = CapacityLimiter(4)
        self._checking, self._waiting = CapacityLimiter(1), 0
        self._tested: dict[str, float] = {}

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/login", guarded(self._ask), methods=["GET"]),
            Route("/login", guarded(self._log_in), methods=["POST"]),
            Route("/logout", guarded(self._log_out), methods=["POST"]),
            Route("/incident/{number}/acknowledge", guarded(self._acknowledge), methods=["POST"]),
            Route("/incident/{number}/unacknowledge", guarded(self._unacknowledge), methods=["POST"]),
            Route("/incident/{number}/silence", guarded(self._silence), methods=["POST"]),
            Route("/channel/{name}/test", guarded(self._test), methods=["POST"]),
            Route("/replay", guarded(self._replay), methods=["POST"]),
        ]

    async def _run(self, work: Callable[..., Result], *values: Any) -> Result:
        return await run_sync(work, *values, limiter=self._threads)

    # -- who ---------------------------------------------------------------------------------------

    def session(self, request: Request) -> str | None:
        """Return the session that a request shows."""
        return request.cookies.get(self._cookie)

    def visitor(self, request: Request) -> Visitor:
        """Return who looks at a page; a page that renews itself keeps nobody logged in."""
        session = self.session(request)
        may = self._login.valid(session, used="renewed" not in request.query_params)
        here = request.url.path + (
            f"?{request.url.query}" if request.url.path in ("/history", "/statistics") and request.url.query else ""
        )
        token = self._login.form_token(session) if may else ""
        return Visitor(may, self._login.possible, self._login.name(session), token, here)

    async def _allowed(self, request: Request) -> tuple[dict[str, str], str]:
        """Return the form of who may act, and her name.

        Raises Refusal.
        """
        self._from_here(request)
        form, session = await form_of(request), self.session(request)
        if not self._login.valid(session):
            raise Refusal(403, "log in first: what you did was not done")
        if not self._login.form_valid(session, form.get("token", "")):
            raise Refusal(403, "this form is of another log-in: go back, load the page anew and try again")
        name = self._login.name(session) or one_line(form.get("by", ""))[:_NAME_MOST]
        return form, name or "somebody"

    def _from_here(self, request: Request) -> None:
        """Refuse a form that another site sent, also one that has made its name mean our address.

        Raises Refusal.
        """
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        ours_too = urlsplit(self._config.notifier.external_url)
        try:
            if origin is not None and urlsplit(origin).netloc not in {host, ours_too.netloc}:
                raise Refusal(403, "this form comes from another site")
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            raise Refusal(400, "the header Host or Origin cannot be understood") from None
        known = {ours_too.hostname, host_port(self._config.notifier.listen)[0]}
        if self._login.open and name not in known and not is_loopback(name):
            raise Refusal(403, "this page is not known by that name: notifier.external_url")

    # -- log in, log out -----------------------------------------------------------------------------

    async def _ask(self, request: Request) -> Response:
        return self._login_page(request, ours(request.query_params.get("next", "/")))

    def _login_page(self, request: Request, target: str, words: str = "", name: str = "", *, status: int = 200) -> Response:
        visit = request.cookies.get(self._visit) or secrets.token_urlsafe(16)
        visitor = Visitor(False, False, "", self._login.form_token(f"visit:{visit}"), "/login")
        if not self._login.possible:
            return page(not_possible(visitor), status)
        answer = page(login_page(visitor, target, words=words, name=name), status)
        answer.set_cookie(self._visit, visit, httponly=True, samesite="strict", secure=self._secure)
        return answer

    async def _log_in(self, request: Request) -> Response:
        self._from_here(request)
        form = await form_of(request)
        target, name = ours(form.get("next", "/")), one_line(form.get("name", ""))[:_NAME_MOST]
        visit = request.cookies.get(self._visit)
        if not self._login.possible:
            return self._login_page(request, target, status=403)
        if not visit or not self._login.form_valid(f"visit:{visit}", form.get("token", "")):
            return self._login_page(request, target, "The form was too old: try again.", name, status=403)
        address = request.client.host if request.client else ""
        wait = self._login.wait(address)
        if wait or self._waiting >= _WAITING_MOST:
            answer = self._login_page(request, target, too_early(wait), name, status=429)
            answer.headers["Retry-After"] = str(max(1, round(wait)))
            return answer
        self._waiting += 1
        try:
            session = await run_sync(
                self._login.try_password, form.get("password", ""), address, name or "somebody", limiter=self._checking
            )
        finally:
            self._waiting -= 1
        if session is None:
            _LOG.warning("somebody at %s gave a wrong password for the page", address)
            return self._login_page(request, target, "That was not the password.", name, status=403)
        _LOG.info("%s logged in to the page from %s", name or "somebody", address)
        answer = RedirectResponse(target, 303, headers=headers())
        answer.set_cookie(self._cookie, session, httponly=True, samesite="strict", secure=self._secure, max_age=int(LASTS))
        answer.delete_cookie(self._visit, secure=self._secure)
        return answer

    async def _log_out(self, request: Request) -> Response:
        await self._allowed(request)
        self._login.log_out(self.session(request))
        answer = RedirectResponse("/", 303, headers=headers())
        answer.delete_cookie(self._cookie, secure=self._secure)
        return answer

    # -- incidents -----------------------------------------------------------------------------------

    async def _incident(self, request: Request) -> Incident:
        number = number_of(request)
        incident = await self._run(self._store.incident, number) if number is not None else None
        if incident is None:
            raise Refusal(404, "there is no such incident")
        return incident

    async def _acknowledge(self, request: Request) -> Response:
        form, by = await self._allowed(request)
        incident = await self._incident(request)
        self._dispatcher.wake(await self._run(self._store.acknowledge, incident.id, by))
        return RedirectResponse(
            "/" if form.get("back") == "overview" else f"/incident/{incident.id}", 303, headers=headers()
        )

    async def _unacknowledge(self, request: Request) -> Response:
        _, by = await self._allowed(request)
        incident = await self._incident(request)
        self._dispatcher.wake(await self._run(self._store.unacknowledge, incident.id, f"acknowledgement taken back by {by}"))
        return RedirectResponse(f"/incident/{incident.id}", 303, headers=headers())

    async def _silence(self, request: Request) -> Response:
        form, by = await self._allowed(request)
        incident = await self._incident(request)
        hours, start = _HOURS.get(form.get("hours", ""), 1), datetime.now(UTC)
        body = {
            "matchers": [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in incident.labels.items()],
            "startsAt": start.isoformat(),
            "endsAt": (start + timedelta(hours=hours)).isoformat(),
            "createdBy": by,
            "comment": one_line(form.get("why", ""))[:_WHY_MOST] or "no reason given",
        }
        try:
            await self._run(_post, f"http://{self._config.alertmanager.address}/api/v2/silences", body)
        except requests.RequestException as error:
            words = f"Alertmanager did not take the silence: {type(error).__name__}. Nothing was silenced."
            return await self._said(request, incident, words, bad=True)
        return await self._said(request, incident, f"Silenced for {hours} h.", bad=False)

    async def _said(self, request: Request, incident: Incident, words: str, *, bad: bool) -> Response:
        answer: Response = await self._show(request, incident.id, words, bad=bad)
        return answer

    # -- channels --------------------------------------------------------------------------------------

    async def _test(self, request: Request) -> Response:
        _, by = await self._allowed(request)
        name = request.path_params["name"]
        channel = self._dispatcher.channels.get(name)
        if channel is None:
            raise Refusal(404, "there is no such channel")
        left = self._tested.get(name, -_TEST_EVERY) + _TEST_EVERY - time.monotonic()
        if left > 0:
            raise Refusal(
                429, f"a test message has just been sent: wait {left:.0f} s", {"Retry-After": f"{max(1, round(left))}"}
            )
        self._tested[name] = time.monotonic()
        _LOG.info("%s sends a test message by %s", by, name)
        arrived, words = await self._run(send_test, channel, self._dispatcher.renderer)
        answer: Response = await self._overview(request, words, bad=not arrived)
        return answer

    async def _replay(self, request: Request) -> Response:
        _, by = await self._allowed(request)
        count = await self._run(self._store.replay)
        _LOG.info("%s queued %d parked messages again", by, count)
        self._dispatcher.wake(self._dispatcher.channels)
        words = (
            f"{count:,} parked {'message is' if count == 1 else 'messages are'} queued again."
            if count
            else "Nothing was parked."
        )
        answer: Response = await self._overview(request, words, bad=False)
        return answer


def _post(url: str, body: dict[str, Any]) -> None:
    requests.post(url, json=body, timeout=5).raise_for_status()
