"""Forms for a single row of the stages that most pipelines begin with; their answers are the batch's to the bit.

A builder returns ``None`` where the stage has no such form over its columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.coded_texts import first_positions
from streaming.scoring.compiled.fitted import entry, scalar
from streaming.scoring.compiled.indexing import index_labels
from streaming.scoring.compiled.numbers import cast_numbers
from streaming.scoring.compiled.row_values import Row, RowStep, RowUnfitError
from streaming.scoring.compiled.scope import Scope
from streaming.scoring.compiled.values import Kind


def string_indexer(scope: Scope) -> RowStep | None:
    """``StringIndexerModel`` over text, 32-bit numbers and booleans."""
    keep, pairs = scope.handling("error", "keep") == "keep", scope.pairs()
    spellings = [_spelling(scope.any(source)) for source, _ in pairs]
    labels = entry(scope.stage, scope.stage.row(), "labelsArray")
    work = []
    for (source, target), spelling, texts in zip(pairs, spellings, labels, strict=True):
        if spelling is None:
            return None
        positions = {text: float(position) for text, position in first_positions(texts).items()}
        others = float(len(texts)) if keep else None
        work.append((source.lower(), target.lower(), spelling, positions, others))

    def apply(row: Row) -> None:
        for source, target, spelling, positions, others in work:
            index = positions.get(spelling(row[source]), others)
            if index is None:
                raise RowUnfitError
            row[target] = index

    return apply


def _spelling(kind: Kind) -> Callable[[Any], Any] | None:
    """Return what makes text of a value, as the indexer of a batch reads it; ``None`` for real and long numbers."""
    if kind.family == "text":
        return lambda value: value
    if pa.types.is_boolean(kind.arrow):
        return lambda value: None if value is None else "true" if value else "false"
    return (lambda value: None if value is None else str(int(value))) if pa.types.is_int32(kind.arrow) else None


def one_hot_encoder(scope: Scope) -> RowStep:
    """``OneHotEncoderModel``."""
    keep, drop = scope.handling("error", "keep") == "keep", scope.stage.flag("dropLast")
    counts = entry(scope.stage, scope.stage.row(), "categorySizes")
    work = [
        (source.lower(), target.lower(), count, count + keep - drop)
        for (source, target), count in zip(scope.pairs(), counts, strict=True)
    ]

    def apply(row: Row) -> None:
        for source, target, count, size in work:
            value = row[source]
            if value is None or value < 0 or not (keep or value < count):
                raise RowUnfitError
            # A NaN is no smaller than the number of categories, so ``keep`` counts it among the others.
            category = value if value < count else count
            if category != math.floor(category):
                raise RowUnfitError
            elements = [0.0] * size
            if category < size:
                elements[int(category)] = 1.0
            row[target] = elements

    return apply


def imputer(scope: Scope) -> RowStep | None:
    """``ImputerModel`` over doubles, whole numbers and floats."""
    missing, fitted = scope.stage.number("missingValue"), scope.stage.row()
    work = []
    for source, target in scope.pairs():
        kind, surrogate = scope.number(source).arrow, np.array([scalar(scope.stage, fitted, source)])
        work.append((source.lower(), target.lower(), float(cast_numbers(surrogate, kind)[0])))

    def apply(row: Row) -> None:
        # All columns are read before one is written, so a column may be filled in place.
        filled = [surrogate if _is_hole(row[source], missing) else row[source] for source, _, surrogate in work]
        for (_, target, _), value in zip(work, filled, strict=True):
            row[target] = value

    return apply


def _is_hole(value: float | None, missing: float) -> bool:
    # NaN equals NaN in Spark's comparison.
    return value is None or value == missing or (math.isnan(missing) and math.isnan(value))


def vector_assembler(scope: Scope) -> RowStep | None:
    """``VectorAssembler``, unless one of its vectors is sparse."""
    keep, sources = scope.handling("error", "keep") == "keep", scope.stage.texts("inputCols")
    kinds = [scope.any(source) for source in sources]
    if any(kind.sparse for kind in kinds):
        return None
    parts = [(source.lower(), kind.family == "vector") for source, kind in zip(sources, kinds, strict=True)]
    target = scope.stage.text("outputCol").lower()

    def apply(row: Row) -> None:
        elements: list[float] = []
        for source, is_vector in parts:
            value = row[source]
            if is_vector:
                elements += value
            elif value is not None and not math.isnan(value):
                elements.append(value)
            elif keep:
                elements.append(math.nan)
            else:
                raise RowUnfitError
        # A negative zero comes back as zero, as in a batch.
        row[target] = [element + 0.0 for element in elements]

    return apply


def index_to_string(scope: Scope) -> RowStep:
    """``IndexToString``."""
    source, target = scope.stage.text("inputCol").lower(), scope.stage.text("outputCol").lower()
    labels = index_labels(scope)

    def apply(row: Row) -> None:
        value = row[source]
        index = -1 if value is None or math.isinf(value) else 0 if math.isnan(value) else math.trunc(value)
        if not 0 <= index < len(labels):
            raise RowUnfitError
        row[target] = labels[index]

    return apply
