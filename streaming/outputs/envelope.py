"""A scored frame to the rows the writer sends: bytes ready to go, and the few headers that vary from row to row.

Serialising in the JVM keeps Python's work per record to one call. Constant headers are made in the worker, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas import prediction as contract
from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.rules import verdict_of
from streaming.models.ref import ModelVersion
from streaming.outputs.targets import Target
from streaming.outputs.weights import WeightEpoch

_JSON = c.PREFIX + "output"
HEADERS_BYTES = 4_096
"""What a prediction's headers and Kafka's framing take at most, beside the subject and the trace state."""

TIME_FORMAT = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
"""The session's time zone is UTC (adapters/session.py)."""


@dataclass(frozen=True)
class Stamp:
    """What every prediction of one batch and version has in common. ``scored_at`` is RFC 3339 in UTC.

    ``weights`` name the step of the rollout that the batch is part of. ``corrects`` is the role in which the answers
    were given that these replace; empty where they replace none. ``degraded`` says why the fallback chain answers, and
    ``instead_of`` which model did not; both are empty where none was replaced.
    """

    source_topic: str
    version: ModelVersion
    role: str
    scored_at: str
    weights: WeightEpoch | None = None
    corrects: str = ""
    degraded: str = ""
    instead_of: str = ""

    @property
    def id_prefix(self) -> str:
        """The beginning of the batch's prediction ids. An event has one id in a role, whoever answers it."""
        return contract.id_prefix(self.instead_of or self.version.name, self.role, self.source_topic)

    @property
    def corrected_prefix(self) -> str | None:
        """The beginning of the ids of the answers that these replace; ``None`` if they replace none."""
        return contract.id_prefix(self.version.name, self.corrects, self.source_topic) if self.corrects else None


def envelop(
    scored: DataFrame,
    stamp: Stamp,
    to: Target | None = None,
    scored_at: Column | None = None,
    others: Sequence[Stamp] = (),
) -> DataFrame:
    """Turn ``score``'s frame into output rows.

    Args:
        scored: what ``score`` returned.
        stamp: what the batch has in common.
        to: the predictions' topic; what it does not take becomes a dead letter. ``None`` takes everything.
        scored_at: each row's own time of scoring, as text; ``None`` for the stamp's.
        others: the stamps of the further arms, if there are several; ``columns.ARM`` then has the number of each row's.

    Returns:
        partition, offset, key, value, timestamp (ms), reason, field, event_time, subject, traceparent, tracestate,
        headers, bins, with lookups lookup and lookup_age (ms), and with several arms arm; reason is null for a
        prediction, and field where the whole record is rejected. A dead letter has its original value and headers, and
        no event time where that cannot be read; a prediction has its JSON, and null for headers.
    """
    looked_up = {c.LOOKUP: "lookup", c.LOOKUP_AGE: "lookup_age"} if c.LOOKUP in scored.columns else {}
    # A rejected row's time may be what it was rejected for: in other years than these the format writes something else.
    readable = F.col(c.VERDICT).isNull() | F.year(c.EVENT_TIME).between(1, 9999)
    timed = scored.withColumn(c.EVENT_TIME, F.when(readable, F.date_format(c.EVENT_TIME, TIME_FORMAT)))
    time = F.lit(stamp.scored_at) if scored_at is None else scored_at
    serialised = timed.select("*", _value((stamp, *others), time).cast("binary").alias(_JSON))
    judged = serialised.withColumn(c.VERDICT, F.coalesce(c.VERDICT, *(_refusals(to) if to else ())))
    rejected = F.col(c.VERDICT).isNotNull()
    return judged.select(
        F.col(c.PARTITION).alias("partition"),
        F.col(c.OFFSET).alias("offset"),
        F.col(c.KEY).alias("key"),
        F.when(rejected, F.col(c.VALUE)).otherwise(F.col(_JSON)).alias("value"),
        F.unix_millis(c.TIMESTAMP).alias("timestamp"),
        F.col(c.VERDICT)["reason"].alias("reason"),
        F.col(c.VERDICT)["field"].alias("field"),
        F.col(c.EVENT_TIME).alias("event_time"),
        F.col(c.SUBJECT).alias("subject"),
        _header(contract.TRACEPARENT).alias("traceparent"),
        _header(contract.TRACESTATE).alias("tracestate"),
        F.when(rejected, F.col(c.HEADERS)).alias("headers"),
        F.col(c.BINS).alias("bins"),
        *(F.col(name).alias(short) for name, short in looked_up.items()),
        *([F.col(c.ARM).alias("arm")] if others else []),
    )


def prediction_columns(stamp: Stamp, others: Sequence[Stamp] = ()) -> dict[str, Column]:
    """Return what a prediction says of its event, by the names that subscribers know; the time as the frame has it.

    Args:
        stamp: what the batch has in common.
        others: the stamps of further arms, as :func:`envelop` takes them.
    """
    prefix = of_arm((stamp, *others), lambda of: F.lit(of.id_prefix))
    return {
        "prediction_id": F.concat(prefix, F.col(c.PARTITION), F.lit(":"), F.col(c.OFFSET)),
        "event_id": F.col(c.EVENT_ID),
        "event_time": F.col(c.EVENT_TIME),
        "prediction": F.col(c.PREDICTION),
        "label": F.col(c.LABEL),
        "probability": F.col(c.PROBABILITY),
        "confidence": F.col(c.CONFIDENCE),
    }


def _refusals(to: Target) -> list[Column]:
    """Return why the broker would refuse a prediction; one refused record fails its whole batch, again and again."""
    too_large = F.when(_size() > to.max_record_bytes, verdict_of(Rejection(Reason.PREDICTION_TOO_LARGE.value)))
    no_key = F.when(F.col(c.KEY).isNull(), verdict_of(Rejection(Reason.NO_KEY.value)))
    return [too_large, no_key] if to.compacted else [too_large]


def _size() -> Column:
    """Return an upper bound of the record's bytes: key and subject may be of any length, other headers are bounded."""
    lengths = [F.octet_length(column) for column in (_JSON, c.KEY, c.SUBJECT)]
    tracestate = F.octet_length(_header(contract.TRACESTATE))
    return sum((F.coalesce(length, F.lit(0)) for length in (*lengths, tracestate)), F.lit(HEADERS_BYTES))


def _value(stamps: Sequence[Stamp], scored_at: Column) -> Column:
    fields = _fields(stamps, scored_at)
    if not any(stamp.degraded for stamp in stamps):
        return _json(fields)
    # The champion's own answers in a batch have no such field, as they had none before there was a fallback chain.
    degraded = of_arm(stamps, lambda of: F.lit(of.degraded))
    return F.when(degraded == "", _json(fields)).otherwise(_json({**fields, contract.FIELD_OF_DEGRADED: degraded}))


def _fields(stamps: Sequence[Stamp], scored_at: Column) -> dict[str, Column]:
    fields = {
        **prediction_columns(stamps[0], stamps[1:]),
        "scored_at": scored_at,
        "model_name": of_arm(stamps, lambda of: F.lit(of.version.name)),
        "model_version": of_arm(stamps, lambda of: F.lit(of.version.version).cast("long")),
        "run_id": of_arm(stamps, lambda of: F.lit(of.version.run_id)),
        "role": of_arm(stamps, lambda of: F.lit(of.role)),
    }
    return {name: fields[name] for name in contract.VALUE.fieldNames()}


def _json(fields: Mapping[str, Column]) -> Column:
    ordered = [column.alias(name) for name, column in fields.items()]
    # A null field that silently vanished would read as an older contract.
    return F.to_json(F.struct(*ordered), {"ignoreNullFields": "false"})


def of_arm(stamps: Sequence[Stamp], constant: Callable[[Stamp], Column]) -> Column:
    """Return a constant, or with several arms the one of the row's arm."""
    constants = [constant(stamp) for stamp in stamps]
    return constants[0] if len(constants) == 1 else F.get(F.array(*constants), F.col(c.ARM).cast("int"))


def _header(name: str) -> Column:
    """Return the value of the first header of that name, by functions that Spark compiles."""
    headers = F.col(c.HEADERS)
    return F.get(headers["value"], F.array_position(headers["key"], name).cast("int") - 1)
