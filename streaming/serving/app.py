"""The routes put together as an ASGI application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler, Receive, Scope, Send

from streaming.serving.front import Front
from streaming.serving.intake import JSON
from streaming.serving.looked_up import event_signature
from streaming.serving.openapi import openapi
from streaming.serving.problems import ProblemError, on_failure, on_http_exception, on_problem
from streaming.serving.routes import ROUTES, ServedRoute
from streaming.serving.service import ScoringService

Endpoint = Callable[[Request], Awaitable[Response]]


async def document(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Return the OpenAPI document, with the event that the serving version reads."""
    model = service.slot.current()
    made = openapi((*ROUTES, DOCUMENT), event_signature(model) if model else None, service.envelope)
    return Response(json.dumps(made), media_type=JSON)


HANDLERS: Mapping[Any, ExceptionHandler] = {
    HTTPException: on_http_exception,
    ProblemError: on_problem,
    Exception: on_failure,
}
DOCUMENT = ServedRoute(
    method="GET",
    path="/openapi.json",
    handler=document,
    summary="Describe everything that there is to ask for.",
    problems=(401, 403, 429),
    answer={"type": "object"},
)


def serving_app(service: ScoringService) -> Front:
    """Return the application, not yet served."""
    served = [(route, _endpoint(service, route)) for route in (*ROUTES, DOCUMENT)]
    routes = [
        Route(route.path, endpoint, methods=[route.method], include_in_schema=False) for route, endpoint in served
    ]
    return Front(
        app=Starlette(routes=routes, exception_handlers=HANDLERS),
        direct={(route.method, route.path): _Direct(endpoint) for route, endpoint in served if "{" not in route.path},
        admission=service.admission,
        metrics=service.metrics,
        readiness=service.readiness,
        audits=service.audits,
        patterns={endpoint: route.path for route, endpoint in served},
    )


@dataclass(frozen=True)
class _Direct:
    """A route without the search for it, and without Starlette's layers around it, which take longer than an event."""

    endpoint: Endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["endpoint"] = self.endpoint
        request = Request(scope, receive)
        try:
            response = await self.endpoint(request)
        except ProblemError as problem:
            response = problem.response()
        except Exception as problem:
            await on_failure(request, problem)(scope, receive, send)
            raise
        await response(scope, receive, send)


def _endpoint(service: ScoringService, route: ServedRoute) -> Endpoint:
    endpoint: Endpoint = partial(route.handler, service)
    return endpoint
