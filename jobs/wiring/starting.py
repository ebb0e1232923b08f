"""Where the query starts, decided anew before each start, and the start itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import structlog
from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.wiring.topics import require_outputs, require_rights, rows_per_batch
from streaming.adapters.kafka import KafkaAdmin
from streaming.adapters.kafka_claim import Claim
from streaming.adapters.kafka_config import client_config, spark_options
from streaming.adapters.kafka_ledger import LedgerTopics
from streaming.adapters.kafka_marks import MarkStore
from streaming.adapters.kafka_moves import MarkMover
from streaming.adapters.kafka_newcomers import KafkaNewcomers
from streaming.adapters.kafka_progress import saved_marks
from streaming.clock import system_clock
from streaming.delivery.ledger import Ledger
from streaming.delivery.marks import Writer
from streaming.delivery.plan import Limits, Targets
from streaming.engines.checkpoint import Checkpoint, set_aside, written_plainly
from streaming.engines.ramp import Ramp
from streaming.engines.rest import Rest
from streaming.engines.source import read_stream
from streaming.engines.start import Found, Move, Start, decide_start
from streaming.engines.supervisor import BatchFunction, StartQuery
from streaming.errors import BrokerUnavailableError, TopicRecreatedError
from streaming.offsets import OffsetRange
from streaming.operations.lookout import Lookout
from streaming.operations.observer import JobObserver
from streaming.settings import Settings
from streaming.spark.batches import for_each_batch
from streaming.spark.codegen_stages import compiling

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
_SAMPLE = 200
_ATTEMPTS = 5


@dataclass(frozen=True)
class Footing:
    """What a start is decided by: who writes and where, what is recorded, what Spark's checkpoint says."""

    settings: Settings
    admin: KafkaAdmin
    spark: SparkSession
    writer: Writer
    targets: Targets
    ledger: Ledger
    checkpoint: Checkpoint
    observer: JobObserver

    @property
    def limits(self) -> Limits:
        """The writer's bounds."""
        engine = self.settings.engine
        return Limits(engine.transaction_max_bytes, engine.transaction_timeout_ms, self.targets.batch_bytes)


def batch_bound(on: Footing) -> Ramp:
    """Return the bound on a batch's rows, by the settings and the size of recent events."""
    return Ramp(rows_per_batch(on.settings.input, on.admin.recent(on.writer.topic, _SAMPLE)))


def fresh_query_starter(on: Footing, ramp: Ramp) -> StartQuery:
    """Return what starts a query by Spark's public API alone: its batches do not begin small, and it does not rest."""
    settings = on.settings

    def start_query(batch: BatchFunction) -> StreamingQuery:
        frame = read_stream(on.spark, spark_options(settings.kafka), on.writer.topic, settle(on), ramp.limit)
        writing = frame.writeStream.queryName(settings.application).foreachBatch(batch)
        every = f"{settings.engine.trigger_ms} milliseconds"
        return writing.option("checkpointLocation", on.checkpoint.location).trigger(processingTime=every).start()

    return start_query


def query_starter(on: Footing, ramp: Ramp) -> StartQuery:
    """Return what starts the query: the first time, and each time the supervisor starts it again."""
    settings, topic = on.settings, on.writer.topic

    def start_query(batch: BatchFunction) -> StreamingQuery:
        offsets = settle(on)
        frame = read_stream(on.spark, spark_options(settings.kafka), topic, offsets, ramp.begin())
        newcomers = KafkaNewcomers(settings.kafka, on.admin, topic, settings.application)
        rest = Rest(newcomers)
        writing = for_each_batch(frame.writeStream.queryName(settings.application), rest.seen(batch))
        every = f"{settings.engine.trigger_ms} milliseconds"
        writing = writing.option("checkpointLocation", on.checkpoint.location).trigger(processingTime=every)
        # Its session is a copy of ours as it is now. Code for reading Kafka would be made anew for each batch.
        with compiling(on.spark, False), written_plainly(on.spark, on.checkpoint.location):
            query = writing.start()
        if settings.engine.trigger_ms == 0:
            rest.watch(on.spark, query)
        return query

    return start_query


def settle(on: Footing) -> Mapping[int, int]:
    """Bring marks and checkpoint into agreement; return where a query without a checkpoint starts.

    Raises:
        ConfigurationError: the checkpoint is another topic's, or a right is missing.
        DataError: it is not possible without losing or doubling records; see :func:`decide_start`.
        FencedError: a younger driver has taken over.
        BrokerUnavailableError: the broker does not answer, or the marks do not keep still.
    """
    source = on.admin.required_topic(on.writer.topic)
    if source.id != on.writer.topic_id:
        raise TopicRecreatedError(
            f"{source.name} was deleted and created again while the job ran (id {on.writer.topic_id}, now {source.id})."
            " Start the job again, with --on-gap skip to score the new topic from its first record."
        )
    require_own(on.checkpoint)
    require_usable(on)
    partitions = range(source.partitions)
    # Before any mark is read: none of an earlier driver's tasks, asleep somewhere, may move it afterwards.
    store = MarkStore(client_config(on.settings.kafka), on.writer, on.limits)
    Claim(store).partitions(partitions)
    books = LedgerTopics(on.settings.output.ledger, on.targets.progress)
    mover = MarkMover(store, books, system_clock)
    for _ in range(_ATTEMPTS):
        start = _decide(on, partitions)
        if start.set_aside:
            _set_aside(on, start.set_aside)
        if all(_moved(on, mover, move) for move in start.moves):
            if start.new_marks:
                on.ledger.record_start(start.new_marks)
            return start.offsets
    raise BrokerUnavailableError(
        f"the marks of {on.writer.application} could not be set: somebody else moves them, or the broker refuses"
    )


def require_usable(on: Footing) -> None:
    """See that the topics are there and may be read and written, which the query's own errors do not tell."""
    require_outputs(on.admin, on.targets)
    require_rights(on.settings, on.admin)


def lookout(on: Footing) -> Lookout:
    """Return what keeps looking at the topics while the query runs, and brings what is wrong to log and health."""
    return Lookout(lambda: require_usable(on), on.observer.outputs_seen)


def require_own(checkpoint: Checkpoint | None) -> None:
    """Raise ``ConfigurationError`` if there is a checkpoint and it is of another topic than the one to be scored."""
    if checkpoint is not None:
        checkpoint.require_own({"input.topic": checkpoint.topic}, "engine.checkpoint")


def _decide(on: Footing, partitions: range) -> Start:
    topic, admin, skip = on.writer.topic, on.admin, on.settings.input.on_gap == "skip"
    where = on.settings.input.starting
    return decide_start(on.writer, _found(on, partitions), skip, lambda: admin.offsets(topic, partitions, where))


def _found(on: Footing, partitions: range) -> Found:
    """Read what a start is decided by; the marks first, as the topic only moves on from there."""
    settings, topic = on.settings, on.writer.topic
    marks = on.admin.marks(topic, partitions)
    saved = {}
    if len(marks) < len(partitions):
        saved = saved_marks(settings.kafka, settings.output.progress, settings.application, topic)
    known = {*marks, *saved}.issuperset(partitions)
    planned = frozenset() if known else on.ledger.planned()
    first, end = (on.admin.offsets(topic, partitions, where) for where in ("earliest", "latest"))
    return Found(marks, {p: OffsetRange(first[p], end[p]) for p in partitions}, saved, planned, _rereads(on))


def _rereads(on: Footing) -> Mapping[int, int] | None:
    """Say from where Spark may read again: from the last planned batch on, which may not be in its own commit log."""
    if not on.checkpoint.exists():
        return None
    checkpoint = on.checkpoint.id()
    plans = [plan for plan in on.ledger.recent() if plan.checkpoint == checkpoint]
    return {p: part.start for p, part in plans[-1].ranges.items()} if plans else on.checkpoint.first_offsets()


def _set_aside(on: Footing, reason: str) -> None:
    """Rename it; the record comes first, as a driver that has lost the lease must leave its successor's alone."""
    location = on.checkpoint.location
    on.ledger.record_set_aside(location, reason)
    kept = set_aside(on.spark, location, f"{system_clock():%Y%m%dT%H%M%S.%fZ}")
    _log.warning("checkpoint set aside", checkpoint=location, kept=kept, reason=reason)


def _moved(on: Footing, mover: MarkMover, move: Move) -> bool:
    if not mover.move(move):
        return False
    if move.gap is None:
        _log.warning("mark restored", partition=move.partition, offset=move.now.offset, reason=move.reason)
    else:
        on.observer.records_skipped(move.partition, move.gap.start, move.gap.end, move.reason)
    return True


def absolute(location: str) -> str:
    """Return a checkpoint's location as a URI, a plain path being this machine's."""
    return location if urlparse(location).scheme else Path(location).resolve().as_uri()
