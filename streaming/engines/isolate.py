"""Finding the rows on which a pipeline throws, by halves, with actions that write nothing.

Spark fails a whole batch for one row and does not say which. The decoded batch is kept in memory meanwhile, so that
Kafka is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.offsets import OffsetRange, Ranges
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.score import score_decoded

Poison = tuple[tuple[int, int], ...]
"""Partition and offset of each row to keep from the pipeline."""


def isolate(records: DataFrame, pipeline: SparkPipeline, ranges: Ranges, most: int) -> Poison:
    """Return the rows that make the pipeline throw; empty if it does not throw any more.

    Raises:
        ScoringError: more than ``most`` rows throw, which is the model's fault.
    """
    return isolate_decoded(pipeline.decoder(records), pipeline, ranges, most)


def isolate_decoded(decoded: DataFrame, pipeline: SparkPipeline, ranges: Ranges, most: int) -> Poison:
    """Do the same with rows that a decoder has read; see :func:`isolate`."""
    decoded.persist()
    try:
        search = _Search(_probe(decoded, pipeline), most)
        for partition, part in ranges.items():
            search.within(partition, part)
        return tuple(search.found)
    finally:
        decoded.unpersist()


def _probe(decoded: DataFrame, pipeline: SparkPipeline) -> Callable[[int, OffsetRange], str]:
    def probe(partition: int, part: OffsetRange) -> str:
        offset = F.col(c.OFFSET)
        rows = decoded.where((F.col(c.PARTITION) == partition) & (offset >= part.start) & (offset < part.end))
        try:
            score_decoded(rows, pipeline).write.format("noop").mode("overwrite").save()
        except (PySparkException, Py4JJavaError) as problem:
            return str(problem) or type(problem).__name__
        return ""

    return probe


@dataclass
class _Search:
    probe: Callable[[int, OffsetRange], str]
    most: int

    def __post_init__(self) -> None:
        self.found: list[tuple[int, int]] = []

    def within(self, partition: int, part: OffsetRange) -> None:
        waiting = [part]
        while waiting:
            part = waiting.pop()
            problem = self.probe(partition, part) if part.end > part.start else ""
            if problem and part.end - part.start == 1:
                self._add(partition, part.start, problem)
            elif problem:
                waiting.extend(reversed(list(_halves(part))))

    def _add(self, partition: int, offset: int, problem: str) -> None:
        self.found.append((partition, offset))
        if len(self.found) > self.most:
            raise ScoringError(
                f"the model throws on more than {self.most} rows of one batch (engine.max_poison_rows);"
                f" the last at partition {partition}, offset {offset}: {problem.splitlines()[0]}"
            )


def _halves(part: OffsetRange) -> Iterator[OffsetRange]:
    middle = (part.start + part.end) // 2
    yield OffsetRange(part.start, middle)
    yield OffsetRange(middle, part.end)
