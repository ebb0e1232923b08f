"""Sinks of a replay: folders of Parquet, or a topic by the same exactly-once writer as the live job's."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from streaming.clock import Clock, Stopwatch, isoformat
from streaming.delivery.marks import error_named
from streaming.delivery.outcome import Outcome
from streaming.delivery.write_order import WritePlan
from streaming.engines.task import WriteTarget, run_batch, stamps_of
from streaming.errors import InvariantError
from streaming.hadoop_paths import to_write
from streaming.models.served import ServedModel
from streaming.offsets import OffsetRange, Offsets
from streaming.replay.chunks import Chunk
from streaming.replay.rows import result_rows

CORRECTION = "correction"
"""The role of a correction."""
_COUNTS = "_counts.json"
"""Readers of Parquet leave out files whose names begin with an underscore."""


@dataclass
class ReplayCounts:
    """What became of events: predictions, dead letters, and what an earlier run had written."""

    predictions: int = 0
    dead_letters: int = 0
    earlier: int = 0
    versions: dict[str, int] = field(default_factory=dict)
    """Events by version, of this run and earlier ones alike, but for what an earlier one wrote by several arms."""

    def __add__(self, other: ReplayCounts) -> ReplayCounts:
        """Add up."""
        versions = Counter(self.versions) + Counter(other.versions)
        sums = self.predictions + other.predictions, self.dead_letters + other.dead_letters
        return ReplayCounts(*sums, self.earlier + other.earlier, dict(versions))


class ReplaySink(Protocol):
    """Takes chunks in order, each exactly once however often it is tried."""

    def written(self, chunk: Chunk, /) -> ReplayCounts | None:
        """Return what an earlier run wrote of the whole chunk; ``None`` where there is something left to write."""
        ...

    def write(self, chunk: Chunk, records: DataFrame, model: ServedModel) -> ReplayCounts:
        """Score and write a chunk.

        Raises:
            InvariantError: rows in are not rows out.
        """
        ...


@dataclass(frozen=True)
class ParquetSink:
    """A folder per chunk below ``folder``, which driver and executors share. A chunk's folder is whole or not there."""

    folder: Path
    source_topic: str
    clock: Clock

    def written(self, chunk: Chunk) -> ReplayCounts | None:
        """See :class:`ReplaySink`."""
        counts_file = self._folder_of(chunk) / _COUNTS
        if not counts_file.exists():
            return None
        counts = ReplayCounts(**json.loads(counts_file.read_text("utf-8")))
        return ReplayCounts(earlier=counts.predictions + counts.dead_letters, versions=counts.versions)

    def write(self, chunk: Chunk, records: DataFrame, model: ServedModel) -> ReplayCounts:
        """See :class:`ReplaySink`."""
        hidden = self.folder / f".{self._folder_of(chunk).name}"
        # A killed run may have left half of the chunk.
        shutil.rmtree(hidden, ignore_errors=True)
        stamps = stamps_of(chunk.by, self.source_topic, isoformat(self.clock()))
        came, went = Observation(), Observation()
        counted = records.observe(came, F.count(F.lit(1)).alias("rows"))
        rows = result_rows(model.score(counted, chunk.by.lookup), stamps)
        answered = [F.count_if(F.col("role") == arm.role).alias(arm.role) for arm in chunk.by.arms]
        measured = rows.observe(
            went, F.count(F.lit(1)).alias("rows"), F.count("reason").alias("dead_letters"), *answered
        )
        measured.write.parquet(to_write(hidden.resolve()), compression="zstd")
        total, dead = int(went.get["rows"]), int(went.get["dead_letters"])
        _check(int(came.get["rows"]), total)
        versions = {str(arm.version): int(went.get[arm.role]) for arm in chunk.by.arms}
        counts = ReplayCounts(total - dead, dead, versions=versions)
        (hidden / _COUNTS).write_text(json.dumps(asdict(counts)), "utf-8")
        # The counts are in the folder before the rename, so a chunk that is there has them.
        hidden.rename(self._folder_of(chunk))
        return counts

    def _folder_of(self, chunk: Chunk) -> Path:
        return self.folder / f"chunk-{chunk.number:06d}"


@dataclass(frozen=True)
class TopicSink:
    """A topic, by one transaction per partition and chunk.

    The marks stand on the sink's own partitions under the replay's own application, so that the live job's are not
    touched. ``target.writer`` is the sink's topic. ``identity`` names the replay in them. ``pass_over`` moves a
    partition's mark over offsets that hold no record or are left out. ``reached`` is where each mark stands.
    With ``corrects``, what is written are corrections of what was answered in the role of each chunk's arm. The events
    at ``lettered`` offsets are dead letters already, and get no second one.
    """

    target: WriteTarget
    source_topic: str
    identity: str
    pass_over: Callable[[int, OffsetRange, str], None]
    reached: dict[int, int]
    clock: Clock
    corrects: bool = False
    lettered: Offsets = field(default_factory=dict)

    def written(self, _: Chunk, /) -> ReplayCounts | None:
        """See :class:`ReplaySink`; the writer itself passes over what lies below a mark."""
        return None

    def write(self, chunk: Chunk, records: DataFrame, model: ServedModel) -> ReplayCounts:
        """See :class:`ReplaySink`."""
        order = self._order(chunk)
        for partition, part in chunk.ranges.items():
            if self.reached[partition] < part.start:
                self.pass_over(partition, OffsetRange(self.reached[partition], part.start), order.plan)
        rows, outcomes = run_batch(records, model, order, Stopwatch())
        for outcome in outcomes.values():
            # A worker reports its error as data; Spark would retry a task that raises.
            if outcome.error:
                raise error_named(outcome.error, outcome.detail)
        total = sum(outcomes.values(), Outcome())
        _check(rows, total.rows)
        for partition, part in chunk.ranges.items():
            if partition not in outcomes:
                self.pass_over(partition, part, order.plan)
            self.reached[partition] = part.end
        dead = sum(total.dead_letters.values())
        return ReplayCounts(total.predictions, dead, total.skipped, _by_version(chunk, total))

    def _order(self, chunk: Chunk) -> WritePlan:
        target = self.target
        stamp, *others = stamps_of(chunk.by, self.source_topic, isoformat(self.clock()))
        if self.corrects:
            stamp = replace(stamp, role=CORRECTION, corrects=stamp.role)
        return WritePlan(
            client=target.client,
            writer=target.writer,
            plan=f"{self.identity}.{target.writer.epoch}.{chunk.number}",
            stamp=stamp,
            ranges=chunk.ranges,
            targets=target.targets,
            limits=target.limits,
            failpoints=target.failpoints,
            others=tuple(others),
            lookup=chunk.by.lookup,
            lettered=self.lettered,
        )


def _by_version(chunk: Chunk, total: Outcome) -> dict[str, int]:
    """Count events by version; of what an earlier run wrote by several arms, nobody knows which answered."""
    if len(chunk.by.arms) == 1:
        return {str(chunk.by.champion.version): total.rows}
    return {str(arm.version): total.arms[arm.role].events for arm in chunk.by.arms if arm.role in total.arms}


def _check(rows_in: int, rows_out: int) -> None:
    if rows_in != rows_out:
        raise InvariantError(
            f"{rows_in} records came in and {rows_out} went out; the replay stops rather than lose one"
        )
