"""A batch's units one after the other, each scored once, however often the run is killed and started again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streaming.batch.columns import BatchStamp
from streaming.batch.counts import BatchCounts
from streaming.batch.plan import BatchPlan, Unit
from streaming.batch.staging import Staging
from streaming.clock import Clock
from streaming.models.ref import ModelVersion


class ScoresUnits(Protocol):
    """What :class:`streaming.batch.scorer.UnitScorer` does."""

    def score(self, unit: Unit, folder: Path, stamp: BatchStamp) -> BatchCounts:
        """Write a unit's rows below ``folder`` and return what came of them."""
        ...


@dataclass(frozen=True)
class UnitProgress:
    """The progress of a batch. ``earlier`` units had been finished when this run began."""

    units: int
    done: int
    bytes: int
    bytes_done: int
    earlier: int
    counts: BatchCounts


@dataclass(frozen=True)
class ProgressReporter:
    """The time, and who is told after each unit."""

    clock: Clock
    tell: Callable[[UnitProgress], None]


def score_units(
    plan: BatchPlan, staging: Staging, scorer: ScoresUnits, version: ModelVersion, watch: ProgressReporter
) -> BatchCounts:
    """Score the units that are not finished; return what came of all of them.

    Raises:
        InvariantError: rows in differ from rows out.
    """
    units = plan.units
    counted = [staging.counts(unit.number) for unit in units]
    finished = {unit.number: count for unit, count in zip(units, counted, strict=True) if count is not None}
    earlier = len(finished)
    watch.tell(_progress(units, finished, earlier))
    for unit in units:
        if unit.number not in finished:
            stamp = BatchStamp(plan.batch, unit.number, version, watch.clock())
            counts = scorer.score(unit, staging.start_unit(), stamp)
            # Before the unit counts as finished: a lost row must end the batch and not be published.
            counts.check(unit.words)
            staging.finish_unit(unit.number, counts)
            finished[unit.number] = counts
            watch.tell(_progress(units, finished, earlier))
    return sum(finished.values(), BatchCounts())


def _progress(units: Sequence[Unit], finished: dict[int, BatchCounts], earlier: int) -> UnitProgress:
    return UnitProgress(
        units=len(units),
        done=len(finished),
        bytes=sum(unit.bytes for unit in units),
        bytes_done=sum(unit.bytes for unit in units if unit.number in finished),
        earlier=earlier,
        counts=sum(finished.values(), BatchCounts()),
    )
