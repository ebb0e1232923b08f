"""A real-time query: one version's plan from Kafka to Kafka, in the JVM alone, and what Spark says of its batches.

Such a query hands every record on as it comes. Its batches are only the times, some seconds apart, at which Spark waits
for what was written to be acknowledged and notes how far it has come; a progress report says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from schemas.dead_letter import Reason
from streaming.delivery.outcome import ArmOutcome, Outcome
from streaming.engines.checkpoint import written_plainly
from streaming.engines.live_arms import LiveArms
from streaming.engines.source import read_real_time
from streaming.engines.task import stamps_of
from streaming.ledger.arms import PlannedArms
from streaming.offsets import OffsetRange, Ranges
from streaming.outputs.envelope import envelop
from streaming.outputs.spark_rows import native_records, now
from streaming.outputs.targets import Targets
from streaming.spark.codegen_stages import allow_large
from streaming.spark.reports import last_report

_COUNTS = "penstock"
_PREDICTIONS, _NEWEST = "predictions", "newest"
_FOR_COUNTING = ("reason", "event_time", "arm")
"""Columns of :func:`outputs` that are no part of the records."""


@dataclass(frozen=True)
class Route:
    """What all of one job's queries have in common. ``options`` are Spark's for Kafka and may hold secrets."""

    application: str
    topic: str
    targets: Targets
    options: Mapping[str, str]
    checkpoint_seconds: float


@dataclass(frozen=True)
class Boundary:
    """The end of one batch: everything in ``ranges`` is written and acknowledged."""

    batch: int
    ranges: Ranges
    rows: int
    outcome: Outcome
    seconds: float
    phases: Mapping[str, float]
    lag: Mapping[int, int]


def outputs(records: DataFrame, scoring: LiveArms, route: Route) -> DataFrame:
    """Return the records to write, predictions and dead letters in one frame; see :func:`native_records`."""
    model, stamps = scoring.model, stamps_of(scoring.arms, route.topic, "")
    decoded = _apart(model.decoder(records), "decoded")
    scored = _apart(model.scorer.score(decoded), "scored")
    rows = envelop(scored, stamps[0], route.targets.predictions, now(), stamps[1:])
    return native_records(_apart(rows, "enveloped"), stamps, route.application, route.targets)


def _apart(frame: DataFrame, name: str) -> DataFrame:
    """End a compiled stage here, by counting, which Spark does not compile; see :mod:`streaming.spark.codegen_stages`.

    One stage for all of a plan is given up for its size, and then each task makes the code of each projection anew at
    each boundary.
    """
    return frame.observe(f"{_COUNTS}_{name}", F.count(F.lit(1)))


def counts(arms: PlannedArms) -> list[Column]:
    """Return what is counted on the way of each arm: predictions, and dead letters by reason.

    In a rollout, also the latest time of the events that have a prediction.
    """
    counted = []
    for number, arm in enumerate(arms.arms):
        own = F.col("arm") == number if len(arms.arms) > 1 else F.lit(True)
        counted += [
            column.alias(f"{arm.role}.{name}") for name, column in _counts_of(own, timed=arms.weights is not None)
        ]
    return counted


def _counts_of(own: Column, *, timed: bool) -> Iterator[tuple[str, Column]]:
    reason = F.col("reason")
    yield _PREDICTIONS, F.count_if(own & reason.isNull())
    for code in Reason:
        yield code.value, F.count_if(own & (reason == code.value))
    if timed:
        yield _NEWEST, F.max(F.when(own & reason.isNull(), F.col("event_time")))


def to_send(frame: DataFrame) -> DataFrame:
    """Return the records alone of what :func:`outputs` returned."""
    return frame.drop(*_FOR_COUNTING)


class QueryHome(NamedTuple):
    """A query's name and its checkpoint, which must be new."""

    name: str
    checkpoint: str


def start_query(
    session: SparkSession, scoring: LiveArms, route: Route, home: QueryHome, starting: Mapping[int, int]
) -> StreamingQuery:
    """Start a real-time query.

    Args:
        session: where it runs.
        scoring: the version that scores, or those of its arms.
        route: what it reads and writes.
        home: how the query is called, and where it keeps its checkpoint.
        starting: the first offset of each partition.
    """
    name, checkpoint = home
    allow_large(session)
    frame = outputs(read_real_time(session, route.options, route.topic, starting), scoring, route)
    frame = to_send(frame.observe(_COUNTS, *counts(scoring.arms)))
    writing: DataStreamWriter = frame.writeStream.queryName(name).format("kafka").options(**sink_options(route.options))
    every = f"{route.checkpoint_seconds * 1000:.0f} milliseconds"
    writing = writing.option("checkpointLocation", checkpoint).outputMode("update")
    writing = writing.trigger(realTime=every)  # type: ignore[call-overload]  # not in its stubs
    with written_plainly(session, checkpoint):
        return writing.start()


def sink_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return the sink's options: it waits for no company, and loses and refuses nothing that its topic takes."""
    # With one request under way at a time, a record goes out at once, or with those that came meanwhile. Up to five, by
    # default, are a request a record, which took the broker half as much again and was slower from 1,000 a second on.
    quick = {"kafka.linger.ms": "0", "kafka.max.in.flight.requests.per.connection": "1"}
    # The topic's limit is checked before, with a better answer.
    return {**quick, **options, "kafka.acks": "all", "kafka.max.request.size": "1000000000"}


def outcome_of(counted: Mapping[str, Any]) -> Outcome:
    """Return what :func:`counts` counted."""
    arms: dict[str, ArmOutcome] = {}
    for name, count in counted.items():
        role, _, counter = name.partition(".")
        arm = arms.setdefault(role, ArmOutcome())
        if counter == _NEWEST:
            arm.newest = count or ""
        elif counter == _PREDICTIONS:
            arm.predictions = int(count or 0)
        elif count:
            arm.dead_letters[counter] = int(count)
    total = sum(arms.values(), ArmOutcome())
    return Outcome(total.predictions, total.dead_letters, arms=arms)


def last_boundary(query: StreamingQuery, topic: str, starting: Mapping[int, int]) -> Boundary | None:
    """Return the end of the query's last finished batch; ``None`` before the first."""
    report = last_report(query)
    return None if report is None else read_progress(json.loads(report), topic, starting)


def read_progress(progress: Mapping[str, Any], topic: str, starting: Mapping[int, int]) -> Boundary:
    """Read Spark's report on one batch of a query that began at ``starting``; a partition added since began at 0."""
    source = progress["sources"][0]
    ends = _offsets(source["endOffset"], topic)
    starts = _offsets(source["startOffset"], topic) if source["startOffset"] else starting
    ranges = {p: OffsetRange(starts.get(p, 0), end) for p, end in ends.items()}
    durations = {name: millis / 1000 for name, millis in progress["durationMs"].items()}
    return Boundary(
        batch=int(progress["batchId"]),
        ranges=ranges,
        rows=int(progress["numInputRows"]),
        outcome=outcome_of(progress.get("observedMetrics", {}).get(_COUNTS, {})),
        seconds=durations.pop("triggerExecution", 0.0),
        phases=durations,
        lag=_lag(source, ends, topic),
    )


def _lag(source: Mapping[str, Any], ends: Mapping[int, int], topic: str) -> dict[int, int]:
    latest = _offsets(source["latestOffset"], topic) if source.get("latestOffset") else {}
    return {p: max(0, latest[p] - end) for p, end in ends.items() if p in latest}


def _offsets(reported: Any, topic: str) -> dict[int, int]:
    by_topic = json.loads(reported) if isinstance(reported, str) else reported
    return {int(partition): int(offset) for partition, offset in by_topic[topic].items()}
