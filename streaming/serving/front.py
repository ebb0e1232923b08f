"""What every request passes: its id, who may ask, and the numbers about it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streaming.serving.admission import Admission
from streaming.serving.problems import ProblemError
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.service import Readiness

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REQUEST_ID = "x-request-id"
RELOAD = "/model/reload"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
OPEN_PATHS = frozenset({"/health", "/ready", "/metrics", "/ping", "/version", "/v2/health/live", "/v2/health/ready"})
"""Probes and monitors bring no key."""


@dataclass
class Front:
    """ASGI middleware around the routes.

    Attributes:
        app: all routes, and the answers to what is none.
        direct: what answers a method and path without the way through ``app``.
        admission: says who may ask.
        patterns: the path of each endpoint, for the metrics.
        audits: each request is logged with its caller, but those of probes.
    """

    app: ASGIApp
    direct: Mapping[tuple[str, str], ASGIApp]
    admission: Admission
    metrics: ServerMetrics
    patterns: Mapping[object, str]
    readiness: Readiness
    audits: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(send, _request_id(headers.get(REQUEST_ID, "")), self.readiness.draining)
        began = time.perf_counter()
        self.metrics.request_began()
        is_probe, caller = scope["path"] in OPEN_PATHS, ""
        try:
            app = self.direct.get((scope["method"], scope["path"]), self.app)
            # To look at the registry takes another right, which its route asks for.
            if not is_probe and scope["path"] != RELOAD:
                caller = self.admission.admit(headers, _address(scope))
            await app(scope, receive, exchange.send_on)
        except ProblemError as refusal:
            await refusal.response()(scope, receive, exchange.send_on)
        except Exception:
            # The caller has the answer of :func:`streaming.serving.problems.on_failure`, and its request id.
            _log.exception("request failed unexpectedly", request_id=exchange.request_id, path=scope["path"])
        finally:
            # By patterns alone: whoever asks for paths at random must not make a series of each.
            route = self.patterns.get(scope.get("endpoint"), "other")
            self.metrics.request_ended(route, exchange.status, time.perf_counter() - began)
            if self.audits and not is_probe:
                _audit(scope, exchange, caller or _address(scope), route)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"


def _audit(scope: Scope, exchange: _Exchange, caller: str, route: str) -> None:
    _log.info(
        "request",
        caller=caller,
        method=scope["method"],
        route=route,
        status=exchange.status,
        request_id=exchange.request_id,
    )


@dataclass
class _Exchange:
    """One request, from its start to the last byte of its answer."""

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
