"""What a job does once it holds the lease: it fences earlier drivers, and runs the engine that its settings name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark.sql import SparkSession

from jobs.wiring.exact import run_exact
from jobs.wiring.live import live_checkpoints, run_live
from jobs.wiring.starting import EngineParts, Footing, absolute, lookout
from jobs.wiring.topics import prepare_topics, require_rights
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.ledger import KafkaLedger, LedgerTopics
from streaming.clock import system_clock
from streaming.delivery.marks import Writer
from streaming.engines.breaker import Bounds, Breaker, PauseListener
from streaming.engines.checkpoint import Checkpoint, reader_for
from streaming.operations.observer import JobObserver
from streaming.settings import EngineSettings, Settings


def breaker_for(engine: EngineSettings, listeners: Sequence[PauseListener]) -> Breaker:
    """Return the circuit breaker, which tells ``listeners`` of its pauses."""
    bounds = Bounds(engine.max_bad_share, engine.bad_share_window_seconds, engine.bad_share_min_rows)
    return Breaker(bounds, system_clock, listeners)


@contextmanager
def taken_over(settings: Settings, admin: KafkaAdmin, spark: SparkSession, observer: JobObserver) -> Iterator[Footing]:
    """Fence every earlier driver; the ledger is closed at the end.

    The topics are looked at anew: a standby may have waited for weeks.

    Raises:
        ConfigurationError: a topic is missing, or would not keep what it must, or the job may not use it.
        BrokerUnavailableError: Kafka does not answer.
    """
    topics = prepare_topics(settings, admin)
    require_rights(settings, admin)
    source = topics.source
    books = LedgerTopics(settings.output.ledger, topics.targets.progress)
    ledger = KafkaLedger(
        kafka=settings.kafka, topics=books, application=settings.application, source=source.name, clock=system_clock
    )
    try:
        yield Footing(
            settings=settings,
            admin=admin,
            spark=spark,
            writer=Writer(settings.application, source.name, source.id, ledger.open()),
            targets=topics.targets,
            ledger=ledger,
            checkpoint=_checkpoint(settings, spark, source.name),
            observer=observer,
        )
    finally:
        ledger.close()


def _checkpoint(settings: Settings, spark: SparkSession, topic: str) -> Checkpoint:
    location = absolute(live_checkpoints(settings) if settings.engine.kind == "live" else settings.checkpoint)
    return Checkpoint(location, topic, reader_for(spark, location))


def run_engine(on: Footing, parts: EngineParts) -> None:
    """Score until asked to stop; meanwhile a lookout sees whether the topics may still be used.

    Raises:
        PenstockError: see :meth:`streaming.engines.supervisor.Supervisor.run` and
            :meth:`streaming.engines.live.LiveEngine.run`.
    """
    with lookout(on):
        if on.settings.engine.kind == "live":
            run_live(on, parts)
        else:
            run_exact(on, parts)
