"""The OpenAPI document: the routes, and the event that the serving version reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import schemas
from streaming.models.signature import Signature
from streaming.serving.problems import MEDIA_TYPE
from streaming.serving.routes import Schema, ServedRoute
from streaming.settings import EventSettings
from streaming.version import __version__

_CONTRACT = Path(schemas.__file__).parent / "contracts" / "prediction.json"
_TYPES: dict[str, Schema] = {
    "double": {"type": "number"},
    "float": {"type": "number"},
    "long": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
}
_TIMES: dict[str, Schema] = {
    "iso8601": {"type": "string", "format": "date-time"},
    "epoch_ms": {"type": "integer", "description": "milliseconds since 1970"},
}
_PROBLEM: Schema = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string"},
        "field": {"type": ["string", "null"]},
    },
}
_REJECTED: Schema = {
    "type": "object",
    "required": ["rejected"],
    "properties": {
        "rejected": {
            "type": "object",
            "required": ["reason", "field", "detail"],
            "properties": {
                "reason": {"type": "string"},
                "field": {"type": ["string", "null"]},
                "detail": {"type": "string"},
            },
        }
    },
}


def openapi(routes: tuple[ServedRoute, ...], signature: Signature | None, envelope: EventSettings) -> dict[str, Any]:
    """Return the document.

    Args:
        routes: everything that there is to ask for.
        signature: of the version that serves; ``None`` before the first.
        envelope: names the fields of an event beside the signature's.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Penstock", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {
                "Event": event_schema(signature, envelope),
                "Prediction": json.loads(_CONTRACT.read_text("utf-8")),
                "Rejected": _REJECTED,
                "Problem": _PROBLEM,
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def event_schema(signature: Signature | None, envelope: EventSettings) -> Schema:
    """Return the JSON Schema of a valid event; what else an event has is not read."""
    identity: Schema = {"type": ["string", "integer"]}
    fields = {name: identity for name in (envelope.id, envelope.key) if name}
    if envelope.time:
        fields[envelope.time] = _TIMES[envelope.time_format]
    required = [*fields]
    for column in signature.columns if signature else ():
        kind = _TYPES[column.type]
        if column.is_list:
            kind = {"type": "array", "items": kind, "minItems": column.length, "maxItems": column.length}
        fields[column.name] = kind if column.required else {"anyOf": [kind, {"type": "null"}]}
        required += [column.name] * column.required
    return {"type": "object", "required": list(dict.fromkeys(required)), "properties": fields}


def _operation(route: ServedRoute) -> dict[str, Any]:
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    operation_id = "_".join([route.handler.__name__, *(["of_version"] if "version" in names else [])])
    operation: dict[str, Any] = {"summary": route.summary, "operationId": operation_id}
    if names:
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if route.body is not None:
        content = {media_type: {"schema": route.body} for media_type in route.takes}
        operation["requestBody"] = {"required": True, "content": content}
    if 401 in route.problems:
        operation["security"] = [{"bearer": []}, {"key": []}]
    answer = {} if route.answer is None else {"content": {"application/json": {"schema": route.answer}}}
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation["responses"] = {
        str(route.status): {"description": "the answer", **answer},
        **{str(status): {"description": "a problem", "content": problem} for status in sorted(route.problems)},
    }
    return operation
