"""What a model of code is given, and what its answer means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from streaming.models.arrow_types import list_rows
from streaming.models.signature import UNNAMED
from streaming.scoring.compiled.answers import answer_batch
from streaming.scoring.flavours.classes import values

_PREDICTION, _PROBABILITY, _LABEL = "prediction", "probability", "label"


def model_input(events: pa.RecordBatch) -> Any:
    """Return what MLflow's ``predict`` takes: a data frame, or arrays where the columns are lists of numbers."""
    if not any(pa.types.is_list(column.type) for column in events.columns):
        return events.to_pandas()
    arrays = {name: _array(events.column(name)) for name in events.schema.names}
    return arrays[UNNAMED] if [*arrays] == [UNNAMED] else arrays


def _array(column: pa.Array) -> Any:
    return list_rows(column) if pa.types.is_list(column.type) else column.to_numpy(zero_copy_only=False)


def model_answers(answer: Any, rows: int) -> pa.RecordBatch:
    """Return the answers of n events.

    Args:
        answer: what ``predict`` returned: n numbers, or a data frame of n rows with a column ``prediction`` of numbers
            and perhaps ``probability``, lists of numbers, and ``label``, texts.
        rows: n.

    Raises:
        ValueError: it is something else.
    """
    if isinstance(answer, pd.DataFrame) and _PREDICTION in answer.columns:
        return _named(answer, rows)
    numbers = np.asarray(answer)
    if numbers.shape not in ((rows,), (rows, 1)) or numbers.dtype.kind not in "biuf":
        raise ValueError(
            f"the model gives {numbers.dtype} of the shape {numbers.shape} for {rows} events; return a number for each,"
            f" or a data frame with the column {_PREDICTION} and perhaps {_PROBABILITY} and {_LABEL}"
        )
    return values(numbers.ravel())


def _named(answer: pd.DataFrame, rows: int) -> pa.RecordBatch:
    if len(answer) != rows:
        raise ValueError(f"the model gives {len(answer)} rows for {rows} events")
    probabilities = np.array(answer[_PROBABILITY].tolist(), np.float64) if _PROBABILITY in answer.columns else None
    if probabilities is not None and probabilities.ndim != 2:
        raise ValueError(f"the column {_PROBABILITY} has not a list of numbers for each event")
    labels = pa.array(answer[_LABEL].tolist(), pa.string()) if _LABEL in answer.columns else None
    return answer_batch(pa.array(answer[_PREDICTION].to_numpy(np.float64)), probabilities, labels)
