"""The events on which a scorer of one process throws."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.errors import ScoringError
from streaming.models.seams import ArrowScorer


def thrown_on(scorer: ArrowScorer, events: pa.RecordBatch) -> NDArray[np.bool_]:
    """Return on which of n events a scorer throws, found by halving."""
    try:
        scorer.score(events)
    except ScoringError:
        if events.num_rows == 1:
            return np.ones(1, np.bool_)
        middle = events.num_rows // 2
        return np.concatenate([thrown_on(scorer, half) for half in (events.slice(0, middle), events.slice(middle))])
    return np.zeros(events.num_rows, np.bool_)
