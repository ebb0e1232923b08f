"""What a batch tells the outside: numbers for metrics and logs, through one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from streaming.delivery.outcome import Outcome
from streaming.models.ref import ModelVersion
from streaming.offsets import Ranges


@dataclass(frozen=True)
class BatchReport:
    """One finished batch. ``phases`` and ``seconds`` are in seconds; ``rows_in`` was counted where Kafka was read."""

    batch: int
    plan: str
    version: ModelVersion
    ranges: Ranges
    rows_in: int
    outcome: Outcome
    phases: Mapping[str, float]
    seconds: float


class BatchObserver(Protocol):
    """Observer of finished batches. Every method is called on the batch's thread and must be quick."""

    def batch_finished(self, report: BatchReport) -> None:
        """A batch is written and recorded."""
        ...

    def batch_failed(self, version: ModelVersion, problem: str) -> None:
        """An attempt at a batch failed in the model."""
        ...

    def rows_searched(self, seconds: float) -> None:
        """The rows on which the model throws were searched, found or not."""
        ...

    def invariant_broken(self, rows_in: int, rows_out: int) -> None:
        """A batch's rows in are not its rows out; the job stops."""
        ...
