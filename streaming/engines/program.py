"""How a batch becomes outcomes: the seam between the engine, which decides and records, and the ways to run a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame

from streaming.clock import Stopwatch
from streaming.delivery.outcome import Outcome
from streaming.ledger.plan import Plan
from streaming.models.seams import Poison
from streaming.models.served import ServedModel


@dataclass(frozen=True)
class BatchOrder:
    """What to do with a batch: the version that scores it, the ledger's plan, and the time of scoring.

    ``scored_at`` is ISO 8601; a program whose tasks read the clock themselves stamps each row with its own. Laps of
    ``watch`` are ``prepare`` and ``write``.
    """

    model: ServedModel
    plan: Plan
    scored_at: str
    watch: Stopwatch


@dataclass(frozen=True)
class BatchResult:
    """The rows counted where Kafka was read, and each partition's outcome; a partition without rows has none."""

    rows_in: int
    outcomes: dict[int, Outcome]


class BatchProgram(Protocol):
    """Scores and writes the batches of one query, one at a time."""

    def run(self, records: DataFrame, order: BatchOrder) -> BatchResult:
        """Score and write a batch.

        Raises:
            PySparkException: the version throws on a row, or a task failed.
            Py4JJavaError: likewise.
        """
        ...

    def throwing_rows(self, records: DataFrame, order: BatchOrder, most: int) -> Poison:
        """Return the rows of a batch on which the version throws, without writing anything.

        Raises:
            TooManyThrowingRowsError: they are more than ``most``.
        """
        ...
