"""A stretch of the input that a real-time query throws on: scored once as a batch, without the rows that throw."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from streaming.delivery.outcome import Outcome
from streaming.engines.attempt import attempt
from streaming.engines.isolate import isolate
from streaming.engines.live_arms import LiveArms
from streaming.engines.real_time import Boundary, Route, counts, outcome_of, outputs, sink_options, to_send
from streaming.engines.source import read_range
from streaming.offsets import Ranges

Mend = Callable[[LiveArms, Ranges], Boundary]
"""Writes the outputs of a stretch, and returns its end, which is a boundary like a query's."""


@dataclass(frozen=True)
class BatchMend:
    """Writes as the real-time queries do, at least once; rows that throw become ``SCORING_FAILED`` dead letters."""

    session: SparkSession
    route: Route
    poison_rows: int

    def __call__(self, scoring: LiveArms, ranges: Ranges) -> Boundary:
        """Score ``ranges``.

        Raises:
            ScoringError: it throws without them, too, or too many rows throw.
        """
        began = time.monotonic()
        records = read_range(self.session, self.route.options, self.route.topic, ranges)
        outcome = attempt(
            lambda safe: self._write(records, replace(scoring, model=safe)),
            scoring.model,
            lambda: isolate(records, scoring.model, ranges, self.poison_rows),
            scoring.arms,
        )
        seconds = time.monotonic() - began
        return Boundary(
            batch=0,
            ranges=ranges,
            rows=outcome.rows,
            outcome=outcome,
            seconds=seconds,
            phases={"mend": seconds},
            lag={},
        )

    def _write(self, records: DataFrame, scoring: LiveArms) -> Outcome:
        frame = outputs(records, scoring, self.route).persist()
        try:
            # An observation would do, but those of a batch that is written to Kafka never arrive. And so it throws
            # before anything is written.
            (counted,) = frame.select(*counts(scoring.arms)).collect()
            to_send(frame).write.format("kafka").options(**sink_options(self.route.options)).save()
        finally:
            frame.unpersist()
        return outcome_of(counted.asDict())
