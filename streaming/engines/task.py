"""One pass over a batch: read, score, serialise and write, as one Spark job whose tasks are the input's partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from streaming.clock import Stopwatch
from streaming.delivery.marks import Writer
from streaming.delivery.outcome import SCHEMA, Outcome
from streaming.delivery.write_order import Limits, WritePlan
from streaming.engines.rows import Batches, Write, output_rows
from streaming.failpoints import OFF, Failpoints
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart, whole
from streaming.ledger.plan import Plan
from streaming.models.served import ServedModel
from streaming.outputs.envelope import Stamp
from streaming.outputs.targets import Targets


@dataclass(frozen=True)
class WriteTarget:
    """The topics that one run of the job writes to, its identity and its bounds. ``client`` may hold secrets."""

    client: dict[str, str] = field(repr=False)
    writer: Writer
    targets: Targets
    limits: Limits
    failpoints: Failpoints = OFF

    def stamps(self, plan: Plan, scored_at: str) -> tuple[Stamp, ...]:
        """Return what the predictions of each arm have in common, the champion's first."""
        return degraded_stamps(stamps_of(plan.arms, self.writer.topic, scored_at), plan.degraded)

    def order(self, plan: Plan, scored_at: str) -> WritePlan:
        """Return the orders for the tasks of one planned batch."""
        stamp, *others = self.stamps(plan, scored_at)
        return WritePlan(
            client=self.client,
            writer=self.writer,
            plan=plan.id,
            stamp=stamp,
            ranges=plan.ranges,
            targets=self.targets,
            limits=self.limits,
            failpoints=self.failpoints,
            others=tuple(others),
            lookup=plan.arms.lookup,
        )


def stamps_of(arms: PlannedArms, source_topic: str, scored_at: str) -> tuple[Stamp, ...]:
    """Return what the predictions of each arm have in common, the champion's first."""
    return tuple(Stamp(source_topic, arm.version, arm.role, scored_at, weights=arms.weights) for arm in arms.arms)


def degraded_stamps(stamps: tuple[Stamp, ...], parts: Sequence[DegradedPart]) -> tuple[Stamp, ...]:
    """Return the arms' stamps with those of what the fallback chain answers: of the whole batch, or after the arms'."""

    def stamped(part: DegradedPart) -> Stamp:
        # Part of no rollout: nobody compares the arms by these answers.
        return replace(
            stamps[0], version=part.version, weights=None, degraded=part.reason, instead_of=part.instead_of.name
        )

    base = whole(parts)
    first = stamps if base is None else (stamped(base),)
    return (*first, *(stamped(part) for part in parts if part.rows))


def run_batch(
    records: DataFrame, model: ServedModel, order: WritePlan, watch: Stopwatch
) -> tuple[int, dict[int, Outcome]]:
    """Score ``records`` and write them.

    Returns:
        The rows counted where Kafka was read, and each partition's outcome; a partition without rows has none.
    """
    counted = Observation()
    # Counted before anything is done to them, so that a row lost further on is noticed.
    observed = records.observe(counted, F.count(F.lit(1)).alias("rows"))
    rows, write = output_rows(observed, model, order.stamps, order.targets.predictions)
    written = rows.mapInArrow(_task(order, write), SCHEMA)
    watch.lap("prepare")
    results = written.collect()
    watch.lap("write")
    rows_in = int(counted.get["rows"]) if results else 0
    return rows_in, {row["partition"]: Outcome.from_json(row["outcome"]) for row in results}


def _task(order: WritePlan, write: Write) -> Callable[[Batches], Batches]:
    """Close over these and nothing else: what a closure holds is pickled for every task."""

    def run(batches: Batches) -> Batches:
        return write(order, batches, None)

    return run
