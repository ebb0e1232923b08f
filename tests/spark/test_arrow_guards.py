"""Guards on Arrow batches are those of the frames, the order of verdicts included."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from schemas.dead_letter import Rejection
from streaming.events import columns as c
from streaming.events.arrow_guards import failing, guarded
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.events.rules import SQL_TYPES, first_of, guard_rules, raw_name
from streaming.models.arrow_types import ARROW_TYPES
from streaming.models.seams import Guard
from streaming.models.signature import ColumnType
from tests.support.seeds import names_with_seeds

NUMBERS = (None, -math.inf, -1.5, -1.0, -0.0, 0.0, 5e-324, 0.5, 1.0, 2.5, 3.0, 8.0, 9.0, 9.5, 1e7, math.inf, math.nan)
WHOLE = (None, -3, -1, 0, 1, 2, 5, 9, 10, 2**31 - 1)
VALUES: dict[ColumnType, tuple[Any, ...]] = {
    "double": NUMBERS,
    "float": NUMBERS,
    "long": (*WHOLE, 2**53 + 1, -(2**63)),
    "integer": WHOLE,
    "boolean": (None, True, False),
    "string": (None, "UA", "AA", "", "ua", "1.0", "1"),
}
TEXTS = ("UA", "1.0", "-0.0", "1", "true", "NaN", "1.0E7", "2.50")
GUARDS: dict[str, tuple[Guard, tuple[ColumnType, ...]]] = {
    "not null": (NotNull("x"), tuple(VALUES)),
    "in a vocabulary": (InVocabulary("x", TEXTS), tuple(VALUES)),
    "in a large vocabulary": (InVocabulary("x", (*TEXTS, *map(str, range(20)))), tuple(VALUES)),
    "in an empty vocabulary": (InVocabulary("x", ()), tuple(VALUES)),
    "in a range": (InRange("x", -1.0, 9.0), ("double", "float", "long", "integer")),
    "in a range with an open end": (InRange("x", 0.0, 9.0, open_end=True), ("double", "float", "long", "integer")),
    "in a range from zero": (InRange("x", 0.0, 9.0, zero_below=True), ("double", "float", "long", "integer")),
    "in a range without ends": (InRange("x", -math.inf, math.inf), ("double", "float", "long", "integer")),
    "in categories": (InCategories("x", (1.0, 9.0)), ("double", "float", "long", "integer", "boolean")),
    "in categories with NaN": (InCategories("x", (1.0, math.nan)), ("double", "float", "long", "integer")),
    "in many categories": (InCategories("x", (math.nan, *map(float, range(1, 20)))), ("double", "float", "long")),
    "in no categories": (InCategories("x", ()), ("double", "float", "long", "integer")),
}


SEEDS = {
    "not null",
    "in a range from zero",
    "in categories",
    "in many categories",
}


@pytest.mark.parametrize("name", names_with_seeds(GUARDS, SEEDS))
def test_a_guard_fails_where_the_frames_guard_fails(name: str, spark: SparkSession) -> None:
    guard, kinds = GUARDS[name]
    for kind in kinds:
        frame = spark.createDataFrame([(value,) for value in VALUES[kind]], f"x {SQL_TYPES[kind]}").coalesce(1)
        # A null is no failure, as a condition of CASE WHEN has it.
        fails = F.coalesce(guard.fails(F.col("x")), F.lit(False)).alias("fails")
        expected = [row["fails"] for row in frame.select(fails).collect()]
        assert failing(guard, pa.array(VALUES[kind], ARROW_TYPES[kind])).tolist() == expected, kind


def test_of_several_failures_the_first_counts_and_an_earlier_verdict_before_all(spark: SparkSession) -> None:
    earlier = (None, Rejection("WRONG_TYPE", "y"), Rejection("TOMBSTONE"))
    rows = [(verdict, x, word) for verdict in earlier for x in NUMBERS for word in VALUES["string"]]
    guards: list[Guard] = [
        InRange("x", 0.0, 9.0),
        NotNull("x"),
        InVocabulary("word", ("UA", "AA")),
        InCategories("x", (2.5,)),
        NotNull("word"),
    ]
    schema = f"before {c.VERDICT_TYPE}, {raw_name('x')} double, {raw_name('word')} string"
    verdict = first_of(guard_rules(guards))
    by_frames = F.when(F.col("before").isNotNull(), F.col("before")).otherwise(verdict).alias(c.VERDICT)
    frame = spark.createDataFrame(rows, schema).coalesce(1).select(by_frames)
    expected = [row[c.VERDICT] and Rejection(*row[c.VERDICT]) for row in frame.collect()]
    verdicts = pa.array([verdict and verdict._asdict() for verdict, _, _ in rows], VERDICT_STRUCT)
    events = pa.record_batch({c.VERDICT: verdicts, "x": [x for _, x, _ in rows], "word": [word for *_, word in rows]})
    actual = [verdict and Rejection(**verdict) for verdict in guarded(events, guards).to_pylist()]
    assert actual == expected
    assert {rejection and rejection.field for rejection in actual} == {None, "x", "word", "y"}
