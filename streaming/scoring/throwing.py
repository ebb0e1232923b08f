"""The events on which a scorer of one process throws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from streaming.models.seams import ArrowScorer
from streaming.scoring.searched import searched


def thrown_on(scorer: ArrowScorer, events: pa.RecordBatch) -> NDArray[np.bool_]:
    """Return on which of n events a scorer throws, found by halving."""

    def score(rows: Sequence[int]) -> list[bool]:
        if rows:
            scorer.score(events.slice(rows[0], len(rows)))
        return [False] * len(rows)

    return np.array(searched(score, range(events.num_rows), lambda _: True), np.bool_)
