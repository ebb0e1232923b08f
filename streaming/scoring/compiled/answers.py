"""A model's answers as rows of :data:`streaming.events.columns.RESULTS`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from streaming.events.columns import RESULTS
from streaming.scoring.compiled.values import Floats


def answer_batch(
    prediction: pa.Array, probability: Floats | None = None, label: pa.Array | None = None
) -> pa.RecordBatch:
    """Return the columns of n answers; the confidence is the largest probability.

    Args:
        prediction: n numbers, null where there is none.
        probability: n rows of k classes; ``None`` where the model gives none.
        label: n texts; ``None`` where classes have no names.
    """
    # As Spark's ``array_max``, for which NaN is greater than every number.
    confidence = None if probability is None else pa.array(probability.max(axis=1))
    columns = (prediction, None if probability is None else _lists(probability), label, confidence)
    arrays = (
        pa.nulls(len(prediction), field.type) if column is None else column
        for column, field in zip(columns, RESULTS, strict=True)
    )
    return pa.record_batch(list(arrays), RESULTS)


def _lists(rows: Floats) -> pa.ListArray:
    starts = np.arange(len(rows) + 1, dtype=np.int32) * rows.shape[1]
    return pa.ListArray.from_arrays(pa.array(starts), pa.array(rows.ravel()))
