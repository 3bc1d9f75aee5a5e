"""Prometheus and Alertmanager as far as the notifier asks them, on a port of their own; a test says what they see."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


class Monitoring:
    """Answers as documented: /-/ready, runtimeinfo, /api/v1/alerts and /query; /api/v2/alerts and /silences."""

    def __init__(self) -> None:
        self.ready = True
        self.started = 0.0
        self.firing: list[dict[str, str]] = []
        self.known: list[str] = []  # fingerprints that Alertmanager holds
        self.facts: dict[str, float] = {}
        self.silences: list[Any] = []
        self.queries: list[str] = []

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/-/ready", self._ready),
                Route("/api/v1/status/runtimeinfo", self._runtime),
                Route("/api/v1/alerts", self._alerts),
                Route("/api/v1/query", self._query),
                Route("/api/v2/alerts", self._held),
                Route("/api/v2/silences", self._silence, methods=["POST"]),
            ]
        )

    async def _ready(self, _request: Request) -> Response:
        return PlainTextResponse("ready" if self.ready else "starting", 200 if self.ready else 503)

    async def _runtime(self, _request: Request) -> Response:
        text = datetime.fromtimestamp(self.started, UTC).isoformat().replace("+00:00", "Z")
        return JSONResponse({"status": "success", "data": {"startTime": text}})

    async def _alerts(self, _request: Request) -> Response:
        alerts = [{"labels": labels, "state": "firing"} for labels in self.firing]
        return JSONResponse({"status": "success", "data": {"alerts": alerts}})

    async def _query(self, request: Request) -> Response:
        self.queries.append(request.query_params["query"])
        rows = [{"metric": {"fact": name}, "value": [0, str(value)]} for name, value in self.facts.items()]
        return JSONResponse({"status": "success", "data": {"resultType": "vector", "result": rows}})

    async def _held(self, _request: Request) -> Response:
        return JSONResponse([{"fingerprint": fingerprint} for fingerprint in self.known])

    async def _silence(self, request: Request) -> Response:
        self.silences.append(await request.json())
        return JSONResponse({"silenceID": "1"})
