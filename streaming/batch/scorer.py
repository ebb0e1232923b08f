"""One unit scored by one Spark job that reads, scores and writes; rejected rows, if there are any, follow by another.

The second job runs the decoder alone, unless the model itself gave what cannot be used, so that no row is scored twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Observation
from pyspark.sql import functions as F

from schemas.dead_letter import Reason
from streaming.batch.arms import BatchArm
from streaming.batch.columns import REASONS, BatchColumns, BatchStamp, bytes_as_text, flat
from streaming.batch.counts import BatchCounts
from streaming.batch.faults import unreadable
from streaming.batch.files import Format
from streaming.batch.plan import Unit
from streaming.batch.sketch import as_text, sketch
from streaming.batch.source import BatchSource
from streaming.batch.staging import REJECTED, SCORED
from streaming.clock import Stopwatch
from streaming.engines.attempt import attempt
from streaming.engines.isolate import isolate_decoded
from streaming.engines.known_good import KnownGoodRows
from streaming.errors import DataError
from streaming.events import columns as c
from streaming.events.table import TableDecoder
from streaming.models.seams import Decoder, Poison
from streaming.models.served import ServedModel
from streaming.offsets import OffsetRange, Ranges
from streaming.settings import EventSettings
from streaming.spark.causes import root_cause

_WRITE = {"csv": {"header": "true", "escape": '"'}, "json": {"ignoreNullFields": "false"}, "parquet": {}}


@dataclass(frozen=True)
class BatchOutput:
    """How files are written."""

    format: Format
    partition_by: tuple[str, ...] = ()

    def write(self, frame: DataFrame, folder: Path, *, partitioned: bool) -> None:
        """Write the frame to a new folder."""
        shaped = flat(frame) if self.format == "csv" else frame
        # Overwrite: an attempt that failed on a poison row may have written half of the folder.
        writer = shaped.write.mode("overwrite").format(self.format).options(**_WRITE[self.format])
        (writer.partitionBy(*self.partition_by) if partitioned else writer).save(f"file://{folder}")


@dataclass(frozen=True)
class UnitScorer:
    """Scores the units of one batch. ``max_poison_rows`` of a unit may make the version throw.

    With ``arm`` it scores the rows of that arm alone; what it counts as rows are still all of the files'.
    """

    source: BatchSource
    model: ServedModel
    envelope: EventSettings
    columns: BatchColumns
    output: BatchOutput
    max_poison_rows: int
    known_good: KnownGoodRows = field(default_factory=KnownGoodRows)
    arm: BatchArm | None = None

    def __post_init__(self) -> None:
        """Refuse a table that does not fit the version; raises as :func:`decoder_for`."""
        decoder_for(self.source, self.envelope, self.model)

    def score(self, unit: Unit, folder: Path, stamp: BatchStamp) -> BatchCounts:
        """Write a unit's rows to ``scored`` and ``rejected`` below ``folder``.

        Raises:
            DataError: a file cannot be read.
            ScoringError: the version throws, and not for a few rows alone.
        """
        return self._settled(unit)._score(unit, folder, stamp)

    def _settled(self, unit: Unit) -> UnitScorer:
        """Return the scorer with a row that is known to be good, if the version was loaded without one."""
        model = self.known_good(self.model, lambda: self._decoded(self.source.read(unit.paths), self.model))
        return self if model is self.model else replace(self, model=model)

    def _score(self, unit: Unit, folder: Path, stamp: BatchStamp) -> BatchCounts:
        watch = Stopwatch()

        def write(safe: ServedModel) -> tuple[dict[str, Any], ServedModel]:
            return self._write_scored(unit, folder / SCORED, stamp, safe), safe

        counted, model = attempt(write, self.model, lambda: self._poison(unit))
        watch.lap("scored")
        rejected = self._write_rejected(unit, folder / REJECTED, model, counted) if counted["rejected"] else {}
        watch.lap("rejected")
        sketches = as_text(counted["sketch"]) if counted["scored"] else ()
        return BatchCounts(
            rows=counted["rows"],
            scored=counted["scored"],
            rejected=rejected,
            seconds=sum(watch.phases.values()),
            sketches=sketches,
        )

    def sample(self, unit: Unit, rows: int) -> DataFrame:
        """Return the first rows of a unit, scored; lazy."""
        few, model = self.source.read(unit.paths).limit(rows), self._settled(unit).model
        return self._scored(few, model, self.columns.carried(rejected=False))

    def _write_scored(self, unit: Unit, folder: Path, stamp: BatchStamp, model: ServedModel) -> dict[str, Any]:
        before, after = Observation(), Observation()
        rows = self.source.read(unit.paths).observe(before, F.count(F.lit(1)).alias("rows"))
        scored = self._scored(rows, model, self.columns.carried(rejected=False))
        verdict = F.col(c.VERDICT)
        judged = scored.observe(
            after,
            _count(verdict.isNull()).alias("scored"),
            F.count(verdict).alias("rejected"),
            _count(verdict["reason"] == Reason.INVALID_PREDICTION.value).alias("invalid"),
            sketch().alias("sketch"),
        )
        good = judged.where(verdict.isNull()).select(*self.columns.scored(stamp))
        self.output.write(good, folder, partitioned=bool(self.output.partition_by))
        return {"rows": 0, "scored": 0, "rejected": 0, "sketch": None, **before.get, **after.get}

    def _write_rejected(self, unit: Unit, folder: Path, model: ServedModel, totals: dict[str, Any]) -> dict[str, int]:
        rows, carried = self.source.read(unit.paths), self.columns.carried(rejected=True)
        judged = self._scored(rows, model, carried) if totals["invalid"] else self._decoded(rows, model, carried)
        bad = judged.where(F.col(c.VERDICT).isNotNull()).select(*self.columns.rejected())
        counted = Observation()
        by_reason = [_count(F.col("reason") == reason).alias(reason) for reason in REASONS]
        shaped = bad if self.output.format == "parquet" else bytes_as_text(bad)
        self.output.write(shaped.observe(counted, *by_reason), folder, partitioned=False)
        return {reason: count for reason, count in counted.get.items() if count}

    def _scored(self, rows: DataFrame, model: ServedModel, carried: tuple[str, ...]) -> DataFrame:
        if self.source.format == "json" and self.arm is None:
            return model.score(rows)
        return model.score_decoded(self._decoded(rows, model, carried))

    def _decoded(self, rows: DataFrame, model: ServedModel, carried: tuple[str, ...] = ()) -> DataFrame:
        decoded = decoder_for(self.source, self.envelope, model, carried)(rows)
        return decoded if self.arm is None else self.arm.rows(decoded)

    def _poison(self, unit: Unit) -> Poison:
        """Find the rows on which the version throws. The files are read first, as they may be at fault themselves."""
        decoded = self._decoded(self.source.read(unit.paths), self.model).persist()
        try:
            ranges = self._ranges(decoded, unit)
            return isolate_decoded(decoded, self.model.scorer, ranges, self.max_poison_rows)
        finally:
            decoded.unpersist()

    def _ranges(self, decoded: DataFrame, unit: Unit) -> Ranges:
        try:
            last = decoded.groupBy(c.PARTITION).agg(F.max(c.OFFSET).alias("last")).collect()
        except (PySparkException, Py4JJavaError) as problem:
            raise DataError(f"{unreadable(unit, problem)} cannot be read: {root_cause(problem)}") from problem
        return {row[c.PARTITION]: OffsetRange(0, row["last"] + 1) for row in last}


def decoder_for(
    source: BatchSource, envelope: EventSettings, model: ServedModel, carried: tuple[str, ...] = ()
) -> Decoder:
    """Return what reads the source's rows by a version's rules; ``carried`` columns of a table come along untouched.

    Raises:
        ConfigurationError: the table does not have what the model needs.
    """
    rules = model.decoder
    if source.format == "json":
        return rules
    return TableDecoder(
        signature=model.package.signature,
        envelope=envelope,
        safe_row=rules.safe_row,
        schema=source.schema,
        guards=rules.guards,
        carried=carried,
        fault=source.fault,
        folders=source.folders,
        poison=rules.poison,
    )


def _count(condition: Column) -> Column:
    return F.count(F.when(condition, F.lit(1)))
