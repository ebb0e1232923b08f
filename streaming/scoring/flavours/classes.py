"""A classifier's answers: which class, how probable each is, and its name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.scoring.compiled.answers import answer_batch

Numbers = NDArray[np.floating]


def values(predictions: Numbers) -> pa.RecordBatch:
    """Return n numbers as answers that are no classes."""
    return answer_batch(pa.array(predictions.astype(np.float64)))


def most_probable(probabilities: Numbers) -> pa.RecordBatch:
    """Return the most probable class of each of n rows of k probabilities, by its index; of equals the first."""
    rows = probabilities.astype(np.float64)
    return answer_batch(pa.array(probabilities.argmax(axis=1).astype(np.float64)), rows)


def of_two(probabilities: Numbers) -> Numbers:
    """Return n rows of both classes' probabilities, of n probabilities of class 1."""
    return np.column_stack([1 - probabilities, probabilities])
