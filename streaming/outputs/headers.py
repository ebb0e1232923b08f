"""The headers of predictions and dead letters, as the lists the producer takes."""

from __future__ import annotations

from collections.abc import Iterable

from schemas import dead_letter, prediction
from streaming.outputs.envelope import Stamp

Headers = list[tuple[str, str | bytes | None]]
"""Headers as the producer takes them; it writes text as UTF-8."""

TEXT_LIMIT = 2_000
"""Bytes of an error message; a header is no place for a stack trace."""


def constant(stamp: Stamp, partition: int, application: str) -> Headers:
    """Return the headers that all predictions of one partition and batch share."""
    version = stamp.version
    headers = {
        prediction.CE_SPECVERSION: "1.0",
        prediction.CE_TYPE: prediction.TYPE,
        prediction.CE_SOURCE: f"/penstock/{application}/{version.name}",
        prediction.CE_DATASCHEMA: prediction.DATASCHEMA,
        prediction.CONTENT_TYPE_HEADER: prediction.CONTENT_TYPE,
        prediction.MODEL_NAME: version.name,
        prediction.MODEL_VERSION: str(version.version),
        prediction.RUN_ID: version.run_id,
        prediction.ROLE: stamp.role,
        prediction.SOURCE_TOPIC: stamp.source_topic,
        prediction.SOURCE_PARTITION: str(partition),
    }
    return [(name, headers[name]) for name in prediction.CONSTANT_HEADERS]


def of_rollout(stamp: Stamp) -> Headers:
    """Return the headers of a batch that is part of a rollout; none of any other, whose bytes stay as they were."""
    if stamp.weights is None:
        return []
    return [(prediction.ROLLOUT, stamp.weights.rollout), (prediction.WEIGHT_EPOCH, str(stamp.weights.epoch))]


def degraded(stamp: Stamp) -> Headers:
    """Return the header of what the fallback chain answers; none of what the champion does."""
    return [(prediction.DEGRADED, stamp.degraded)] if stamp.degraded else []


def rejected_of_rollout(stamp: Stamp) -> Headers:
    """Return what a rollout's dead letter says of it beside the version; none of a batch that is part of no rollout."""
    if stamp.weights is None:
        return []
    return [(dead_letter.MODEL_NAME, stamp.version.name), (dead_letter.ROLE, stamp.role), *of_rollout(stamp)]


def of_lookup(standing: str | None, age: int | None) -> Headers:
    """Return what a prediction says of its lookup: the standing, and the age in milliseconds if there was a record."""
    if standing is None:
        return []
    return [(prediction.LOOKUP, standing), *([] if age is None else [(prediction.LOOKUP_AGE, str(age))])]


def encoded(headers: Headers) -> Headers:
    """Return the same headers with their text as the bytes that the producer writes."""
    return [(name, word.encode() if isinstance(word, str) else word) for name, word in headers]


def varying(prediction_id: str, offset: int, event_time: str, subject: str | None) -> Headers:
    """Return the headers that are one prediction's own, the required ones as ``prediction.HEADER_ORDER`` ends."""
    own: Headers = [
        (prediction.CE_ID, prediction_id),
        (prediction.CE_TIME, event_time),
        (prediction.SOURCE_OFFSET, str(offset)),
    ]
    if subject:
        own.append((prediction.CE_SUBJECT, subject))
    return own


def times(event_time: str | None, stream_time: str | None) -> Headers:
    """Return a dead letter's headers of when it happened; they come after :func:`rejected`'s.

    Args:
        event_time: its own time, ``None`` where it cannot be read.
        stream_time: that of the scored event beside it, ``None`` where there is none.
    """
    both = {dead_letter.EVENT_TIME: event_time, dead_letter.STREAM_TIME: stream_time}
    return [(name, time) for name, time in both.items() if time is not None]


def rejected(
    original: Iterable[tuple[str, bytes | None]],
    rejection: dead_letter.Rejection,
    position: tuple[str, int, int],
    application: str,
    stamp: Stamp,
) -> Headers:
    """Return a dead letter's headers: its own, then Kafka Connect's, then the reason.

    The added ones begin with ``ERROR_TOPIC`` and are added even where the record has some of the same name, as it does
    if somebody sent a dead letter back as it is: the last one counts, and the own ones can be told apart.

    Args:
        original: the record's headers, kept as they are and in order.
        rejection: why it is rejected.
        position: topic, partition and offset of the record.
        application: names the job, as Connect names its connector.
        stamp: the batch's time, and the model whose signature the record was checked against.
    """
    reason, field = dead_letter.Reason(rejection.reason), rejection.field
    topic, partition, offset = position
    headers = {
        dead_letter.ERROR_TOPIC: topic,
        dead_letter.ERROR_PARTITION: str(partition),
        dead_letter.ERROR_OFFSET: str(offset),
        dead_letter.ERROR_CONNECTOR: application,
        dead_letter.ERROR_TASK: str(partition),
        dead_letter.ERROR_STAGE: dead_letter.STAGE[reason],
        dead_letter.ERROR_CLASS: "penstock",
        dead_letter.ERROR_EXCEPTION: f"penstock.{rejection.reason}",
        dead_letter.ERROR_MESSAGE: dead_letter.describe(reason, field)[:TEXT_LIMIT],
        dead_letter.REASON: rejection.reason,
        dead_letter.MODEL_VERSION: str(stamp.version.version),
        dead_letter.REJECTED_AT: stamp.scored_at,
    }
    if field:
        headers[dead_letter.FIELD] = field
    return [*original, *headers.items()]


def hinted(made: Headers, rejection: dead_letter.Rejection, value: bytes | None) -> Headers:
    """Return a dead letter's headers with a word on what its value looks like, where that helps."""
    if not (value or b"").startswith(b"\0") or rejection.reason not in dead_letter.FRAMED_REASONS:
        return made
    # The record's own headers are bytes.
    return [
        (name, word + dead_letter.FRAMED if name == dead_letter.ERROR_MESSAGE and isinstance(word, str) else word)
        for name, word in made
    ]
