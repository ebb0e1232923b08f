"""The start of a query, and the decision where it starts, made before each start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

from pyspark.sql import SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from jobs.wiring.planning import Planning
from jobs.wiring.topics import require_outputs, require_rights
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.config import client_config, spark_options
from streaming.adapters.kafka.ledger import LedgerTopics
from streaming.adapters.kafka.marks import MarkStore
from streaming.adapters.kafka.newcomers import KafkaNewcomers
from streaming.adapters.kafka.start import KafkaStart
from streaming.clock import system_clock
from streaming.delivery.marks import Writer
from streaming.delivery.write_order import Limits
from streaming.engines.breaker import Breaker
from streaming.engines.checkpoint import Checkpoint, set_aside, written_plainly
from streaming.engines.exact_ports import Fallback
from streaming.engines.ramp import Ramp, rows_per_batch
from streaming.engines.reconcile import StartPolicy, StartPorts, reconcile_marks
from streaming.engines.rest import Rest
from streaming.engines.rollout_ports import RolloutObserver, RolloutVersions
from streaming.engines.source import read_stream
from streaming.engines.supervisor import BatchFunction, StartQuery
from streaming.engines.table_arms import TableSource
from streaming.ledger.plan import Ledger
from streaming.models.slot import Slot
from streaming.operations.lookout import Lookout
from streaming.operations.observer import JobObserver
from streaming.outputs.targets import Targets
from streaming.settings import Settings
from streaming.spark.batches import for_each_batch
from streaming.spark.codegen_stages import compiling

_SAMPLE = 200


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


@dataclass(frozen=True)
class RolloutParts:
    """What a rollout needs of the job: its versions, and who hears of its states."""

    versions: RolloutVersions
    observer: RolloutObserver


@dataclass(frozen=True)
class EngineParts:
    """What a job has before it holds the lease, and its engine works with.

    ``rollout`` is what rollouts need, ``tables`` has the tables of a job with many models, which has no rollouts.
    ``uptime`` gives seconds from any moment on: batches grow with the time for which a query has run.
    """

    slot: Slot
    fallback: Fallback
    breaker: Breaker
    stopping: threading.Event
    planning: Planning
    rollout: RolloutParts | None
    tables: TableSource | None = None
    uptime: Callable[[], float] = time.monotonic


def batch_bound(on: Footing, uptime: Callable[[], float]) -> Ramp:
    """Return the bound on a batch's rows, by the settings and the size of recent events."""
    limits = on.settings.input
    sample = on.admin.recent(on.writer.topic, _SAMPLE)
    return Ramp(rows_per_batch(limits.max_rows_per_batch, limits.max_bytes_per_batch, sample), uptime)


def fresh_query_starter(on: Footing, ramp: Ramp) -> StartQuery:
    """Return what starts a query by Spark's public API alone: its batches do not begin small, and it does not rest."""
    settings = on.settings

    def start_query(batch: BatchFunction) -> StreamingQuery:
        frame = read_stream(on.spark, spark_options(settings.kafka), on.writer.topic, reconciled(on), ramp.limit)
        writing = frame.writeStream.queryName(settings.application).foreachBatch(batch)
        every = f"{settings.engine.trigger_ms} milliseconds"
        return writing.option("checkpointLocation", on.checkpoint.location).trigger(processingTime=every).start()

    return start_query


def query_starter(on: Footing, ramp: Ramp) -> StartQuery:
    """Return what starts the query: the first time, and each time the supervisor starts it again."""
    settings, topic = on.settings, on.writer.topic

    def start_query(batch: BatchFunction) -> StreamingQuery:
        offsets = reconciled(on)
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


def reconciled(on: Footing) -> Mapping[int, int]:
    """Bring marks and checkpoint into agreement; see :func:`streaming.engines.reconcile.reconcile_marks`."""
    kafka = on.settings.kafka
    store = MarkStore(client_config(kafka), on.writer, on.limits)
    topics = LedgerTopics(on.settings.output.ledger, on.targets.progress)
    ports = StartPorts(
        writer=on.writer,
        broker=KafkaStart(kafka=kafka, admin=on.admin, store=store, topics=topics, clock=system_clock),
        ledger=on.ledger,
        checkpoint=on.checkpoint,
        observer=on.observer,
        require_usable=lambda: require_usable(on),
        set_aside=lambda stamp: set_aside(on.spark, on.checkpoint.location, stamp),
        clock=system_clock,
    )
    policy = StartPolicy(on.settings.input.starting, skip=on.settings.input.on_gap == "skip")
    return reconcile_marks(ports, policy)


def require_usable(on: Footing) -> None:
    """See that the topics are there and may be read and written, which the query's own errors do not tell."""
    require_outputs(on.admin, on.targets)
    require_rights(on.settings, on.admin)


def lookout(on: Footing) -> Lookout:
    """Return what keeps looking at the topics while the query runs, and brings what is wrong to log and health."""
    return Lookout(lambda: require_usable(on), on.observer.outputs_seen)


def absolute(location: str) -> str:
    """Return a checkpoint's location as a URI, a plain path being this machine's."""
    return location if urlparse(location).scheme else Path(location).resolve().as_uri()
