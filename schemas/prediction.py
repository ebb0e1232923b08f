"""One prediction, as it stands on the ``predictions`` topic: a JSON value and CloudEvents headers in binary mode.

The same contract for subscribers in any language: ``contracts/prediction.json``.
"""

from __future__ import annotations

from enum import Enum

from pyspark.sql.types import ArrayType, DoubleType, LongType, StringType, StructField, StructType

TYPE = "penstock.prediction.v1"
CONTENT_TYPE = "application/json"

VALUE = StructType(
    [
        StructField("prediction_id", StringType(), nullable=False),
        StructField("event_id", StringType(), nullable=False),
        StructField("event_time", StringType(), nullable=False),
        StructField("prediction", DoubleType(), nullable=False),
        StructField("label", StringType(), nullable=True),
        StructField("probability", ArrayType(DoubleType(), containsNull=False), nullable=True),
        StructField("confidence", DoubleType(), nullable=True),
        StructField("scored_at", StringType(), nullable=False),
        StructField("model_name", StringType(), nullable=False),
        StructField("model_version", LongType(), nullable=False),
        StructField("run_id", StringType(), nullable=False),
        StructField("role", StringType(), nullable=False),
    ]
)
"""Times are RFC 3339 in UTC with milliseconds. ``label`` is the predicted category where the pipeline decodes one,
``confidence`` the largest probability; both and ``probability`` are null where the model gives none."""

FIELD_OF_DEGRADED = "degraded"
"""The one field that not every prediction has: why the champion did not answer, a :class:`DegradedReason`."""


class DegradedReason(str, Enum):
    """Why another version than the champion, or the default score, has answered."""

    THREW = "THREW"
    """It threw on the event, or on its whole batch."""
    TOO_SLOW = "TOO_SLOW"
    NOT_LOADED = "NOT_LOADED"


CE_SPECVERSION, CE_ID, CE_SOURCE, CE_TYPE = "ce_specversion", "ce_id", "ce_source", "ce_type"
CE_TIME, CE_SUBJECT, CE_DATASCHEMA = "ce_time", "ce_subject", "ce_dataschema"
CONTENT_TYPE_HEADER = "content-type"
MODEL_NAME, MODEL_VERSION, RUN_ID = "penstock-model-name", "penstock-model-version", "penstock-run-id"
ROLE = "penstock-role"
ROLLOUT, WEIGHT_EPOCH = "penstock-rollout", "penstock-weight-epoch"
"""The rollout that the batch is part of, and the epoch of its weights; only a rollout's predictions have them."""
SOURCE_TOPIC, SOURCE_PARTITION, SOURCE_OFFSET = (
    "penstock-source-topic",
    "penstock-source-partition",
    "penstock-source-offset",
)
CORRECTS = "penstock-corrects"
"""The id of the answer that this one replaces; only a repair's corrections have it."""
DEGRADED = "penstock-degraded"
"""Why the champion did not answer, a :class:`DegradedReason`; its own answers have no such header."""
LOOKUP, LOOKUP_AGE = "penstock-lookup", "penstock-lookup-age-ms"
"""What became of the event's lookup, a value of :class:`LookupStanding`, and how old the table's record was when the
batch was planned; only a job that looks columns up writes them, and the age only where there was a record."""
BINS = "penstock-bins"
ORIGINAL_TIMESTAMP = "penstock-original-timestamp"
"""Milliseconds: the event's timestamp, where the predictions' topic does not take it and the record has the time of
writing instead."""
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
DATASCHEMA = "penstock:schemas/contracts/prediction.json"

CONSTANT_HEADERS = (
    CE_SPECVERSION,
    CE_TYPE,
    CE_SOURCE,
    CE_DATASCHEMA,
    CONTENT_TYPE_HEADER,
    MODEL_NAME,
    MODEL_VERSION,
    RUN_ID,
    ROLE,
    SOURCE_TOPIC,
    SOURCE_PARTITION,
)
"""The headers that all predictions of one batch and partition share, in order."""
HEADER_ORDER = (*CONSTANT_HEADERS, CE_ID, CE_TIME, SOURCE_OFFSET)
"""The headers that every prediction has, in the order in which both writers send them.

The optional ones come after them, ``BINS`` last of all. The drift query looks at these positions first, because a
search by name takes ten times as long. Subscribers find headers by name; the order is no part of their contract.
"""


class LookupStanding(str, Enum):
    """What became of an event's lookup."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"
    INVALID = "invalid"
    """The table's record is no JSON object, or a column in it is of another type."""
    UNAVAILABLE = "unavailable"


def id_prefix(model: str, role: str, topic: str) -> str:
    """Return what every prediction id of one model, role and source topic begins with.

    The id is deterministic, so that a record scored twice can be recognised. The version is not part of it: a record
    that is retried or handed over keeps its id.

    >>> id_prefix("flights", "champion", "features") + "3:1204"
    'flights:champion:features:3:1204'
    """
    return f"{model}:{role}:{topic}:"
