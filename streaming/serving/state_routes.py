"""What the server says of itself, and the one thing that it can be asked to do: to look at the registry now."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from streaming.operations.health import HealthVerdict
from streaming.operations.http import describe
from streaming.operations.probes import METRICS_TYPE
from streaming.redaction import redact_tree
from streaming.serving.arms import model_headers
from streaming.serving.peer_routes import RELOAD, all_metrics, all_versions
from streaming.serving.problems import ProblemError
from streaming.serving.service import ScoringService


async def health(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Say that the process answers, and how what runs beside it fares.

    Whether it should get requests is :func:`ready`'s to say: what nobody waits for is no reason to send them elsewhere.
    """
    beside = {
        "log": service.log,
        "rollout": service.rollout,
        "shadow": service.shadow,
        "lookup": service.table,
        "fallback": service.chain,
    }
    standings = {name: redact_tree(part.standing()) for name, part in beside.items() if part is not None}
    return JSONResponse({"ok": True, "reasons": [], **standings})


async def ready(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Say whether a version serves and the server goes on."""
    verdict: HealthVerdict = service.readiness.verdict()
    return JSONResponse({"ok": verdict.ok, "reasons": list(verdict.reasons)}, 200 if verdict.ok else 503)


async def model(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Describe the version that serves."""
    served = service.current()
    described = redact_tree(describe(served, service.slot))
    rollout = None if service.rollout is None else service.rollout.latest()
    if rollout is not None:
        described["rollout"] = redact_tree(rollout)
    if service.peers is not None:
        described["processes"] = await all_versions(service, service.peers)
    return Response(json.dumps(described), headers=model_headers(served), media_type="application/json")


async def metrics(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Return all numbers in Prometheus' text format."""
    text = service.metrics.text() if service.peers is None else await all_metrics(service, service.peers)
    return Response(text, media_type=METRICS_TYPE)


async def reload(service: ScoringService, request: Request) -> Response:
    """Let the follower ask the registry now. The answer does not wait for what it finds."""
    if not service.access.possible:
        raise ProblemError(404, "not-found", "set http.admin_token to ask for this on a host that is not loopback")
    refused = service.access.refusal(request.headers)
    if refused is not None:
        kind = "unauthorized" if refused.status_code == 401 else "forbidden"
        detail = json.loads(bytes(refused.body))["detail"]
        challenge = {"WWW-Authenticate": "Bearer"} if kind == "unauthorized" else None
        raise ProblemError(refused.status_code, kind, detail, headers=challenge)
    service.wake()
    if service.peers is not None:
        await service.peers.ask("POST", RELOAD)
    return JSONResponse({"detail": "the registry is asked now; /v1/model says what serves"}, 202)
