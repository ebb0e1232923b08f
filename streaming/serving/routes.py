"""Everything that there is to ask for, as the application and its OpenAPI document know it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from streaming.serving import inference_routes, mlflow_routes, score_route, state_routes
from streaming.serving.front import RELOAD
from streaming.serving.intake import JSON
from streaming.serving.service import ScoringService

Handler = Callable[[ScoringService, Request], Awaitable[Response]]
Schema = dict[str, Any]

_GUARDED = (401, 403, 429)
"""Of whatever asks who comes: no key, a token without the right, too many requests."""
_BUSY = (*_GUARDED, 413, 415, 503)


@dataclass(frozen=True)
class ServedRoute:
    """One path and method.

    Attributes:
        summary: says in a sentence what it is for.
        problems: the statuses of its problem documents.
        body: the schema of the request's body, which is one of the media types ``takes``; ``None`` if it has none.
        answer: the schema of the answer with status ``status``.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    problems: tuple[int, ...] = ()
    body: Schema | None = None
    answer: Schema | None = None
    status: int = 200
    takes: tuple[str, ...] = (JSON,)


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_ANSWER = {"anyOf": [_named("Prediction"), _named("Rejected")]}
_PROBE: Schema = {
    "type": "object",
    "required": ["ok", "reasons"],
    "properties": {"ok": {"type": "boolean"}, "reasons": {"type": "array", "items": {"type": "string"}}},
}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_PROBLEM: Schema = {"type": ["string", "null"]}
_HEALTH: Schema = {
    **_PROBE,
    "properties": {
        **_PROBE["properties"],
        "log": {
            "description": "how the writing of answers fares, with serve.log",
            "type": "object",
            "required": ["written", "dropped", "failed", "waiting_bytes", "problem"],
            "properties": {
                **dict.fromkeys(("written", "dropped", "failed", "waiting_bytes"), _COUNT),
                "problem": _PROBLEM,
            },
        },
        "shadow": {
            "description": "how the scoring by the rollout's other version fares, with serve.shadow",
            "type": "object",
            "required": ["written", "skipped", "dropped", "failed", "waiting_bytes", "problem"],
            "properties": {
                **dict.fromkeys(("written", "skipped", "dropped", "failed", "waiting_bytes"), _COUNT),
                "problem": _PROBLEM,
            },
        },
        "fallback": {
            "description": "what answers, and the circuit of each version, with fallback.enabled",
            "type": "object",
            "required": ["answers", "circuits", "problem"],
            "properties": {
                "answers": {"type": ["string", "null"]},
                "circuits": {"type": "object", "additionalProperties": {"type": "string"}},
                "problem": _PROBLEM,
            },
        },
        "lookup": {
            "description": "how the lookup table is read, with lookup.topic",
            "type": "object",
            "required": ["offsets", "read_at", "problem"],
            "properties": {
                "offsets": {"type": ["array", "null"], "items": _COUNT},
                "read_at": {"type": ["string", "null"]},
                "problem": _PROBLEM,
            },
        },
        "rollout": {
            "description": "the step by which events are answered, with serve.rollout",
            "type": "object",
            "required": ["rollout", "weight_epoch", "candidate", "problem"],
            "properties": {
                "rollout": {"type": ["string", "null"]},
                "weight_epoch": {"type": ["integer", "null"]},
                "candidate": {"type": ["integer", "null"]},
                "problem": _PROBLEM,
            },
        },
    },
}
_ANYTHING: Schema = {"type": "object"}

OWN_ROUTES = (
    ServedRoute(
        method="POST",
        path="/v1/score",
        handler=score_route.score,
        summary="Score an event, or a list of events, as a topic would carry them.",
        problems=(400, *_BUSY, 422),
        body={"anyOf": [_named("Event"), {"type": "array", "items": _named("Event")}]},
        answer={"anyOf": [_named("Prediction"), {"type": "array", "items": _ANSWER}]},
    ),
    ServedRoute(
        method="GET",
        path="/v1/model",
        handler=state_routes.model,
        summary="Describe the version that serves.",
        problems=(*_GUARDED, 503),
        answer=_ANYTHING,
    ),
    ServedRoute(
        method="GET",
        path="/health",
        handler=state_routes.health,
        summary="Say that the process answers, and how what runs beside it fares.",
        answer=_HEALTH,
    ),
    ServedRoute(
        method="GET",
        path="/ready",
        handler=state_routes.ready,
        summary="Say whether requests should come; 503 has the same form.",
        answer=_PROBE,
    ),
    ServedRoute(
        method="GET",
        path="/metrics",
        handler=state_routes.metrics,
        summary="Return all numbers in Prometheus' text format.",
    ),
    ServedRoute(
        method="POST",
        path=RELOAD,
        handler=state_routes.reload,
        summary="Let the server ask the registry now.",
        problems=(401, 403, 404),
        answer=_ANYTHING,
        status=202,
    ),
)

_PREDICTIONS: Schema = {
    "type": "object",
    "required": ["predictions"],
    "properties": {"predictions": {"type": "array", "items": {"type": ["number", "string"]}}},
}
_MODEL = ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
"""A model, and one of its versions."""

MLFLOW_ROUTES = (
    ServedRoute(
        method="POST",
        path="/invocations",
        handler=mlflow_routes.invocations,
        summary="Score rows in one of the forms of MLflow's scoring server.",
        problems=(400, *_BUSY),
        body=_ANYTHING,
        answer=_PREDICTIONS,
        takes=mlflow_routes.TYPES,
    ),
    ServedRoute(
        method="GET",
        path="/ping",
        handler=mlflow_routes.ping,
        summary="Say whether a version is loaded; 404 if none is.",
    ),
    ServedRoute(
        method="GET", path="/version", handler=mlflow_routes.version, summary="Return the version of the server."
    ),
)
INFERENCE_ROUTES = (
    ServedRoute(
        method="GET",
        path="/v2",
        handler=inference_routes.server_metadata,
        summary="Name the server.",
        problems=_GUARDED,
        answer=_ANYTHING,
    ),
    ServedRoute(
        method="GET",
        path="/v2/health/live",
        handler=inference_routes.server_live,
        summary="Say that the process answers.",
        answer=_ANYTHING,
    ),
    ServedRoute(
        method="GET",
        path="/v2/health/ready",
        handler=inference_routes.server_ready,
        summary="Say whether requests should come; 503 has the same form.",
        answer=_ANYTHING,
    ),
    *(
        ServedRoute(
            method="GET",
            path=path,
            handler=inference_routes.model_metadata,
            summary="Describe the tensors of the version that serves.",
            problems=(*_GUARDED, 404, 503),
            answer=_ANYTHING,
        )
        for path in _MODEL
    ),
    *(
        ServedRoute(
            method="GET",
            path=f"{path}/ready",
            handler=inference_routes.model_ready,
            summary="Say that this model, or version, serves.",
            problems=(*_GUARDED, 404, 503),
            answer=_ANYTHING,
        )
        for path in _MODEL
    ),
    *(
        ServedRoute(
            method="POST",
            path=f"{path}/infer",
            handler=inference_routes.infer,
            summary="Score columns, a tensor each.",
            problems=(400, *_BUSY, 404),
            body=_ANYTHING,
            answer=_ANYTHING,
        )
        for path in _MODEL
    ),
)
ROUTES = (*OWN_ROUTES, *MLFLOW_ROUTES, *INFERENCE_ROUTES)
