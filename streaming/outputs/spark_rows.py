"""Output rows as Spark's own Kafka sink takes them: the writer's records, made in the JVM, for the live engine.

The sink has no column for a record's timestamp, so that is the time of writing. An expression sees one row, so a dead
letter has no ``penstock-stream-time``. Everything else is as the transactional writer sends it, the headers in the same
order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas import dead_letter, prediction
from streaming.outputs import headers as h
from streaming.outputs.envelope import TIME_FORMAT, Stamp
from streaming.outputs.records import RECORD_OVERHEAD
from streaming.outputs.targets import Targets
from streaming.spark.clock_column import clock_millis

_HEADERS = "array<struct<key:string,value:binary>>"
_MADE, _TIME = "made_headers", "made_at"
_ANY_REJECTION = dead_letter.Rejection(dead_letter.Reason.TOMBSTONE.value)
_FLAG_BYTES = len(dead_letter.VALUE_OMITTED) + len("true")


def native_records(rows: DataFrame, stamps: Sequence[Stamp], application: str, targets: Targets) -> DataFrame:
    """Turn output rows into records.

    Args:
        rows: what :func:`streaming.outputs.envelope.envelop` returned.
        stamps: what the predictions of each arm have in common; their time is not used, each row has its own.
        application: names the job.
        targets: where predictions and dead letters go, each to its input's partition number.

    Returns:
        topic, partition, key, value and headers, and for whoever counts reason, event_time, and with several arms arm;
        the sink ignores what it does not know.
    """
    to, dead = targets.predictions, targets.dead_letters
    rejected = F.col("reason").isNotNull()
    made = F.when(rejected, _rejected(stamps, application)).otherwise(_predicted(stamps, application))
    # A loop over headers is interpreted, so it is kept from predictions, which were measured before: they have no size.
    sizes, limit = _sizes(F.when(rejected, F.col(_MADE))), F.lit(dead.max_record_bytes - RECORD_OVERHEAD)
    flag = F.array(_header(dead_letter.VALUE_OMITTED, F.lit("true")))
    added = F.array_size(_MADE) - F.coalesce(F.array_size("headers"), F.lit(0))
    omitted = F.coalesce(_length(F.col("key")) + _length(F.col("value")) + sizes > limit, F.lit(False))
    # As the writer does: without the event's headers if it still does not fit, and then without its key.
    own_omitted = omitted & (_length(F.col("key")) + sizes + _FLAG_BYTES > limit)
    omitting = F.concat(F.when(own_omitted, F.slice(_MADE, -added, added)).otherwise(F.col(_MADE)), flag)
    key_omitted = own_omitted & (_length(F.col("key")) + _sizes(omitting) > limit)
    return rows.withColumn(_TIME, now()).withColumn(_MADE, made).select(
        F.when(rejected, F.lit(dead.topic)).otherwise(F.lit(to.topic)).alias("topic"),
        F.when(rejected, F.col("partition") % dead.partitions).otherwise(F.col("partition") % to.partitions)
        .cast("int").alias("partition"),
        F.when(~key_omitted, F.col("key")).alias("key"),
        F.when(~omitted, F.col("value")).alias("value"),
        F.when(omitted, omitting).otherwise(F.col(_MADE)).alias("headers"),
        F.col("reason"),
        F.col("event_time"),
        *([F.col("arm")] if len(stamps) > 1 else []),
    )  # fmt: skip


def now() -> Column:
    """Return the time at which a row is scored, RFC 3339 in UTC; each row reads the clock of its executor."""
    return F.date_format(F.timestamp_millis(clock_millis()), TIME_FORMAT)


def _predicted(stamps: Sequence[Stamp], application: str) -> Column:
    required = _of_arms(stamps, lambda stamp: h.constant(stamp, 0, application))
    prefix = _of_arms(stamps, lambda stamp: [(prediction.CE_ID, stamp.id_prefix)])[prediction.CE_ID]
    required[prediction.SOURCE_PARTITION] = F.col("partition").cast("string")
    required[prediction.CE_ID] = F.concat(prefix, F.col("partition"), F.lit(":"), F.col("offset"))
    required[prediction.CE_TIME] = F.col("event_time")
    required[prediction.SOURCE_OFFSET] = F.col("offset").cast("string")
    subject, parent, state, bins = (F.col(name) for name in ("subject", "traceparent", "tracestate", "bins"))
    return F.concat(
        F.array(*(_header(name, required[name]) for name in prediction.HEADER_ORDER)),
        _optional(prediction.CE_SUBJECT, subject, F.coalesce(subject != "", F.lit(False))),
        _optional(prediction.TRACEPARENT, parent, parent.isNotNull()),
        _optional(prediction.TRACESTATE, state, parent.isNotNull() & state.isNotNull()),
        *_appended(_of_arms(stamps, h.of_rollout)),
        _optional(prediction.BINS, bins, bins.isNotNull()),
    )


def _rejected(stamps: Sequence[Stamp], application: str) -> Column:
    """Return a dead letter's headers, by the writer's own list of what is constant and in which order."""
    reason, field = F.col("reason"), F.col("field")
    sentences = {code.value: dead_letter.describe(code) for code in dead_letter.Reason}
    stages = {code.value: dead_letter.STAGE[code] for code in dead_letter.Reason}
    named = F.coalesce(F.concat(field, F.lit(": ")), F.lit(""))
    sentence = F.concat(named, _looked_up(sentences, reason), _hint(reason))
    partition = F.col("partition").cast("string")
    own = {
        dead_letter.ERROR_PARTITION: partition,
        dead_letter.ERROR_OFFSET: F.col("offset").cast("string"),
        dead_letter.ERROR_TASK: partition,
        dead_letter.ERROR_STAGE: _looked_up(stages, reason),
        dead_letter.ERROR_EXCEPTION: F.concat(F.lit("penstock."), reason),
        dead_letter.ERROR_MESSAGE: F.substring(sentence, 1, h.TEXT_LIMIT),
        dead_letter.REASON: reason,
        dead_letter.REJECTED_AT: F.col(_TIME),
    }
    pattern = _of_arms(
        stamps, lambda stamp: h.rejected((), _ANY_REJECTION, (stamp.source_topic, 0, 0), application, stamp)
    )
    added = F.array(*(_header(name, own.get(name, word)) for name, word in pattern.items()))
    original = F.coalesce(F.col("headers"), F.array().cast(_HEADERS))
    time = F.col("event_time")
    return F.concat(
        original,
        added,
        _optional(dead_letter.FIELD, field, field.isNotNull()),
        _optional(dead_letter.EVENT_TIME, time, time.isNotNull()),
        *_appended(_of_arms(stamps, h.rejected_of_rollout)),
    )


def _of_arms(stamps: Sequence[Stamp], made: Callable[[Stamp], h.Headers]) -> dict[str, Column]:
    """Return constant headers in their order; where the arms' words differ, a row has that of its arm."""
    values: dict[str, list[str | bytes | None]] = {}
    for stamp in stamps:
        for name, word in made(stamp):
            values.setdefault(name, []).append(word)
    return {name: _of_arm(of_each) for name, of_each in values.items()}


def _of_arm(values: Sequence[str | bytes | None]) -> Column:
    if len(set(values)) == 1:
        return F.lit(values[0])
    return F.get(F.array(*map(F.lit, values)), F.col("arm").cast("int"))


def _appended(headers: dict[str, Column]) -> list[Column]:
    return [F.array(*(_header(name, word) for name, word in headers.items()))] if headers else []


def _hint(reason: Column) -> Column:
    zero = F.coalesce(F.startswith(F.col("value"), F.lit(b"\0")), F.lit(False))
    hinted = reason.isin([code.value for code in dead_letter.FRAMED_REASONS])
    return F.when(zero & hinted, F.lit(dead_letter.FRAMED)).otherwise("")


def _header(name: str, word: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), word.cast("binary").alias("value"))


def _optional(name: str, word: Column, present: Column) -> Column:
    return F.when(present, F.array(_header(name, word))).otherwise(F.array().cast(_HEADERS))


def _looked_up(texts: dict[str, str], key: Column) -> Column:
    value = F.when(F.lit(False), F.lit(""))
    for name, word in texts.items():
        value = value.when(key == name, F.lit(word))
    return value


def _length(word: Column) -> Column:
    return F.coalesce(F.octet_length(word), F.lit(0))


def _sizes(made: Column) -> Column:
    return F.aggregate(made, F.lit(0), lambda sum_, header: sum_ + _length(header["key"]) + _length(header["value"]))
