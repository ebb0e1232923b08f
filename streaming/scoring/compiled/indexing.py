"""Stages between categories and numbers: StringIndexer, OneHotEncoder, VectorIndexer, IndexToString."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streaming.scoring.compiled.coded_texts import first_positions
from streaming.scoring.compiled.fitted import entry
from streaming.scoring.compiled.java_text import is_javas_spelling
from streaming.scoring.compiled.scope import Apply, Columns, Scope, reject
from streaming.scoring.compiled.values import Floats, Kind, Numbers, OneHot, is_sparse

_UNSEEN = "__unknown"
"""Spark's name of the category that ``StringIndexerModel`` keeps for all that it has not seen."""
_INVALID = "invalidValues"
"""Spark's name of the element that ``OneHotEncoderModel`` keeps for what is no category."""


def string_indexer(scope: Scope) -> Apply:
    """``StringIndexerModel``: a category's position among the labels; with ``keep`` all others share the next one."""
    keep = scope.handling("error", "keep") == "keep"
    pairs = scope.pairs()
    labels = entry(scope.stage, scope.stage.row(), "labelsArray")
    if not _is_texts(labels) or len(labels) != len(pairs):
        raise scope.stage.unreadable("its labels are not a list of texts for each column")
    kinds = [_indexed_kind(scope, source) for source, _ in pairs]
    for (_, target), texts in zip(pairs, labels, strict=True):
        scope.put_number(target, nominal=True, labels=(*texts, *([_UNSEEN] if keep else [])))
    indexed = [IndexedLabels.of(texts) for texts in labels]

    def apply(columns: Columns) -> None:
        for (source, target), kind, texts in zip(pairs, kinds, indexed, strict=True):
            index = _indices(columns, source, kind, texts)
            if not keep:
                wrong = index == len(texts.labels)
                reject(scope.stage, source, wrong, "is null or was not seen in training")
            columns.put_numbers(target, index.astype(np.float64))

    return apply


@dataclass(frozen=True)
class IndexedLabels:
    """The labels of one column in order, and the position of each; of equal ones the first counts."""

    labels: pa.StringArray
    positions: dict[str, int]

    @classmethod
    def of(cls, labels: list[str]) -> IndexedLabels:
        """Return the positions of labels."""
        return cls(pa.array(labels, pa.string()), first_positions(labels))


def _indices(columns: Columns, source: str, kind: Kind, indexed: IndexedLabels) -> npt.NDArray[np.int64]:
    """Return each value's position among the labels, and their number where it is none of them or null."""
    none = len(indexed.labels)
    coded = columns.codes(source)
    if coded is not None:
        return coded.numbers(indexed.positions, none, none)
    if pa.types.is_floating(kind.arrow):
        index = _index_of_real(columns.number(source), indexed.labels.to_pylist(), kind.arrow)
    else:
        index = pc.index_in(_as_text(columns, source, kind), value_set=indexed.labels, skip_nulls=True)
    return np.asarray(_numpy(index.fill_null(none) if index.null_count else index), np.int64)


def _indexed_kind(scope: Scope, source: str) -> Kind:
    kind = scope.any(source)
    if kind.family not in ("text", "number"):
        raise scope.refused(f"it indexes the column {source}, which holds neither text nor numbers")
    return kind


def _is_texts(labels: Any) -> bool:
    return isinstance(labels, list) and all(
        isinstance(texts, list) and all(isinstance(text, str) for text in texts) for texts in labels
    )


def _as_text(columns: Columns, name: str, kind: Kind) -> pa.StringArray:
    if kind.family == "text":
        return columns.text(name)
    numbers = columns.number(name)
    exact = pa.array(numbers.values.astype(np.int64), mask=numbers.nulls)
    return exact.cast(pa.bool_()).cast(pa.string()) if pa.types.is_boolean(kind.arrow) else exact.cast(pa.string())


def _index_of_real(numbers: Numbers, labels: list[str], kind: pa.DataType) -> pa.Array:
    """Look real numbers up as text: Java spells each number in one way only, so the numbers' bits can be compared."""
    reals = {position: float(label) for position, label in enumerate(labels) if is_javas_spelling(label)}
    exact = np.array(list(reals.values()), np.float64)
    seen = exact.astype(np.float32).astype(np.float64) if pa.types.is_float32(kind) else exact
    position = pc.index_in(
        pa.array(_bits(numbers.values), mask=numbers.nulls), value_set=pa.array(_bits(seen)), skip_nulls=True
    )
    return pa.array(list(reals), pa.int64()).take(position)


def _bits(values: Floats) -> npt.NDArray[np.int64]:
    # There is one NaN only.
    return np.where(np.isnan(values), np.nan, values).view(np.int64)


def _numpy(array: pa.Array) -> Any:
    return array.to_numpy(zero_copy_only=False)


def one_hot_encoder(scope: Scope) -> Apply:
    """``OneHotEncoderModel``: 1 at the category's position; what ``keep`` keeps comes after the last category."""
    keep, drop = scope.handling("error", "keep") == "keep", scope.stage.flag("dropLast")
    pairs, counts = scope.pairs(), entry(scope.stage, scope.stage.row(), "categorySizes")
    if not isinstance(counts, list) or len(counts) != len(pairs) or not all(isinstance(n, int) for n in counts):
        raise scope.stage.unreadable("its numbers of categories are not one for each column")
    sizes = [count + keep - drop for count in counts]
    if min(sizes, default=0) < 0:
        raise scope.stage.unreadable("a number of categories is negative")
    for (source, target), count, size in zip(pairs, counts, sizes, strict=True):
        names = _encoded_names(scope.number(source), count, size)
        scope.put(target, Kind("vector", pa.float64(), size=size, names=names))

    def apply(columns: Columns) -> None:
        for (source, target), size, count in zip(pairs, sizes, counts, strict=True):
            numbers = columns.number(source)
            reject(scope.stage, source, numbers.nulls, "is null")
            wrong = numbers.values < 0 if keep else ~((numbers.values >= 0) & (numbers.values < count))
            reject(scope.stage, source, wrong, f"is not a category from 0 to {count - 1}")
            category = np.where(numbers.values < count, numbers.values, count)
            reject(scope.stage, source, category != np.floor(category), "is not a whole number")
            columns.put(target, OneHot(np.minimum(category, size).astype(np.int64), size))

    return apply


def _encoded_names(source: Kind, count: int, size: int) -> tuple[str, ...] | None:
    """Return what ``OneHotEncoderCommon`` of Spark calls the elements: the categories' labels, else their numbers."""
    # Spark gives an element of an empty label another name.
    if (source.nominal and not source.labels) or "" in source.labels:
        return None
    named = source.labels or tuple(map(str, range(count)))
    return (*named, _INVALID)[:size]


def vector_indexer(scope: Scope) -> Apply:
    """``VectorIndexerModel``: elements of few values to the values' positions; the others stay."""
    keep = scope.handling("error", "keep") == "keep"
    row, source = scope.stage.row(), scope.stage.text("inputCol")
    kind = scope.vector(source, entry(scope.stage, row, "numFeatures"))
    maps = _category_maps(scope, entry(scope.stage, row, "categoryMaps"), kind.size)
    # An element that a sparse vector leaves out is never looked up, so a zero that training did not see stays zero.
    skips_zeros = any(0.0 not in values for values, _ in maps.values())
    if skips_zeros and not kind.compressed:
        raise scope.refused("it has categories without zero, and which of its vectors are sparse is not known")
    target = scope.stage.text("outputCol")
    scope.put(target, replace(kind, nominal=kind.nominal or bool(maps), compressed=False, names=None))

    def apply(columns: Columns) -> None:
        rows = columns.vector(source)
        sparse, indexed = is_sparse(rows), rows.copy()
        for position, (values, indices) in maps.items():
            at = np.minimum(np.searchsorted(values, rows[:, position]), len(values) - 1)
            seen, absent = values[at] == rows[:, position], sparse & (rows[:, position] == 0.0)
            if not keep:
                reject(scope.stage, source, ~(seen | absent), f"has no known category in element {position}")
            numbers = np.where(seen, indices[at], float(len(values)))
            indexed[:, position] = np.where(absent, np.where(seen, numbers, 0.0), numbers)
        columns.put(target, indexed)

    return apply


def _category_maps(scope: Scope, saved: Any, size: int) -> dict[int, tuple[Floats, Floats]]:
    """Return the values in order and their positions, of each element that has categories."""
    try:
        maps = {int(position): sorted((float(v), float(i)) for v, i in values) for position, values in saved}
        split = {p: (np.array([v for v, _ in pairs]), np.array([i for _, i in pairs])) for p, pairs in maps.items()}
    except (TypeError, ValueError) as problem:
        raise scope.stage.unreadable("its category maps are not maps from numbers to positions") from problem
    if not all(0 <= position < size and len(values) for position, (values, _) in split.items()):
        raise scope.stage.unreadable("its category maps are empty or of elements that do not exist")
    return split


def index_labels(scope: Scope) -> list[str]:
    """Return the labels of an ``IndexToString``: its own, or those of the ``StringIndexerModel`` that made its column.

    Raises:
        StageNotCompiledError: it has none of its own, and no such stage made the column.
    """
    own = scope.stage.texts("labels") if scope.stage.has("labels") else []
    labels = own or list(scope.number(scope.stage.text("inputCol")).labels)
    if not labels:
        raise scope.refused("it has no labels of its own, and its column is not that of a StringIndexer")
    return labels


def index_to_string(scope: Scope) -> Apply:
    """``IndexToString``: a position among the labels to its label."""
    source, target = scope.stage.text("inputCol"), scope.stage.text("outputCol")
    scope.number(source)
    labels = pa.array(index_labels(scope), pa.string())
    scope.put(target, Kind("text", pa.string()))

    def apply(columns: Columns) -> None:
        numbers = columns.number(source)
        # Scala's ``toInt`` cuts towards zero, and makes zero of NaN.
        index = np.trunc(np.where(np.isnan(numbers.values), 0.0, numbers.values))
        reject(scope.stage, source, numbers.nulls | ~((index >= 0) & (index < len(labels))), "is not a label's index")
        columns.put(target, labels.take(pa.array(index.astype(np.int64))))

    return apply
