"""A provider that is away, on demand: `zads sim refuse slack`. Over HTTP it answers 503, by SMTP 421."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PROVIDERS = ("email", "slack", "pagerduty", "webhook")
Away = Callable[[str], bool]


def nobody(_name: str) -> bool:
    """Tell that no provider is away."""
    return False


class AwayOverHttp:
    """Answer 503 for the paths of providers that are away; what a person does at PagerDuty's page stays possible."""

    def __init__(self, app: ASGIApp, away: Away) -> None:
        self._app, self._away = app, away

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        provider = path.split("/")[1] if scope["type"] == "http" and path.startswith("/") else ""
        if provider in PROVIDERS and path != "/pagerduty/person" and self._away(provider):
            await PlainTextResponse("upstream connect error or disconnect/reset before headers", 503)(scope, receive, send)
            return
        await self._app(scope, receive, send)
