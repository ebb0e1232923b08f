"""``POST /v1/score``: events as a topic would carry them, and predictions as a topic would carry them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schemas.dead_letter import Rejection
from streaming.serving.intake import JSON, events_in
from streaming.serving.problems import rejected, sentence
from streaming.serving.service import ScoringService, model_headers


async def score(service: ScoringService, request: Request) -> Response:
    """Answer one event with its prediction or a problem, and a list with a list."""
    async with service.intake.body(request) as body:
        events = events_in(body)
        if events is None:
            return await _alone(service, body)
        service.intake.check_rows(len(events))
        return await _several(service, events)


async def _alone(service: ScoringService, event: bytes) -> Response:
    scored = await service.events.score([event])
    service.count(scored.answers)
    (answer,) = scored.answers
    headers = model_headers(scored.model)
    if isinstance(answer, Rejection):
        return rejected(answer).response(headers)
    return Response(answer, headers=headers, media_type=JSON)


async def _several(service: ScoringService, events: Sequence[bytes]) -> Response:
    scored = await service.events.score(events)
    service.count(scored.answers)
    items = (_item(answer) for answer in scored.answers)
    return Response(b"[" + b",".join(items) + b"]", headers=model_headers(scored.model), media_type=JSON)


def _item(answer: bytes | Rejection) -> bytes:
    if isinstance(answer, Rejection):
        return msgspec.json.encode({"rejected": {**answer._asdict(), "detail": sentence(answer)}})
    return answer
