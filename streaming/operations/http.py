"""The job's HTTP endpoint: metrics, health, the serving version, an operator's verbs, the door of MLflow's webhooks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from streaming.errors import SetupError
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.admin import Access, Controls, add_admin_routes
from streaming.operations.bounds import BoundedProtocol, read_body
from streaming.operations.health import Health, HealthVerdict
from streaming.operations.metrics import Metrics
from streaming.operations.redacted import RedactedAnswers
from streaming.operations.rollout_view import RolloutView
from streaming.operations.webhook import MAX_BODY_BYTES, WebhookReceiver
from streaming.version import __version__

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_START_SECONDS = 10.0
_READ = ["GET", "HEAD"]
"""Load balancers and monitors probe with either."""


@dataclass(frozen=True)
class Operations:
    """What the endpoint shows and does; without ``webhook`` that door is not there, without ``admin`` those verbs."""

    metrics: Metrics
    health: Health
    slot: Slot
    webhook: WebhookReceiver | None = None
    admin: tuple[Controls, Access] | None = None
    rollout: RolloutView = field(default_factory=RolloutView)


def create_app(operations: Operations) -> FastAPI:
    """Return the application, not yet served."""
    # No documentation pages: they load scripts from other hosts.
    app = FastAPI(title="Penstock", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(RedactedAnswers)

    @app.api_route("/metrics", methods=_READ)
    def metrics() -> Response:
        return Response(operations.metrics.text(), media_type=METRICS_TYPE)

    @app.api_route("/livez", methods=_READ)
    def livez() -> JSONResponse:
        return _answer(operations.health.live())

    @app.api_route("/readyz", methods=_READ)
    def readyz() -> JSONResponse:
        return _answer(operations.health.ready())

    @app.api_route("/v1/model", methods=_READ)
    def model() -> JSONResponse:
        served = operations.slot.current()
        if served is None:
            return JSONResponse({"detail": "no model version is loaded yet"}, 503)
        rollout = operations.rollout.latest()
        return JSONResponse({**describe(served, operations.slot), **({"rollout": rollout} if rollout else {})})

    if operations.webhook is not None:
        _add_webhook(app, operations.webhook)
    if operations.admin is not None:
        add_admin_routes(app, *operations.admin)
    return app


def describe(served: ServedModel, slot: Slot) -> dict[str, object]:
    """Return what ``/v1/model`` says."""
    version, package, good = served.version, served.package, slot.last_good()
    return {
        "name": version.name,
        "version": version.version,
        "run_id": version.run_id,
        "digest": package.digest,
        "pyspark_version": package.pyspark_version,
        "columns": [{"name": c.name, "type": c.kind, "required": c.required} for c in package.signature.columns],
        "scorer": {"kind": served.choice.kind, "why": served.choice.why},
        "golden_rows": len(package.golden.rows) if package.golden else 0,
        "last_good_version": good.version.version if good else None,
        "held_versions": sorted(key.version for key in slot.held if key.name == version.name),
    }


def _add_webhook(app: FastAPI, receiver: WebhookReceiver) -> None:
    @app.post("/webhooks/mlflow")
    async def mlflow(request: Request) -> JSONResponse:
        reply = receiver.receive(request.headers, await read_body(request, MAX_BODY_BYTES))
        return JSONResponse({"detail": reply.detail}, reply.status)


def _answer(verdict: HealthVerdict) -> JSONResponse:
    notes = {"notes": list(verdict.notes)} if verdict.notes else {}
    return JSONResponse({"ok": verdict.ok, "reasons": list(verdict.reasons), **notes}, 200 if verdict.ok else 503)


@dataclass(frozen=True)
class Listening:
    """How a server listens beside its address.

    Attributes:
        section: the section of the settings that has host and port.
        graceful_seconds: for what is being answered when the server stops.
        certificate: the files of a certificate chain and its key, PEM; with them the server speaks TLS alone.
    """

    section: str = "http"
    graceful_seconds: int = 2
    certificate: tuple[Path, Path] | None = None


class HttpServer:
    """Serves an application from a thread of its own between :meth:`start` and :meth:`stop`."""

    def __init__(self, app: ASGIApp, host: str, port: int, listening: Listening = Listening()) -> None:
        """Take the port at once, so that a port in use is known before anything else starts.

        Raises:
            SetupError: the address cannot be taken.
        """
        self._socket = _listen(host, port, listening.section)
        self.port: int = self._socket.getsockname()[1]
        self._seconds = listening.graceful_seconds
        self.url = (
            f"{'https' if listening.certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"
        )
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            timeout_graceful_shutdown=listening.graceful_seconds,
            **_files(listening.certificate),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    def start(self) -> None:
        """Return when requests are answered.

        Raises:
            SetupError: the server did not come up.
        """
        self._thread.start()
        _wait(lambda: self._server.started or not self._thread.is_alive())
        if not self._server.started:
            raise SetupError(f"the HTTP endpoint {self.url} did not start; the log says why")
        _log.info("http endpoint listens", url=self.url)

    def stop(self) -> None:
        """Finish what is being answered and give the port back; harmless if it never started."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(self._seconds + _START_SECONDS)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])


def require_free(host: str, port: int) -> None:
    """Raise ``SetupError`` if the address cannot be taken; to be asked before what takes long is started."""
    _listen(host, port, "http").close()


def _files(certificate: tuple[Path, Path] | None) -> dict[str, Any]:
    return {} if certificate is None else dict(zip(("ssl_certfile", "ssl_keyfile"), certificate, strict=True))


def _listen(host: str, port: int, section: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    # Without it a restart would have to wait for the old connections to time out.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as problem:
        listener.close()
        raise SetupError(
            f"{host}:{port} cannot be taken for the HTTP endpoint ({problem.strerror or problem});"
            f" set {section}.port to another port, or to 0 for a free one"
        ) from problem
    return listener


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
