"""Bins on Arrow batches are those that Spark's expressions give, for every type of column and kind of bins."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.events.rules import SQL_TYPES
from streaming.models.arrow_types import ARROW_TYPES
from streaming.models.profile import ColumnProfile
from streaming.scoring.arrow_bins import bin_ids
from streaming.scoring.bins import bin_of
from tests.support.seeds import names_with_seeds

RANDOM = random.Random(17)
EDGES = (-1e300, -2.5, -0.0, 1e-9, 1.0, 2.5, 7.0, 1e6, 2.0**60, 1e300)
SPECIAL = (math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-3, 9.99e-4, 1e7, 9999999.0, 1e16, 123456.789)
BESIDE = tuple(math.nextafter(edge, towards) for edge in EDGES for towards in (-math.inf, math.inf))
DRAWN = tuple(RANDOM.uniform(-9.0, 9.0) * 10.0 ** RANDOM.randrange(-12, 12) for _ in range(200))
SINGLES = (*SPECIAL, 2.5, 0.1, 16777216.0, 3.4e38, *(RANDOM.gauss(0.0, 3.0) for _ in range(200)))
TEXTS = ("UA", "AA", "", "ua", "São", "😀", "1.0", "1", "NaN", "null", "true", " UA")
VALUES: dict[str, tuple[Any, ...]] = {
    "double": (*EDGES, *BESIDE, *SPECIAL, *DRAWN, None),
    "float": (*(struct.unpack("f", struct.pack("f", number))[0] for number in SINGLES), None),
    "long": (-(2**63), 2**63 - 1, 2**53 + 1, 2**60, -3, -1, 0, 1, 2, 7, 10**7, None),
    "integer": (-(2**31), 2**31 - 1, -3, 0, 1, 2, 7, None),
    "boolean": (True, False, None),
    "string": (*TEXTS, None),
}
SEEDS = {"double", "float", "string"}
"""The types whose texts differ the most between Python and Spark."""


def of_spark(spark: SparkSession, kind: str, profile: ColumnProfile) -> list[int]:
    """The bins of Spark's own expression of the values of a type."""
    rows = [(value,) for value in VALUES[kind]]
    frame = spark.createDataFrame(rows, f"value {SQL_TYPES[kind]}").coalesce(1)
    return [row["bin"] for row in frame.select(bin_of(F.col("value"), profile).alias("bin")).collect()]


def ours(kind: str, profile: ColumnProfile) -> list[int]:
    """The bins of the same values as an Arrow column."""
    ids: list[int] = bin_ids(pa.array(VALUES[kind], ARROW_TYPES[kind]), profile).tolist()
    return ids


@pytest.mark.parametrize("kind", names_with_seeds([kind for kind in VALUES if kind != "string"], {"double", "long"}))
def test_numeric_bins_are_sparks(kind: str, spark: SparkSession) -> None:
    profile = ColumnProfile("value", "numeric", {}, edges=EDGES)
    assert ours(kind, profile) == of_spark(spark, kind, profile)


@pytest.mark.parametrize("kind", names_with_seeds(VALUES, SEEDS))
def test_categorical_bins_are_sparks_where_the_categories_are_texts_of_its_own(kind: str, spark: SparkSession) -> None:
    rows = [(value,) for value in VALUES[kind] if value is not None]
    frame = spark.createDataFrame(rows, f"value {SQL_TYPES[kind]}").coalesce(1)
    texts = [row["text"] for row in frame.select(F.col("value").cast("string").alias("text")).collect()]
    categories, rare = tuple(dict.fromkeys(texts[::3])), tuple(dict.fromkeys(texts[1::3]))
    profile = ColumnProfile("value", "categorical", {}, categories=categories, rare=rare)
    assert ours(kind, profile) == of_spark(spark, kind, profile)
    assert len(set(ours(kind, profile))) > 2


@pytest.mark.parametrize("kind", names_with_seeds(VALUES, SEEDS))
@pytest.mark.parametrize(
    ("categories", "rare"),
    [
        pytest.param((), (), id="none", marks=pytest.mark.long),
        pytest.param(("UA", "0.0", "1", "true"), (), id="nothing is rare", marks=pytest.mark.long),
        pytest.param(("UA", "-0.0", "NaN", "1.0E7", "9999999.0"), ("UA", "0", "false", "7", "2.5"), id="rare ones"),
        pytest.param(("1.00", "0", "10000000.0", "+1.0", "1.0e7", "nan", "inf", "True"), (), id="spelled otherwise"),
    ],
)
def test_categorical_bins_are_sparks(
    kind: str, categories: tuple[str, ...], rare: tuple[str, ...], spark: SparkSession
) -> None:
    profile = ColumnProfile("value", "categorical", {}, categories=categories, rare=rare)
    assert ours(kind, profile) == of_spark(spark, kind, profile)
