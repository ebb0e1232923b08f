"""A classifier's answers: which class, how probable each is, and its name."""

from __future__ import annotations

from typing import Any

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


def named(classes: NDArray[Any], predicted: NDArray[Any], probabilities: Numbers | None) -> pa.RecordBatch:
    """Return classes as a library names them: numbers as they are, others as labels with their index for a number.

    Args:
        classes: the k classes, in the order of the probabilities.
        predicted: the class of each of n events.
        probabilities: n rows of k; ``None`` where the model gives none.
    """
    rows = None if probabilities is None else np.asarray(probabilities, np.float64)
    if classes.dtype.kind in "biuf":
        return answer_batch(pa.array(predicted.ravel().astype(np.float64)), rows)
    positions = {name: float(position) for position, name in enumerate(classes.tolist())}
    names = predicted.ravel().tolist()
    indices = pa.array([positions[name] for name in names], pa.float64())
    return answer_batch(indices, rows, pa.array([str(name) for name in names], pa.string()))


def of_two(probabilities: Numbers) -> Numbers:
    """Return n rows of both classes' probabilities, of n probabilities of class 1."""
    return np.column_stack([1 - probabilities, probabilities])
