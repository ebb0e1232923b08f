"""``POST /v1/score``: events as a topic would carry them, and predictions as a topic would carry them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from schemas.dead_letter import Rejection
from streaming.serving.arms import EventAnswer, arm_headers, model_headers, step_headers
from streaming.serving.intake import JSON, events_in
from streaming.serving.lanes import Scored
from streaming.serving.problems import rejected, sentence
from streaming.serving.service import ScoringService


async def score(service: ScoringService, request: Request) -> Response:
    """Answer one event with its prediction or a problem, and a list with a list."""
    async with service.intake.body(request) as body:
        events = events_in(body)
        if events is None:
            return await _alone(service, body)
        service.intake.check_rows(len(events))
        return await _several(service, events)


async def _alone(service: ScoringService, event: bytes) -> Response:
    scored = await service.score([event])
    (answer,) = scored.answers
    headers = arm_headers(answer.arm)
    if isinstance(answer.value, Rejection):
        return rejected(answer.value).response(headers)
    return Response(answer.value, headers=headers, media_type=JSON)


async def _several(service: ScoringService, events: Sequence[bytes]) -> Response:
    scored = await service.score(events)
    items = (_item(answer.value) for answer in scored.answers)
    return Response(b"[" + b",".join(items) + b"]", headers=_headers(scored), media_type=JSON)


def _headers(scored: Scored[EventAnswer]) -> Mapping[str, str]:
    """Return what all answers have in common: of two arms it is the step alone."""
    arms = {answer.arm for answer in scored.answers}
    if not arms:
        return model_headers(scored.model)
    arm = arms.pop()
    return step_headers(arm.weights) if arms else arm_headers(arm)


def _item(answer: bytes | Rejection) -> bytes:
    if isinstance(answer, Rejection):
        return msgspec.json.encode({"rejected": {**answer._asdict(), "detail": sentence(answer)}})
    return answer
