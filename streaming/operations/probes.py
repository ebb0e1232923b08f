"""Metrics and health over HTTP, which every process of Penstock that has an endpoint answers alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse

from streaming.operations.health import HealthVerdict
from streaming.operations.redacted import RedactedAnswers
from streaming.version import __version__

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READ = ["GET", "HEAD"]
"""Load balancers and monitors probe with either."""


class ProbedHealth(Protocol):
    """What a process says of itself."""

    def live(self) -> HealthVerdict:
        """Answer ``/livez``: wrong only where a new process is the remedy."""
        ...

    def ready(self) -> HealthVerdict:
        """Answer ``/readyz``: whether the process does what it is there for."""
        ...


def probed_app(metrics: Callable[[], bytes], health: ProbedHealth) -> FastAPI:
    """Return an application that answers ``/metrics``, ``/livez`` and ``/readyz``, not yet served."""
    # No documentation pages: they load scripts from other hosts.
    app = FastAPI(title="Penstock", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(RedactedAnswers)

    @app.api_route("/metrics", methods=READ)
    def answer_metrics() -> Response:
        return Response(metrics(), media_type=METRICS_TYPE)

    @app.api_route("/livez", methods=READ)
    def livez() -> JSONResponse:
        return _answer(health.live())

    @app.api_route("/readyz", methods=READ)
    def readyz() -> JSONResponse:
        return _answer(health.ready())

    return app


def _answer(verdict: HealthVerdict) -> JSONResponse:
    notes = {"notes": list(verdict.notes)} if verdict.notes else {}
    return JSONResponse({"ok": verdict.ok, "reasons": list(verdict.reasons), **notes}, 200 if verdict.ok else 503)
