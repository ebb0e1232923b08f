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
from streaming.serving.looked_up import standings_of
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
    if answer.looked_up is not None:
        headers = {**headers, **answer.looked_up.headers()}
    return Response(answer.value, headers=headers, media_type=JSON)


async def _several(service: ScoringService, events: Sequence[bytes]) -> Response:
    scored = await service.score(events)
    items = map(_item, scored.answers)
    return Response(b"[" + b",".join(items) + b"]", headers=_headers(scored), media_type=JSON)


def _headers(scored: Scored[EventAnswer]) -> Mapping[str, str]:
    """Return what all answers have in common: of two arms it is the step alone, and of lookups what has occurred."""
    arms = {answer.arm for answer in scored.answers}
    if not arms:
        return model_headers(scored.model)
    arm = arms.pop()
    common = step_headers(arm.weights) if arms else arm_headers(arm)
    predictions = (answer for answer in scored.answers if not isinstance(answer.value, Rejection))
    return {**common, **standings_of(prediction.looked_up for prediction in predictions)}


def _item(answer: EventAnswer) -> bytes:
    value, looked_up = answer.value, answer.looked_up
    if isinstance(value, Rejection):
        return msgspec.json.encode({"rejected": {**value._asdict(), "detail": sentence(value)}})
    if looked_up is None:
        return value
    # A prediction in a list has no headers of its own.
    marks = {"lookup": looked_up.standing, "lookup_age_ms": looked_up.age}
    return b"%b,%b" % (value[:-1], msgspec.json.encode(marks)[1:])
