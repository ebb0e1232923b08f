"""MLflow's scoring protocol: ``/invocations``, ``/ping`` and ``/version``, for clients that speak it already."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schemas.dead_letter import Reason, Rejection
from streaming.models.package import SPARK_FLAVOR
from streaming.models.served import ServedModel
from streaming.scoring.compiled.row_program import ModelAnswer
from streaming.serving.arms import model_headers
from streaming.serving.intake import JSON, media_type_of
from streaming.serving.looked_up import request_signature, standings_of
from streaming.serving.mlflow_payloads import FORM, SCHEMA, csv_events, json_events, wrong
from streaming.serving.parquet_payloads import PARQUET, parquet_events
from streaming.serving.problems import sentence
from streaming.serving.service import ScoringService
from streaming.version import __version__

CSV = "text/csv"
TYPES = (JSON, CSV, PARQUET)


async def invocations(service: ScoringService, request: Request) -> Response:
    """Answer rows with the model's predictions; one row that is rejected fails the request, as with MLflow."""
    async with service.intake.body(request, TYPES) as body:
        events = _events(service, body, media_type_of(request))
        service.intake.check_rows(len(events))
        if not events:
            raise wrong("the body has no rows", SCHEMA)
        scored = await service.score_rows(events)
    predictions = _predictions(scored.model, [answer.value for answer in scored.answers])
    headers = {**model_headers(scored.model), **standings_of(answer.looked_up for answer in scored.answers)}
    return Response(msgspec.json.encode({"predictions": predictions}), headers=headers, media_type=JSON)


def _events(service: ScoringService, body: bytes, media_type: str) -> list[bytes]:
    signature = request_signature(service.current())
    if media_type == PARQUET:
        return parquet_events(body, service.intake)
    return csv_events(body, signature) if media_type == CSV else json_events(body, signature)


def _predictions(model: ServedModel, answers: Sequence[ModelAnswer | Rejection]) -> list[float | str]:
    """Return what MLflow's pyfunc gives: a pipeline's own prediction column, and of others a class by its name."""
    predictions: list[float | str] = []
    for row, answer in enumerate(answers):
        if isinstance(answer, Rejection):
            code = SCHEMA if answer.reason == Reason.MISSING_FIELD.value else FORM
            raise wrong(f"row {row}: {sentence(answer)} ({answer.reason})", code)
        by_name = answer.label is not None and model.package.flavor != SPARK_FLAVOR
        predictions.append(str(answer.label) if by_name else answer.prediction)
    return predictions


async def ping(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Say whether a version is loaded, in MLflow's way."""
    return Response(b"\n", 200 if service.slot.current() else 404, media_type=JSON)


async def version(service: ScoringService, request: Request) -> Response:  # noqa: ARG001 - as every route
    """Return the version of what serves."""
    return Response(__version__, media_type="text/plain")
