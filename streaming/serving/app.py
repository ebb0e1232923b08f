"""The routes put together as an ASGI application."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ExceptionHandler

from streaming.serving.front import Front
from streaming.serving.intake import JSON
from streaming.serving.openapi import openapi
from streaming.serving.problems import ProblemError, on_failure, on_http_exception, on_problem
from streaming.serving.routes import ROUTES, ServedRoute
from streaming.serving.service import ScoringService


async def document(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Return the OpenAPI document, with the event that the serving version reads."""
    model = service.slot.current()
    made = openapi((*ROUTES, DOCUMENT), model.package.signature if model else None, service.envelope)
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
    problems=(401,),
    answer={"type": "object"},
)


def serving_app(service: ScoringService) -> Front:
    """Return the application, not yet served."""
    routes = [
        Route(route.path, _endpoint(service, route), methods=[route.method], include_in_schema=False)
        for route in (*ROUTES, DOCUMENT)
    ]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    return Front(
        app=app,
        keys=service.keys,
        metrics=service.metrics,
        max_in_flight=service.max_in_flight,
        readiness=service.readiness,
        patterns={route.endpoint: route.path for route in routes},
    )


def _endpoint(service: ScoringService, route: ServedRoute) -> Callable[[Request], Awaitable[Response]]:
    endpoint: Callable[[Request], Awaitable[Response]] = partial(route.handler, service)
    return endpoint
