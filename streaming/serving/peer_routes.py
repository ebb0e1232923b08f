"""What the processes of a server ask each other, and what they say together."""

from __future__ import annotations

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streaming.operations.http import METRICS_TYPE, describe
from streaming.serving.peers import Peers, merged_metrics
from streaming.serving.service import ScoringService

METRICS, MODEL, RELOAD = "/metrics", "/model", "/reload"


def peer_app(service: ScoringService) -> Starlette:
    """Return what a process answers the others."""

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.text(), media_type=METRICS_TYPE)

    async def model(_: Request) -> Response:
        return JSONResponse(own_model(service))

    async def reload(_: Request) -> Response:
        service.wake()
        return JSONResponse({}, 202)

    return Starlette(
        routes=[Route(METRICS, metrics), Route(MODEL, model), Route(RELOAD, reload, methods=["POST"])],
    )


def own_model(service: ScoringService) -> dict[str, object] | None:
    """Return what this process serves, as ``/v1/model`` has it; ``None`` before the first version."""
    served = service.slot.current()
    return None if served is None else describe(served, service.slot)


async def all_versions(service: ScoringService, peers: Peers) -> dict[str, int | None]:
    """Return the version that each process serves, by the process's number."""
    described: dict[int, Any] = {peers.number: own_model(service)}
    described |= {number: json.loads(answer) for number, answer in (await peers.ask("GET", MODEL)).items()}
    return {str(number): (model or {}).get("version") for number, model in sorted(described.items())}


async def all_metrics(service: ScoringService, peers: Peers) -> bytes:
    """Return the metrics of all processes, each series with the label ``process``."""
    answers = await peers.ask("GET", METRICS)
    return merged_metrics({peers.number: service.metrics.text()} | answers)
