"""Replayed events as rows of a table: what a Parquet sink holds."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from streaming.events import columns as c
from streaming.outputs.envelope import Stamp, of_arm, prediction_columns

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


def result_rows(scored: DataFrame, stamps: Sequence[Stamp]) -> DataFrame:
    """Turn ``score``'s frame into rows of :data:`COLUMNS`; with several stamps, ``columns.ARM`` says whose a row is.

    ``reason`` is null for a prediction. Where it is not, the event would be a dead letter: the columns from
    ``prediction_id`` to ``confidence`` are null, and ``model_version`` is whose signature it was checked against.
    """
    good = F.col(c.VERDICT).isNull()
    columns: dict[str, Column] = {
        "topic": F.lit(stamps[0].source_topic),
        "partition": F.col(c.PARTITION),
        "offset": F.col(c.OFFSET),
        "key": F.col(c.KEY),
        **{name: F.when(good, value) for name, value in prediction_columns(stamps[0], stamps[1:]).items()},
        "model_name": of_arm(stamps, lambda of: F.lit(of.version.name)),
        "model_version": of_arm(stamps, lambda of: F.lit(of.version.version).cast("long")),
        "role": of_arm(stamps, lambda of: F.lit(of.role)),
        "reason": F.col(c.VERDICT)["reason"],
        "field": F.col(c.VERDICT)["field"],
    }
    return scored.select(*(columns[name].alias(name) for name in COLUMNS))
