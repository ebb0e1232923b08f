"""The scoring job put together: settings to adapters to engine. What was opened is closed in the reverse order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.following import follow, make_slot, preparation, registry
from jobs.setup import jars
from jobs.starting import Footing, absolute, query_starter
from jobs.stopping import children_ignore_signals
from jobs.topics import Topics, prepare_topics
from streaming.adapters.hooks import hooks_from
from streaming.adapters.kafka import KafkaAdmin, TopicSample
from streaming.adapters.kafka_config import client_config
from streaming.adapters.kafka_events import KafkaModelEvents
from streaming.adapters.kafka_ledger import KafkaLedger
from streaming.adapters.session import SessionPlan, start_session
from streaming.clock import system_clock
from streaming.delivery.marks import Mark, Writer
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.delivery.plan import Limits
from streaming.engines.breaker import Bounds, Breaker
from streaming.engines.checkpoint import Checkpoint, reader_for
from streaming.engines.exact import ExactEngine, ExactPorts, Tolerance
from streaming.engines.supervisor import Restarts, Supervisor
from streaming.engines.task import WriteTarget
from streaming.failpoints import Failpoints
from streaming.models.follower import Follower
from streaming.models.slot import Slot
from streaming.operations.health import Health
from streaming.operations.http import HttpServer, Operations, create_app
from streaming.operations.listener import ProgressListener
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver
from streaming.operations.webhook import WebhookReceiver
from streaming.settings import Settings

HOME = Path(".penstock")


@dataclass(frozen=True)
class ScoringJob:
    """A job that is ready to run: a version is loaded and the lease is held."""

    engine: ExactEngine
    supervisor: Supervisor

    def run(self) -> None:
        """Score until :meth:`stop`; see :meth:`streaming.engines.supervisor.Supervisor.run` for what it raises."""
        self.supervisor.run(self.engine)

    def stop(self) -> None:
        """Finish the batch in progress, then let :meth:`run` return. Safe in a signal handler."""
        self.supervisor.stop()


@dataclass(frozen=True)
class _Shared:
    """What the parts of one job have in common."""

    settings: Settings
    admin: KafkaAdmin
    slot: Slot
    metrics: Metrics
    health: Health
    observer: JobObserver
    stack: ExitStack


@contextmanager
def scoring_job(settings: Settings, *, submitted: bool) -> Iterator[ScoringJob]:
    """Open a job, and close everything it opened at the end.

    What is wrong with the settings or the topics is raised before Spark starts.

    Args:
        settings: the configuration.
        submitted: a spark-submit started this process.
    """
    with ExitStack() as stack:
        slot, metrics = make_slot(settings), Metrics(system_clock, AGE_BOUNDS)
        health = Health(slot, system_clock)
        admin = KafkaAdmin(settings.kafka, settings.application)
        shared = _Shared(settings, admin, slot, metrics, health, JobObserver(metrics, health), stack)
        registry(settings.model)
        topics = prepare_topics(settings, admin)
        spark = _spark(shared, submitted)
        follower = _follower(shared, spark)
        breaker = _breaker(shared, follower)
        _serve(shared, follower)
        follower.load_first()
        follower.start()
        stack.callback(follower.stop)
        yield _job(shared, spark, topics, follower, breaker)


def _spark(shared: _Shared, submitted: bool) -> SparkSession:
    settings = shared.settings
    connector = () if submitted else tuple(Path(jar) for jar in jars(HOME).connector_jars())
    plan = SessionPlan(settings.application, submitted, settings.spark.master, settings.spark.conf, connector)
    with children_ignore_signals():
        spark = start_session(plan)
    shared.stack.callback(spark.stop)
    spark.streams.addListener(ProgressListener(settings.application, shared.observer))
    return spark


def _follower(shared: _Shared, spark: SparkSession) -> Follower:
    settings = shared.settings
    events = KafkaModelEvents(settings.kafka, settings.output.model_events)
    hooks = hooks_from(settings.hooks, system_clock)
    shared.stack.callback(events.close)
    for hook in hooks:
        shared.stack.callback(hook.close)
    checks = preparation(settings, spark, TopicSample(shared.admin, settings.input.topic))
    return follow(settings, shared.slot, checks, shared.metrics, [events, *hooks])


def _breaker(shared: _Shared, follower: Follower) -> Breaker:
    engine = shared.settings.engine
    bounds = Bounds(engine.max_bad_share, engine.bad_share_window_seconds, engine.bad_share_min_rows)
    return Breaker(bounds, system_clock, [shared.observer, follower])


def _serve(shared: _Shared, follower: Follower) -> None:
    http = shared.settings.http
    if not http.enabled:
        return
    secret = http.webhook_secret.get_secret_value() if http.webhook_secret else None
    model = shared.settings.model.name
    webhook = WebhookReceiver(secret, model, follower.wake, system_clock) if secret else None
    operations = Operations(shared.metrics, shared.health, shared.slot, webhook)
    server = HttpServer(create_app(operations), http.host, http.port)
    shared.stack.callback(server.stop)
    server.start()


def _job(shared: _Shared, spark: SparkSession, topics: Topics, follower: Follower, breaker: Breaker) -> ScoringJob:
    settings, source = shared.settings, topics.source
    ledger = KafkaLedger(settings.kafka, settings.output.ledger, settings.application, source.name, system_clock)
    shared.stack.callback(ledger.close)
    writer = Writer(settings.application, source.name, source.id, ledger.open())
    location = absolute(settings.checkpoint)
    checkpoint = Checkpoint(location, source.name, reader_for(spark, location))
    limits = Limits(settings.engine.transaction_max_bytes, settings.engine.transaction_timeout_ms)
    failpoints = Failpoints(settings.engine.failpoints)
    target = WriteTarget(client_config(settings.kafka), writer, topics.targets, limits, failpoints)

    def first_offsets(added: list[int]) -> dict[int, int]:
        return shared.admin.offsets(source.name, added, "earliest")

    def marks(added: list[int]) -> dict[int, Mark | None]:
        return shared.admin.marks(source.name, added)

    ports = ExactPorts(
        shared.slot, follower, ledger, checkpoint, first_offsets, marks, shared.observer, breaker, system_clock
    )
    tolerance = Tolerance(settings.engine.max_poison_rows, settings.model.rollback_after_failures)
    restarts = Restarts(settings.engine.restart_seconds, settings.engine.max_restarts)
    query = query_starter(Footing(settings, shared.admin, spark, writer, ledger, checkpoint))
    return ScoringJob(ExactEngine(ports, target, tolerance), Supervisor(query, restarts, shared.observer, breaker))
