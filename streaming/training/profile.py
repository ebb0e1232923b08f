"""Making the reference profile: what features, prediction and confidence looked like on the reference rows."""

from __future__ import annotations

from dataclasses import replace

from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.signature import Column, Signature
from streaming.scoring.bins import bin_of

DECILES = tuple(step / 10 for step in range(1, 10))
TAILS = (0.01, 0.05, 0.95, 0.99)
TOP_CATEGORIES = 50
_TRACKED = 10_000
_ACCURACY = 0.001


def build_profile(predictions: DataFrame, signature: Signature, classes: int) -> ReferenceProfile:
    """Return bins and counts for the signature's columns, then ``prediction`` and ``confidence``.

    Numeric columns are cut at the deciles; one that is mostly a single value (rain) is cut in its tails as well, or all
    of it would be one bin. Categories are the most frequent ones. ``predictions`` is a scored frame with
    ``prediction`` and ``probability``; ``classes`` the number of classes the label has.
    """
    confidence = F.array_max(vector_to_array(F.col("probability"))).alias("confidence")
    rows = predictions.select(*(f"`{name}`" for name in signature.names), "prediction", confidence).cache()
    numeric = [c.name for c in signature.columns if _is_number(c)]
    categorical = [c.name for c in signature.columns if not _is_number(c)]
    shapes = {
        **_edges(rows, [*numeric, "confidence"]),
        **_categories(rows, categorical),
        "prediction": ColumnProfile("prediction", "numeric", {}, tuple(float(i) for i in range(1, classes))),
    }
    ordered = tuple(shapes[name] for name in (*signature.names, "prediction", "confidence"))
    profile = ReferenceProfile(_counted(rows, ordered), rows.count())
    rows.unpersist()
    return profile


def _is_number(column: Column) -> bool:
    return column.type not in ("string", "boolean")


def _edges(rows: DataFrame, names: list[str]) -> dict[str, ColumnProfile]:
    doubles = rows.select(*(F.col(f"`{name}`").cast("double").alias(name) for name in names))
    quantiles = doubles.approxQuantile(names, [*DECILES, *TAILS], _ACCURACY)
    return {
        name: ColumnProfile(name, "numeric", {}, _distinct(found)) for name, found in zip(names, quantiles, strict=True)
    }


def _distinct(quantiles: list[float]) -> tuple[float, ...]:
    deciles = sorted(set(quantiles[: len(DECILES)]))
    return tuple(deciles if len(deciles) > 2 else sorted(set(quantiles)))


def _categories(rows: DataFrame, names: list[str]) -> dict[str, ColumnProfile]:
    if not names:
        return {}
    top = [
        F.expr(f"approx_top_k(cast(`{name}` as string), {TOP_CATEGORIES}, {_TRACKED})").alias(name) for name in names
    ]
    found = rows.agg(*top).collect()[0]
    return {
        name: ColumnProfile(
            name, "categorical", {}, categories=tuple(sorted(i["item"] for i in found[name] if i["item"] is not None))
        )
        for name in names
    }


def _counted(rows: DataFrame, shapes: tuple[ColumnProfile, ...]) -> tuple[ColumnProfile, ...]:
    """Count every column's bins in one pass over the rows."""
    pairs = [
        F.struct(F.lit(place).alias("column"), bin_of(F.col(f"`{shape.name}`"), shape).alias("bin"))
        for place, shape in enumerate(shapes)
    ]
    counts = rows.select(F.inline(F.array(*pairs))).groupBy("column", "bin").count().collect()
    return tuple(
        replace(shape, counts={row["bin"]: row["count"] for row in counts if row["column"] == place})
        for place, shape in enumerate(shapes)
    )
