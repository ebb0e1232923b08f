"""The Open Inference Protocol (v2), for clients and load balancers that speak it already."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from streaming.models.served import ServedModel
from streaming.serving.arms import model_headers
from streaming.serving.inference_payloads import (
    DATATYPES,
    inference_request,
    output_tensors,
    tensor_events,
    unfit,
)
from streaming.serving.intake import JSON
from streaming.serving.looked_up import request_signature, standings_of
from streaming.serving.problems import ProblemError
from streaming.serving.service import ScoringService
from streaming.version import __version__


async def server_metadata(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Name the server."""
    return JSONResponse({"name": "penstock", "version": __version__, "extensions": []})


async def server_live(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Say that the process answers."""
    return JSONResponse({"live": True})


async def server_ready(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Say whether requests should come."""
    is_ready = service.readiness.verdict().ok
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


async def model_metadata(service: ScoringService, request: Request) -> Response:
    """Describe the tensors of the version that serves."""
    model = _asked_for(service, request)
    version, columns = model.version, model.package.signature.columns
    inputs = [
        {"name": c.name, "datatype": DATATYPES[c.type], "shape": [-1, c.length] if c.is_list else [-1]} for c in columns
    ]
    described: dict[str, Any] = {
        "name": version.name,
        "versions": [str(version.version)],
        "platform": f"penstock_{model.choice.kind}",
        "inputs": inputs,
        "outputs": [{"name": "prediction", "datatype": "FP64", "shape": [-1]}],
    }
    return JSONResponse(described, headers=model_headers(model))


async def model_ready(service: ScoringService, request: Request) -> Response:
    """Say that the model serves; for another model the answer is 404."""
    version = _asked_for(service, request).version
    return JSONResponse({"name": version.name, "ready": True})


async def infer(service: ScoringService, request: Request) -> Response:
    """Answer columns with tensors; one row that is rejected fails the request."""
    _asked_for(service, request)
    async with service.intake.body(request) as body:
        asked = inference_request(body)
        events = tensor_events(asked, request_signature(service.current()))
        service.intake.check_rows(len(events))
        if not events:
            raise unfit("the inputs have no rows")
        scored = await service.score_rows(events)
    # The version may have been swapped since the request came.
    _check(scored.model, request)
    outputs = [output.name for output in asked.outputs] if asked.outputs else None
    version = scored.model.version
    answer = {
        "model_name": version.name,
        "model_version": str(version.version),
        **({"id": asked.id} if asked.id else {}),
        "outputs": output_tensors([answer.value for answer in scored.answers], outputs),
    }
    headers = {**model_headers(scored.model), **standings_of(row.looked_up for row in scored.answers)}
    return Response(msgspec.json.encode(answer), headers=headers, media_type=JSON)


def _asked_for(service: ScoringService, request: Request) -> ServedModel:
    """Return the version that serves; raises ``ProblemError``, 404, if the path names another one."""
    model = service.current()
    _check(model, request)
    return model


def _check(model: ServedModel, request: Request) -> None:
    version = model.version
    number = request.path_params.get("version", str(version.version))
    if (request.path_params["model"], number) != (version.name, str(version.version)):
        detail = f"{version.name} version {version.version} serves, and no other; /v1/model says more"
        raise ProblemError(404, "not-found", detail, error=detail)
