"""Finding the rows on which a pipeline throws, with actions that write nothing.

One job finds them all, see :mod:`streaming.engines.sieve`. Only what that cannot catch, an ``Error`` of the JVM or a
function in Python, is searched by halves; the decoded batch is kept in memory meanwhile, so that Kafka is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.engines.sieve import throwing_rows
from streaming.errors import TooManyThrowingRowsError
from streaming.events import columns as c
from streaming.models.seams import FrameScorer, Poison
from streaming.models.served import ServedModel
from streaming.offsets import OffsetRange, Ranges
from streaming.spark.causes import is_broker_trouble


def isolate(records: DataFrame, model: ServedModel, ranges: Ranges, most: int) -> Poison:
    """Return the rows that make the version throw; empty if it does not throw any more.

    Raises:
        TooManyThrowingRowsError: more than ``most`` rows throw, which is the model's fault.
    """
    return isolate_decoded(model.decoder(records), model.scorer, ranges, most)


def isolate_by_halves(records: DataFrame, model: ServedModel, ranges: Ranges, most: int) -> Poison:
    """Do the same by Spark's public API alone, in many more jobs; see :func:`isolate`."""
    return _within(_by_halves(model.decoder(records), model.scorer, ranges, most + 1), most)


def isolate_decoded(decoded: DataFrame, scorer: FrameScorer, ranges: Ranges, most: int) -> Poison:
    """Do the same with rows that a decoder has read; see :func:`isolate`."""
    try:
        rows = throwing_rows(decoded, scorer.score, most + 1)
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
        rows = _by_halves(decoded, scorer, ranges, most + 1)
    return _within(rows, most)


def _within(rows: list[tuple[int, int]], most: int) -> Poison:
    if len(rows) > most:
        partition, offset = rows[-1]
        raise TooManyThrowingRowsError(
            f"throws on more than {most} rows of one batch (engine.max_poison_rows), such as that at partition"
            f" {partition}, offset {offset}"
        )
    return tuple(rows)


def _by_halves(decoded: DataFrame, scorer: FrameScorer, ranges: Ranges, most: int) -> list[tuple[int, int]]:
    decoded.persist()
    try:
        search = _Search(_probe(decoded, scorer), most)
        for partition, part in ranges.items():
            search.within(partition, part)
        return search.rows
    finally:
        decoded.unpersist()


def _probe(decoded: DataFrame, scorer: FrameScorer) -> Callable[[int, OffsetRange], bool]:
    def throws(partition: int, part: OffsetRange) -> bool:
        offset = F.col(c.OFFSET)
        rows = decoded.where((F.col(c.PARTITION) == partition) & (offset >= part.start) & (offset < part.end))
        try:
            scorer.score(rows).write.format("noop").mode("overwrite").save()
        except (PySparkException, Py4JJavaError) as problem:
            if is_broker_trouble(problem):
                raise
            return True
        return False

    return throws


@dataclass
class _Search:
    """A search for rows that throw; it ends once it has found ``most`` of them."""

    throws: Callable[[int, OffsetRange], bool]
    most: int
    rows: list[tuple[int, int]] = field(default_factory=list)

    def within(self, partition: int, part: OffsetRange) -> None:
        waiting = [part]
        while waiting and len(self.rows) < self.most:
            part = waiting.pop()
            size = part.end - part.start
            if size == 0 or not self.throws(partition, part):
                continue
            if size == 1:
                self.rows.append((partition, part.start))
            else:
                # It is a stack: the lower half is looked at first, so that rows come in order.
                waiting.extend(reversed(list(_halves(part))))


def _halves(part: OffsetRange) -> Iterator[OffsetRange]:
    middle = (part.start + part.end) // 2
    yield OffsetRange(part.start, middle)
    yield OffsetRange(middle, part.end)
