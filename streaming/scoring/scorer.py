"""What scores events on Arrow batches, whatever it computes with."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from streaming.events import columns as c

RESULTS = pa.schema(
    [
        pa.field(c.PREDICTION, pa.float64()),
        pa.field(c.PROBABILITY, pa.list_(pa.float64())),
        pa.field(c.LABEL, pa.string()),
        pa.field(c.CONFIDENCE, pa.float64()),
    ]
)
"""An answer's columns, as :mod:`streaming.scoring.results` makes them of a pipeline's own; null where it has none."""


class ArrowScorer(Protocol):
    """Scores valid events, a batch at a time."""

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """Return one row of :data:`RESULTS` for each event, in order.

        Args:
            events: the model's features by name; nulls where an optional one is missing.

        Raises:
            ScoringError: the model throws on an event of the batch, as it would in Spark.
        """
        ...
