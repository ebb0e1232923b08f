"""What every request passes: its id, the callers' keys, and the numbers about it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streaming.serving.keys import ApiKeys
from streaming.serving.problems import ProblemError
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.service import Readiness

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REQUEST_ID = "x-request-id"
RELOAD = "/model/reload"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OPEN_PATHS = frozenset({"/health", "/ready", "/metrics", "/ping", "/version", "/v2/health/live", "/v2/health/ready"})
"""Probes and monitors bring no key."""

_WITHOUT_KEY = OPEN_PATHS | {RELOAD}


@dataclass
class Front:
    """ASGI middleware around the routes.

    Attributes:
        app: all routes, and the answers to what is none.
        direct: what answers a method and path without the way through ``app``.
        patterns: the path of each endpoint, for the metrics.
    """

    app: ASGIApp
    direct: Mapping[tuple[str, str], ASGIApp]
    keys: ApiKeys
    metrics: ServerMetrics
    patterns: Mapping[object, str]
    readiness: Readiness

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(send, _request_id(headers.get(REQUEST_ID, "")), self.readiness.draining)
        began = time.perf_counter()
        self.metrics.request_began()
        try:
            refusal = self._refusal(scope, headers)
            app = self.direct.get((scope["method"], scope["path"]), self.app)
            await (app if refusal is None else refusal.response())(scope, receive, exchange.send_on)
        except Exception:
            # The caller has the answer of :func:`streaming.serving.problems.on_failure`, and its request id.
            _log.exception("request failed unexpectedly", request_id=exchange.request_id, path=scope["path"])
        finally:
            # By patterns alone: whoever asks for paths at random must not make a series of each.
            route = self.patterns.get(scope.get("endpoint"), "other")
            self.metrics.request_ended(route, exchange.status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, headers: Headers) -> ProblemError | None:
        if self.keys.hashes and scope["path"] not in _WITHOUT_KEY and not self.keys.admits(headers):
            challenge = {"WWW-Authenticate": "Bearer"}
            detail = "send a key as Authorization: Bearer or X-API-Key; the server's operator gives them out"
            return ProblemError(401, "unauthorized", detail, headers=challenge)
        return None


@dataclass
class _Exchange:
    """One request's way back."""

    send: Send
    request_id: str
    is_last: bool
    status: int = 0

    async def send_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (REQUEST_ID.encode(), self.request_id.encode())]
            if self.is_last:
                # Who keeps a connection would else send on it just when the server closes it.
                message["headers"].append((b"connection", b"close"))
        await self.send(message)


def _request_id(sent: str) -> str:
    """Return the caller's id where it is one that can be logged and sent back, else a new one."""
    return sent if _ID.fullmatch(sent) else uuid4().hex
