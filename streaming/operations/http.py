"""The job's HTTP endpoint: metrics, health, the serving version, an operator's verbs, the door of MLflow's webhooks."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from streaming.errors import SetupError
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.admin import Access, Controls, add_admin_routes
from streaming.operations.bounds import BoundedProtocol, read_body
from streaming.operations.health import Health
from streaming.operations.metrics import Metrics
from streaming.operations.probes import READ, probed_app
from streaming.operations.rollout_view import RolloutView
from streaming.operations.webhook import MAX_BODY_BYTES, WebhookReceiver

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_START_SECONDS = 10.0
_BACKLOG = 128
"""Connections that wait to be taken."""
_PORT_PROBLEMS = {
    errno.EADDRINUSE: "port to another port, or to 0 for a free one",
    errno.EACCES: "port to one that this user may take, above 1023",
}


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
    app = probed_app(operations.metrics.text, operations.health)

    @app.api_route("/v1/model", methods=READ)
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
    others = served.row_pass.others if served.row_pass else ()
    models = [{"name": other.name, "version": other.version, "run_id": other.run_id} for other in others]
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
        **({"models": models} if models else {}),
    }


def _add_webhook(app: FastAPI, receiver: WebhookReceiver) -> None:
    @app.post("/webhooks/mlflow")
    async def mlflow(request: Request) -> JSONResponse:
        reply = receiver.receive(request.headers, await read_body(request, MAX_BODY_BYTES))
        return JSONResponse({"detail": reply.detail}, reply.status)


@dataclass(frozen=True)
class Listening:
    """How a server listens beside its address.

    Attributes:
        section: the section of the settings that has host and port.
        graceful_seconds: for what is being answered when the server stops.
        certificate: the files of a certificate chain and its key, PEM; with them the server speaks TLS alone.
        shared: other processes of the same user may listen there, too, and each gets some of the connections.
        unix_socket: where to listen in the place of host and port.
        prefix: with which the names of host and port begin in that section.
    """

    section: str = "http"
    graceful_seconds: int = 2
    certificate: tuple[Path, Path] | None = None
    shared: bool = False
    unix_socket: Path | None = None
    prefix: str = ""


class HttpServer:
    """Serves an application from a thread of its own between :meth:`start` and :meth:`stop`."""

    def __init__(self, app: ASGIApp, host: str, port: int, listening: Listening = Listening()) -> None:
        """Take the port at once, so that a port in use is known before anything else starts.

        Raises:
            SetupError: the address cannot be taken.
        """
        self._socket = _bound(host, port, listening)
        self.port: int = port if listening.unix_socket else self._socket.getsockname()[1]
        self._seconds = listening.graceful_seconds
        scheme = "https" if listening.certificate else "http"
        address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"
        self.url = f"unix:{listening.unix_socket}" if listening.unix_socket else address
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
    _bound(host, port, Listening()).close()


def _files(certificate: tuple[Path, Path] | None) -> dict[str, Any]:
    return {} if certificate is None else dict(zip(("ssl_certfile", "ssl_keyfile"), certificate, strict=True))


def reserved(host: str, port: int, listening: Listening) -> socket.socket:
    """Return a socket that has an address and does not listen there, as long as others that share it do.

    Raises:
        SetupError: the address cannot be taken.
    """
    return _bound(host, port, listening, listens=False)


def _bound(host: str, port: int, listening: Listening, *, listens: bool = True) -> socket.socket:
    family = socket.AF_UNIX if listening.unix_socket else socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off; else each answer on a kept connection takes 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, 0 if listening.unix_socket else socket.IPPROTO_TCP)
    try:
        if listening.unix_socket:
            # A process that was killed has left its own behind.
            listening.unix_socket.unlink(missing_ok=True)
            listener.bind(str(listening.unix_socket))
        else:
            # Without it a restart would have to wait for the old connections to time out.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listening.shared:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listener.bind((host, port))
        if listens:
            listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        remedy = _PORT_PROBLEMS.get(problem.errno or 0, "host to an address of this machine")
        raise SetupError(
            f"{listening.unix_socket or f'{host}:{port}'} cannot be taken for the HTTP endpoint"
            f" ({problem.strerror or problem}); set {listening.section}.{listening.prefix}{remedy}"
        ) from problem
    return listener


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not done() and time.monotonic() < deadline:
        time.sleep(0.01)
