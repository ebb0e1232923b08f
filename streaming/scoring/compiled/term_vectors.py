"""Stages from words to vectors of counts: HashingTF, CountVectorizer, and IDF, which weighs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import pyarrow as pa

from streaming.scoring.compiled.fitted import entry, vector
from streaming.scoring.compiled.murmur import murmur3, murmur3_before_3
from streaming.scoring.compiled.scope import Apply, Columns, Scope
from streaming.scoring.compiled.values import MOST_DENSE, Floats, Kind, Positions, Rows, SparseRows, Tokens

_REMEMBERED = 65_536
"""Tokens whose element is not computed again."""


def hashing_tf(scope: Scope) -> Apply:
    """``HashingTF``: how often words come that have a hash in common."""
    stage, size = scope.stage, scope.stage.whole("numFeatures")
    if size < 1:
        raise stage.unreadable(f"the parameter numFeatures is {size}")
    hashed = murmur3 if _release(scope) >= 3 else murmur3_before_3

    @lru_cache(_REMEMBERED)
    def element(word: str) -> int:
        return hashed(word) % size

    def count(rows: Tokens) -> SparseRows:
        row, elements = _positions(rows, element)
        return _counted(row, elements, (len(rows), size))

    return _vectors(scope, size, count)


def _release(scope: Scope) -> int:
    major = scope.stage.release.partition(".")[0]
    if not major.isdigit():
        raise scope.stage.unreadable(f"its release of Spark is {scope.stage.release!r}")
    return int(major)


def count_vectorizer(scope: Scope) -> Apply:
    """``CountVectorizerModel``: how often each word of the vocabulary comes, if it comes often enough."""
    stage, vocabulary = scope.stage, entry(scope.stage, scope.stage.row(), "vocabulary")
    if not isinstance(vocabulary, list) or not all(isinstance(word, str) for word in vocabulary):
        raise stage.unreadable("its vocabulary is not a list of texts")
    least = stage.number("minTF")
    elements: Mapping[str, int] = {word: position for position, word in enumerate(vocabulary)}

    def count(rows: Tokens) -> SparseRows:
        row, positions = _positions(rows, lambda word: elements.get(word, -1))
        listed = positions >= 0
        counts = _counted(row[listed], positions[listed], (len(rows), len(vocabulary)))
        # A share of a row's words, of the unknown ones too, where it is less than 1.
        sizes = np.array([len(tokens) for tokens in rows], np.float64)
        return counts.where(counts.value >= (least if least >= 1.0 else sizes[counts.row] * least))

    return _vectors(scope, len(vocabulary), count)


def _positions(rows: Tokens, element: Callable[[str], int]) -> tuple[Positions, Positions]:
    row = np.repeat(np.arange(len(rows)), [len(tokens) for tokens in rows])
    return row, np.array([element(word) for tokens in rows for word in tokens], np.int64)


def _counted(row: Positions, element: Positions, shape: tuple[int, int]) -> SparseRows:
    keys, counts = np.unique(row * shape[1] + element, return_counts=True)
    return SparseRows(shape, keys // shape[1], keys % shape[1], counts.astype(np.float64))


def _vectors(scope: Scope, size: int, count: Callable[[Tokens], SparseRows]) -> Apply:
    stage = scope.stage
    source, target, binary = stage.text("inputCol"), stage.text("outputCol"), stage.flag("binary")
    scope.tokens(source)
    scope.put(target, Kind("vector", pa.float64(), size, sparse=size > MOST_DENSE))

    def apply(columns: Columns) -> None:
        counts = count(columns.tokens(source))
        if binary:
            counts = counts.with_values(np.ones(len(counts.value)))
        columns.put(target, counts if size > MOST_DENSE else counts.dense())

    return apply


def inverse_document_frequency(scope: Scope) -> Apply:
    """``IDFModel``: each element by its weight."""
    weights = vector(scope.stage, scope.stage.row(), "idf")
    source, target = scope.stage.text("inputCol"), scope.stage.text("outputCol")
    kind = scope.rows(source, len(weights))
    scope.put(target, Kind("vector", pa.float64(), len(weights), sparse=kind.sparse))

    def apply(columns: Columns) -> None:
        rows = columns.rows_of(source)
        columns.put(target, _weighed(rows, weights))

    return apply


def _weighed(rows: Rows, weights: Floats) -> Rows:
    if isinstance(rows, SparseRows):
        return rows.with_values(rows.value * weights[rows.element])
    return rows * weights
