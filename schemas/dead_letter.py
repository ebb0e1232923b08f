"""One dead letter, on ``<input>.dlq``: the original key, value, headers and timestamp, and headers that say why.

The added headers are Kafka Connect's, so tools that read Connect's dead letters read these, plus a reason code for
machines. The same contract for subscribers in any language: ``contracts/dead_letter_headers.json`` (of the added
headers, as the value is whatever arrived).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

ERROR_TOPIC = "__connect.errors.topic"
ERROR_PARTITION = "__connect.errors.partition"
ERROR_OFFSET = "__connect.errors.offset"
ERROR_CONNECTOR = "__connect.errors.connector.name"
ERROR_TASK = "__connect.errors.task.id"
ERROR_STAGE = "__connect.errors.stage"
ERROR_CLASS = "__connect.errors.class.name"
ERROR_EXCEPTION = "__connect.errors.exception.class.name"
ERROR_MESSAGE = "__connect.errors.exception.message"
REASON = "penstock-reason"
FIELD = "penstock-field"
MODEL_VERSION = "penstock-model-version"
MODEL_NAME, ROLE = "penstock-model-name", "penstock-role"
ROLLOUT, WEIGHT_EPOCH = "penstock-rollout", "penstock-weight-epoch"
"""As a prediction has them; of the dead letters, only a rollout's do. A job with many models gives the name, too, but
where the event is for none of them: there the version is the number of the table of models."""
REJECTED_AT = "penstock-rejected-at"
"""The time at which the batch was scored, RFC 3339 in UTC; the record's own timestamp is the event's."""
EVENT_TIME = "penstock-event-time"
"""The event's time, RFC 3339 in UTC, where it can be read: the value is strict JSON and has a valid time."""
STREAM_TIME = "penstock-stream-time"
"""Where the partition was in time: of the last event before this one that was scored, else of the first one after it.

Not where no event beside it was scored, nor from the live engine, which knows one event at a time."""
VALUE_OMITTED = "penstock-value-omitted"
"""``true`` where the value was too large for the dead letters' topic; the source position still finds it. The event's
headers and then its key are left out, too, where that is not enough."""

DEGRADED = "penstock-degraded"
"""Why the champion did not judge the event, as predictions have it; only a degraded batch's dead letters have it."""
CORRECTS = "penstock-corrects"
"""The id of the prediction that this dead letter takes back; only a repair's have it."""

REPLAYS = "penstock-replays"
"""How often ``penstock dlq replay`` has sent this event: on the event itself, and so on its next dead letter."""
ORIGINAL_TIMESTAMP = "penstock-original-timestamp"
"""Milliseconds: the timestamp that a replayed event had before it was first sent again; among the added headers of an
output, the event's own timestamp where the output's topic does not take it."""


class Reason(str, Enum):
    """Why an event became a dead letter."""

    TOMBSTONE = "TOMBSTONE"
    OVERSIZE = "OVERSIZE"
    INVALID_UTF8 = "INVALID_UTF8"
    MALFORMED_JSON = "MALFORMED_JSON"
    NOT_AN_OBJECT = "NOT_AN_OBJECT"
    MISSING_FIELD = "MISSING_FIELD"
    WRONG_TYPE = "WRONG_TYPE"
    WRONG_SHAPE = "WRONG_SHAPE"
    NON_FINITE = "NON_FINITE"
    BAD_EVENT_TIME = "BAD_EVENT_TIME"
    UNSEEN_CATEGORY = "UNSEEN_CATEGORY"
    NULL_FEATURE = "NULL_FEATURE"
    SCORING_FAILED = "SCORING_FAILED"
    INVALID_PREDICTION = "INVALID_PREDICTION"
    PREDICTION_TOO_LARGE = "PREDICTION_TOO_LARGE"
    NO_KEY = "NO_KEY"
    NO_MODEL = "NO_MODEL"
    MODEL_NOT_LOADED = "MODEL_NOT_LOADED"
    MISSING_LOOKUP = "MISSING_LOOKUP"
    STALE_LOOKUP = "STALE_LOOKUP"
    LOOKUP_UNAVAILABLE = "LOOKUP_UNAVAILABLE"


class Rejection(NamedTuple):
    """Why an event was rejected: a reason's code, and the field at fault, ``None`` where the whole record is.

    >>> str(Rejection("TOMBSTONE")), str(Rejection("WRONG_TYPE", "distance"))
    ('TOMBSTONE', 'WRONG_TYPE:distance')
    """

    reason: str
    field: str | None = None

    def __str__(self) -> str:
        """Return it as people read it; nothing takes this apart again."""
        return self.reason if self.field is None else f"{self.reason}:{self.field}"


STAGE = {
    Reason.TOMBSTONE: "VALUE_CONVERTER",
    Reason.OVERSIZE: "VALUE_CONVERTER",
    Reason.INVALID_UTF8: "VALUE_CONVERTER",
    Reason.MALFORMED_JSON: "VALUE_CONVERTER",
    Reason.NOT_AN_OBJECT: "VALUE_CONVERTER",
    Reason.MISSING_FIELD: "VALIDATION",
    Reason.WRONG_TYPE: "VALIDATION",
    Reason.WRONG_SHAPE: "VALIDATION",
    Reason.NON_FINITE: "VALIDATION",
    Reason.BAD_EVENT_TIME: "VALIDATION",
    Reason.UNSEEN_CATEGORY: "VALIDATION",
    Reason.NULL_FEATURE: "VALIDATION",
    Reason.SCORING_FAILED: "TRANSFORMATION",
    Reason.INVALID_PREDICTION: "TRANSFORMATION",
    Reason.PREDICTION_TOO_LARGE: "TASK_PUT",
    Reason.NO_KEY: "TASK_PUT",
    Reason.NO_MODEL: "TRANSFORMATION",
    Reason.MODEL_NOT_LOADED: "TRANSFORMATION",
    Reason.MISSING_LOOKUP: "TRANSFORMATION",
    Reason.STALE_LOOKUP: "TRANSFORMATION",
    Reason.LOOKUP_UNAVAILABLE: "TRANSFORMATION",
}
"""Where in the path it happened, in Kafka Connect's words where it has one."""

_SENTENCE = {
    Reason.TOMBSTONE: "the record has no value",
    Reason.OVERSIZE: "the value is longer than input.max_value_bytes",
    Reason.INVALID_UTF8: "the value is not UTF-8",
    Reason.MALFORMED_JSON: (
        "the value is not strict JSON (RFC 8259, no duplicate keys, nothing after the value, at most 100 levels)"
    ),
    Reason.NOT_AN_OBJECT: "the value is JSON but not an object",
    Reason.MISSING_FIELD: "a required field is absent or null",
    Reason.WRONG_TYPE: "a field has another JSON type than the model's signature says",
    Reason.WRONG_SHAPE: "a list has more or fewer numbers than the model's signature says, or a null among them",
    Reason.NON_FINITE: "a number is too large for the column's type",
    Reason.BAD_EVENT_TIME: "the event time is not an RFC 3339 date and time in the years 1 to 9999",
    Reason.UNSEEN_CATEGORY: "the pipeline was not fitted for this category or range and would throw",
    Reason.NULL_FEATURE: "the pipeline would throw on a null here",
    Reason.SCORING_FAILED: "the pipeline threw on this record alone",
    Reason.INVALID_PREDICTION: "the prediction is null, NaN or infinite",
    Reason.PREDICTION_TOO_LARGE: "the prediction exceeds the topic's max.message.bytes",
    Reason.NO_KEY: "the record has no key, and the predictions' topic is compacted, which takes none without one",
    Reason.NO_MODEL: "no model is for this value, and models.route names none for such events",
    Reason.MODEL_NOT_LOADED: "no version of the model for this value could be loaded",
    Reason.MISSING_LOOKUP: "the lookup table has no usable value for this event, and none is set in its place",
    Reason.STALE_LOOKUP: "the lookup table's record is older than lookup.time_to_live_seconds",
    Reason.LOOKUP_UNAVAILABLE: "the lookup table could not be read when the event was scored",
}


FRAMED = "; it begins with a zero byte, as values in a schema registry's framing do, which Penstock does not read"
"""Added to the sentence for one of the ``FRAMED_REASONS`` where the value begins so."""
FRAMED_REASONS = (Reason.MALFORMED_JSON, Reason.INVALID_UTF8)


def describe(reason: Reason, field: str | None = None) -> str:
    """Return the sentence for people; it never quotes the record, whose content may be private.

    >>> describe(Reason.MISSING_FIELD, "carrier")
    'carrier: a required field is absent or null'
    """
    return f"{field}: {_SENTENCE[reason]}" if field else _SENTENCE[reason]
