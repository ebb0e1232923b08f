"""Invalid predictions and confidences on Arrow batches are those of the frames."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas.dead_letter import Rejection
from streaming.events import columns as c
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.events.columns import RESULTS
from streaming.scoring.arrow_results import confidences, with_invalid_predictions
from streaming.scoring.results import result_selections
from streaming.scoring.stages import Outputs

PROBABILITIES: tuple[list[float | None] | None, ...] = (
    None,
    [],
    [0.25, 0.75],
    [0.75, math.nan],
    [math.nan],
    [math.inf, 1.0],
    [None, 0.5],
    [None],
    [-0.5],
)
PREDICTIONS = (None, 0.0, -1.5, 1e300, math.nan, math.inf, -math.inf)


def test_predictions_are_judged_and_confidences_found_as_the_frames_do(spark: SparkSession) -> None:
    rows = [
        (earlier, number, probability)
        for earlier in (None, Rejection("UNSEEN_CATEGORY", "x"))
        for number in PREDICTIONS
        for probability in PROBABILITIES
    ]
    probabilities = pa.array([probability for *_, probability in rows], pa.list_(pa.float64()))
    expected = judged_by_frames(spark, rows)
    assert [repr(number) for number in confidences(probabilities).to_pylist()] == [repr(of) for _, of in expected]
    numbers = pa.array([number for _, number, _ in rows], pa.float64())
    labels = pa.nulls(len(rows), pa.string())
    answers = pa.record_batch([numbers, probabilities, labels, confidences(probabilities)], RESULTS)
    earlier = pa.array([verdict and verdict._asdict() for verdict, _, _ in rows], VERDICT_STRUCT)
    actual = with_invalid_predictions(earlier, answers).to_pylist()
    assert [verdict and Rejection(**verdict) for verdict in actual] == [verdict for verdict, _ in expected]


def judged_by_frames(spark: SparkSession, rows: list[Any]) -> list[tuple[Rejection | None, float | None]]:
    """Each row's verdict and confidence by the selections that follow a pipeline."""
    others = [name for name in (*c.SOURCE, *c.ENVELOPE) if name != c.VERDICT]
    schema = f"{c.VERDICT} {c.VERDICT_TYPE}, answer double, probability array<double>"
    frame = spark.createDataFrame(rows, schema).coalesce(1)
    frame = frame.select("*", *(F.lit(None).cast("string").alias(name) for name in others))
    selections = result_selections(Outputs("answer"), (), (), None)
    # The pipeline's own column is a vector, which has no null elements; what follows it looks at the array.
    probability = F.col("probability").alias(c.PROBABILITY)
    named = [column for column in selections[0] if c.PROBABILITY not in str(column)]
    frame = frame.select(*named, probability)
    for selection in selections[1:]:
        frame = frame.select(*selection)
    return [(row[c.VERDICT] and Rejection(*row[c.VERDICT]), row[c.CONFIDENCE]) for row in frame.collect()]
