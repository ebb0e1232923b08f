"""What :mod:`streaming.scoring.results` makes of a pipeline's answers, on Arrow batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from schemas.dead_letter import Reason, Rejection
from streaming.events import columns as c
from streaming.events.arrow_verdicts import with_verdicts


def with_invalid_predictions(verdicts: pa.StructArray, answers: pa.RecordBatch) -> pa.StructArray:
    """Keep the verdicts on the events, and reject a prediction that is null, NaN or infinite, or of NaN confidence.

    Args:
        verdicts: one for each event, null for a valid one.
        answers: a row of :data:`streaming.scoring.scorer.RESULTS` for each event; of a rejected one it says nothing.
    """
    invalid = ~np.isfinite(_filled(answers.column(c.PREDICTION), np.nan))
    invalid |= np.isnan(_filled(answers.column(c.CONFIDENCE), 0.0))
    return with_verdicts(verdicts, [(invalid, Rejection(Reason.INVALID_PREDICTION.value))])


def confidences(probabilities: pa.ListArray) -> pa.DoubleArray:
    """Return the largest probability of each row: NaN is greater than every number, as in Spark's ``array_max``.

    Null where the list is null, or has nothing but nulls.
    """
    parents = pc.list_parent_indices(probabilities)
    values = probabilities.flatten()
    present = values.is_valid()
    rows = parents.filter(present).to_numpy(zero_copy_only=False)
    largest = np.full(len(probabilities), -np.inf)
    with np.errstate(invalid="ignore"):
        np.maximum.at(largest, rows, values.drop_null().to_numpy(zero_copy_only=False))
    return pa.array(largest, mask=np.bincount(rows, minlength=len(probabilities)) == 0)


def _filled(numbers: pa.DoubleArray, instead: float) -> NDArray[np.float64]:
    filled: NDArray[np.float64] = numbers.fill_null(instead).to_numpy(zero_copy_only=False)
    return filled
