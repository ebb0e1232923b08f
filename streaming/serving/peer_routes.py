"""What the processes of a server ask each other, and what they say together."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from streaming.operations.probes import METRICS_TYPE
from streaming.serving.peers import Peers, merged_metrics
from streaming.serving.service import ScoringService

METRICS, MODEL, RELOAD = "/metrics", "/model", "/reload"


def peer_app(service: ScoringService) -> Starlette:
    """Return what a process answers the others."""

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.text(), media_type=METRICS_TYPE)

    async def model(_: Request) -> Response:
        return JSONResponse(own_version(service))

    async def reload(_: Request) -> Response:
        service.wake()
        return JSONResponse({}, 202)

    return Starlette(
        routes=[Route(METRICS, metrics), Route(MODEL, model), Route(RELOAD, reload, methods=["POST"])],
    )


def own_version(service: ScoringService) -> int | None:
    """Return the version that this process serves; ``None`` before the first."""
    served = service.slot.current()
    return None if served is None else served.version.version


async def all_versions(service: ScoringService, peers: Peers) -> dict[str, int | None]:
    """Return the version that each process serves, by the process's number."""
    versions: dict[int, int | None] = {peers.number: own_version(service)}
    versions |= {number: json.loads(answer) for number, answer in (await peers.ask("GET", MODEL)).items()}
    return {str(number): version for number, version in sorted(versions.items())}


async def all_metrics(service: ScoringService, peers: Peers) -> bytes:
    """Return the metrics of all processes, each series with the label ``process``."""
    answers = await peers.ask("GET", METRICS)
    return merged_metrics({peers.number: service.metrics.text()} | answers)
