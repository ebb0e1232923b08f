"""Making the reference profile: what features, prediction and confidence looked like on the reference rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column as Expression
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from streaming.models.profile import MAX_VALUE_BINS, ColumnProfile, Counts, ReferenceProfile
from streaming.models.signature import Column, Signature
from streaming.scoring.bins import bin_of
from streaming.training.spread import spread
from streaming.training.vocabulary import FREQUENT, RARE, Value, Vocabulary, returning

DECILES = tuple(step / 10 for step in range(1, 10))
TAILS = (0.01, 0.05, 0.95, 0.99)
RANGE = (0.0, 1.0)
_TRACKED = 10_000
_ACCURACY = 0.001
_WINDOWS = 60
"""The number of windows of the reference that are counted apart."""
_MOST_WINDOWS = 10_000
"""The most windows to choose from; a longer reference is represented by a fixed random choice."""
_WINDOW, _ANY_WINDOW, _FRESH, _COUNTS = (f"penstock_{name}" for name in ("window", "any_window", "fresh", "counts"))
ANSWERS = ("prediction", "confidence")


@dataclass(frozen=True)
class Timing:
    """The timestamp column ``time`` of the rows, and the length of windows in ``seconds``.

    The model was fitted on rows before ``fresh_from``. What it answers for those looks surer than it will be, so
    prediction and confidence are counted on later rows alone.
    """

    time: str
    seconds: int
    fresh_from: datetime | None = None


def with_confidence(scored: DataFrame) -> DataFrame:
    """Add ``confidence``, the largest of a row's probabilities, as the stream has it."""
    return scored.withColumn("confidence", F.array_max(vector_to_array(F.col("probability"))))


def build_profile(
    predictions: DataFrame, signature: Signature, classes: int | None, timing: Timing | None = None
) -> ReferenceProfile:
    """Return bins and counts for the signature's columns, then ``prediction`` and ``confidence``.

    Numeric columns are cut at the deciles and at both ends; one that is mostly a single value (rain) is cut in its
    tails as well, or all of it would be one bin. Categories are the most frequent ones. ``predictions`` is a scored
    frame with ``prediction``, and ``confidence`` or ``probability``; ``classes`` the number of classes the label has,
    None if it is a number. Without ``timing`` no windows are counted apart, and all rows count for all columns.
    """
    names = [F.col(f"`{name}`") for name in signature.names]
    scored = predictions if "confidence" in predictions.columns else with_confidence(predictions)
    rows = scored.select(*names, *ANSWERS, *_times(predictions, timing)).cache()
    numeric = [c.name for c in signature.columns if _is_number(c)]
    categorical = [c.name for c in signature.columns if not _is_number(c)]
    shapes = {
        **_edges(rows, [*numeric, *(ANSWERS if classes is None else ("confidence",))]),
        **_categories(rows, categorical),
    }
    if classes is not None:
        between = tuple(float(number) for number in range(1, classes))
        shapes["prediction"] = ColumnProfile("prediction", "numeric", {}, between)
    ordered = tuple(shapes[name] for name in (*signature.names, *ANSWERS))
    profile = ReferenceProfile(_counted(rows, ordered), rows.count(), timing.seconds if timing else 0.0)
    rows.unpersist()
    return profile


def _times(rows: DataFrame, timing: Timing | None) -> tuple[Expression, Expression, Expression]:
    """Return a row's window if it is counted apart, else null; its window at all events; and whether it is fresh."""
    if timing is None:
        none = F.lit(None).cast("long")
        return none.alias(_WINDOW), none.alias(_ANY_WINDOW), F.lit(True).alias(_FRESH)
    window = F.floor(F.unix_seconds(F.col(timing.time)) / timing.seconds)
    chosen = F.when(window.isin(_chosen(rows.select(window.alias(_WINDOW)))), window)
    fresh = F.lit(True) if timing.fresh_from is None else F.col(timing.time) >= F.lit(timing.fresh_from)
    return chosen.alias(_WINDOW), window.alias(_ANY_WINDOW), fresh.alias(_FRESH)


def _chosen(rows: DataFrame) -> list[int]:
    """Return the windows that are counted apart, of those that have rows: the same for the same rows."""
    windows = rows.where(F.col(_WINDOW).isNotNull()).distinct()
    some = windows.orderBy(F.xxhash64(_WINDOW), _WINDOW).limit(_MOST_WINDOWS).collect()
    return spread(sorted(row[0] for row in some), _WINDOWS)


def _is_number(column: Column) -> bool:
    return column.type not in ("string", "boolean")


def _edges(rows: DataFrame, names: list[str]) -> dict[str, ColumnProfile]:
    doubles = rows.select(*(F.col(f"`{name}`").cast("double").alias(name) for name in names))
    quantiles = doubles.approxQuantile(names, [*DECILES, *TAILS, *RANGE], _ACCURACY)
    return {
        name: ColumnProfile(name, "numeric", {}, _distinct(edges)) for name, edges in zip(names, quantiles, strict=True)
    }


def _distinct(quantiles: list[float]) -> tuple[float, ...]:
    """Return the edges: quantiles, and the ends of the reference, beyond which it has no value."""
    if not quantiles:
        return ()
    *inner, lowest, highest = quantiles
    deciles = sorted(set(inner[: len(DECILES)]))
    chosen = deciles if len(deciles) > 2 else sorted(set(inner))
    # A bin ends before its upper edge, so the highest value needs an edge above it.
    return tuple(sorted({lowest, *chosen, math.nextafter(highest, math.inf)}))


def _categories(rows: DataFrame, names: list[str]) -> dict[str, ColumnProfile]:
    if not names:
        return {}
    most = FREQUENT + RARE + 2  # null is a value here, and one more says that there are too many
    top = [F.expr(f"approx_top_k(cast(`{name}` as string), {most}, {_TRACKED})").alias(name) for name in names]
    counted = rows.agg(*top).collect()[0]
    return {name: _category(name, counted[name]) for name in names}


def _category(name: str, counted: list[Row]) -> ColumnProfile:
    values = Vocabulary.of([(value["item"], value["count"]) for value in counted if value["item"] is not None])
    return ColumnProfile(name, "categorical", {}, categories=values.frequent, rare=values.rare)


def _as_new(rows: DataFrame, shapes: tuple[ColumnProfile, ...]) -> tuple[ColumnProfile, ...]:
    """Return the shapes by which the reference is counted: a rare value that came only once is not on their lists."""
    places = [number for number, shape in enumerate(shapes) if shape.rare]
    if not places:
        return shapes
    cells = [_rare_cell(number, shapes[number]) for number in places]
    seen = rows.select(_ANY_WINDOW, F.inline(F.array(*cells))).where(F.col("value").isNotNull())
    first, last = F.min(_ANY_WINDOW).alias("first"), F.max(_ANY_WINDOW).alias("last")
    windows_of_values = seen.groupBy("column", "value").agg(F.count("*").alias("rows"), first, last).collect()
    windows = rows.select(_ANY_WINDOW).distinct().where(F.col(_ANY_WINDOW).isNotNull()).count()
    listed = {
        number: returning(
            [Value(r["value"], r["rows"], r["first"], r["last"]) for r in windows_of_values if r["column"] == number],
            windows,
        )
        for number in places
    }
    return tuple(replace(shape, rare=listed.get(number, ())) for number, shape in enumerate(shapes))


def _rare_cell(index: int, shape: ColumnProfile) -> Expression:
    text = F.col(f"`{shape.name}`").cast("string")
    rare = F.when(text.isin(list(shape.rare)), text)
    return F.struct(F.lit(index).alias("column"), rare.alias("value"))


def _counted(rows: DataFrame, shapes: tuple[ColumnProfile, ...]) -> tuple[ColumnProfile, ...]:
    """Count every column's bins in one pass over the rows."""
    cells = [_cell(index, shape) for index, shape in enumerate(_as_new(rows, shapes))]
    counted = F.count("*").alias("rows"), F.sum("value").alias("total"), F.var_pop("value").alias("variance")
    # All columns in one aggregation: one pass over the rows and not one for each column.
    groups = rows.select(_WINDOW, F.inline(F.array(*cells))).groupBy(_WINDOW, _COUNTS, "column", "bin")
    rows_counted = groups.agg(*counted).collect()
    return tuple(
        _described(shape, [row for row in rows_counted if row["column"] == index]) for index, shape in enumerate(shapes)
    )


def _cell(index: int, shape: ColumnProfile) -> Expression:
    """Return a row's place in one column, with its value if it has a finite one, and whether it counts there."""
    value = F.col(f"`{shape.name}`")
    cell = bin_of(value, shape)
    counts = F.col(_FRESH) if shape.name in ANSWERS else F.lit(True)
    # Not by the bin, which would be computed twice; of NaN, too, it is not true.
    number = F.when(F.abs(value.cast("double")) < float("inf"), value) if shape.kind == "numeric" else F.lit(None)
    return F.struct(
        F.lit(index).alias("column"),
        cell.alias("bin"),
        counts.alias(_COUNTS),
        number.cast("double").alias("value"),
    )


def _windows(groups: list[Row]) -> tuple[Counts, ...]:
    """Return each window's counts, of rows that the model was fitted on as well: how windows differ is the same."""
    windows: dict[int, Counts] = {}
    for row in groups:
        if row[_WINDOW] is not None:
            counts = windows.setdefault(row[_WINDOW], {})
            counts[row["bin"]] = counts.get(row["bin"], 0) + row["rows"]
    return tuple(windows[window] for window in sorted(windows))


def _described(shape: ColumnProfile, every: list[Row]) -> ColumnProfile:
    counts: Counts = {}
    totals: dict[int, float] = {}
    groups = [row for row in every if row[_COUNTS]]
    for row in groups:
        counts[row["bin"]] = counts.get(row["bin"], 0) + row["rows"]
        totals[row["bin"]] = totals.get(row["bin"], 0.0) + (row["total"] or 0.0)
    ordered = _windows(every)
    if shape.kind == "categorical":
        return replace(shape, counts=counts, windows=ordered)
    values = sum(rows for bin_, rows in counts.items() if bin_ < MAX_VALUE_BINS)
    mean = sum(totals.values()) / max(values, 1)
    # Group by group, as a difference of large squares would leave nothing of a small variance.
    scatter = (
        row["rows"] * (row["variance"] + (row["total"] / row["rows"] - mean) ** 2)
        for row in groups
        if row["variance"] is not None
    )
    variance = sum(scatter) / max(values, 1)
    centres = _centres(shape.edges, counts, totals)
    return replace(shape, counts=counts, centres=centres, spread=math.sqrt(variance), windows=ordered)


def _centres(edges: tuple[float, ...], counts: Counts, totals: dict[int, float]) -> tuple[float, ...]:
    """Return each bin's mean; an empty one stands between its edges, or at the only one."""
    ends = (edges[:1] or (0.0,)) + edges + (edges[-1:] or (0.0,))
    return tuple(
        totals[index] / counts[index] if counts.get(index) else (low + high) / 2
        for index, (low, high) in enumerate(pairwise(ends))
    )
