"""Replayed events as rows of a table: what a Parquet sink holds."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming.events import columns as c
from streaming.outputs.envelope import Stamp, prediction_columns

COLUMNS = (
    "topic",
    "partition",
    "offset",
    "key",
    "prediction_id",
    "event_id",
    "event_time",
    "prediction",
    "label",
    "probability",
    "confidence",
    "model_name",
    "model_version",
    "role",
    "reason",
    "field",
)


def result_rows(scored: DataFrame, stamp: Stamp) -> DataFrame:
    """Turn ``score``'s frame into rows of :data:`COLUMNS`.

    ``reason`` is null for a prediction. Where it is not, the event would be a dead letter: the columns from
    ``prediction_id`` to ``confidence`` are null, and ``model_version`` is whose signature it was checked against.
    """
    good = F.col(c.VERDICT).isNull()
    columns: dict[str, Column] = {
        "topic": F.lit(stamp.source_topic),
        "partition": F.col(c.PARTITION),
        "offset": F.col(c.OFFSET),
        "key": F.col(c.KEY),
        **{name: F.when(good, value) for name, value in prediction_columns(stamp).items()},
        "model_name": F.lit(stamp.version.name),
        "model_version": F.lit(stamp.version.version).cast("long"),
        "role": F.lit(stamp.role),
        "reason": F.col(c.VERDICT)["reason"],
        "field": F.col(c.VERDICT)["field"],
    }
    return scored.select(*(columns[name].alias(name) for name in COLUMNS))
