"""The scoring job put together: settings to adapters to engine. What was opened is closed in the reverse order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pyspark.sql import SparkSession

from jobs.configuration.paths import require_writable, require_writable_uri
from jobs.process import collector
from jobs.process.stopping import StopRequest, children_ignore_signals
from jobs.wiring.class_archive import archive_options
from jobs.wiring.fallbacks import load_champion
from jobs.wiring.following import follow, make_slot, preparation, registry, wanted_scorer
from jobs.wiring.jars import jars
from jobs.wiring.live import check_slots, local_master
from jobs.wiring.lookups import lookup_of, require_table, warm_table
from jobs.wiring.many import ManyOutlets, follow_many, has_many, model_selector
from jobs.wiring.planning import Planning, listener_for, planning_for
from jobs.wiring.rollouts import rollout_parts
from jobs.wiring.running import breaker_for, run_engine, taken_over
from jobs.wiring.starting import EngineParts, RolloutParts, absolute
from jobs.wiring.topics import prepare_topics, require_rights
from streaming.adapters.hooks import hooks_from
from streaming.adapters.kafka.admin import KafkaAdmin, TopicSample
from streaming.adapters.kafka.events import KafkaNews, read_model_events
from streaming.adapters.kafka.lease import KafkaLease
from streaming.adapters.kafka.output_topics import concerns
from streaming.adapters.session import SessionPlan, start_session
from streaming.clock import Stopwatch, system_clock
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.engines.breaker import Breaker
from streaming.engines.checkpoint import local_checkpoint
from streaming.engines.reconcile import require_own
from streaming.errors import PenstockError
from streaming.models.announcer import ModelEventSink
from streaming.models.candidate import Preparation
from streaming.models.follower import Follower
from streaming.models.gate import Gate
from streaming.models.heritage import Heritage
from streaming.models.many_follower import ManyFollower
from streaming.models.ref import ModelSelector
from streaming.models.routing import RoutingRule
from streaming.models.slot import Slot
from streaming.operations.admin import Access, Controls
from streaming.operations.health import Health
from streaming.operations.http import HttpServer, Operations, create_app, require_free
from streaming.operations.lease import Lease
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver
from streaming.operations.pulse import Pulse
from streaming.operations.webhook import WebhookReceiver
from streaming.settings import Settings
from streaming.spark.jvm import heartbeat
from streaming.spark.symbols import NEEDED_BY_KEPT, moved

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
HOME = Path(".penstock")


@dataclass(frozen=True)
class _Shared:
    """What the parts of one job have in common. What is on ``last`` is closed after all that is on ``stack``."""

    settings: Settings
    stopping: StopRequest
    admin: KafkaAdmin
    slot: Slot
    observer: JobObserver
    stack: ExitStack
    last: ExitStack


@dataclass(frozen=True)
class ScoringJob:
    """A job that is warm: Spark is up, and a version is loaded and followed. It scores as soon as it has the lease."""

    shared: _Shared
    spark: SparkSession
    planning: Planning
    follower: Follower | ManyFollower
    breaker: Breaker
    gate: Gate
    rollout: RolloutParts | None

    def run(self) -> None:
        """Stand by until the lease is ours, then score until asked to stop.

        Raises:
            ConfigurationError: the broker refuses us the lease.
            BrokerUnavailableError: it does not answer while we take over.
            PenstockError: the JVM hung, and came back; and see :meth:`streaming.engines.supervisor.Supervisor.run`.
        """
        settings, observer = self.shared.settings, self.shared.observer
        lease = KafkaLease(
            kafka=settings.kafka,
            ledger=settings.output.ledger,
            application=settings.application,
            seconds=settings.engine.lease_seconds,
            observer=observer,
        )
        observer.standing_by()
        watch = Stopwatch()
        pulse = Pulse(heartbeat(self.spark), settings.engine.hung_seconds, self._hung(lease))
        pulse.start()
        try:
            if lease.wait(self.shared.stopping.asked):
                watch.lap("waiting")
                with taken_over(settings, self.shared.admin, self.spark, observer) as footing:
                    observer.lease_taken(footing.writer.epoch, watch.phases["waiting"])
                    self.follower.inherit(self._heritage())
                    self.gate.open()
                    run_engine(footing, self._parts())
        finally:
            pulse.stop()
            lease.leave()
        if pulse.is_lost:
            raise PenstockError("the JVM hung and the lease was given up; start this driver again, as a standby")

    def _hung(self, lease: Lease) -> Callable[[float], None]:
        """Return what ends a driver whose JVM hangs. It cannot stop in order, so the request's bound ends it."""

        def end(seconds: float) -> None:
            self.shared.observer.hung(seconds)
            lease.leave()
            self.stop()

        return end

    def stop(self) -> None:
        """Finish the batch in progress, then let :meth:`run` return."""
        self.shared.stopping.ask()

    def _heritage(self) -> Heritage:
        settings = self.shared.settings
        events = read_model_events(settings.kafka, settings.output.model_events)
        if has_many(settings):
            return Heritage.of_models(events, settings.application, lambda name: str(model_selector(settings, name)))
        return Heritage.of(events, settings.application, str(ModelSelector.from_settings(settings.model)))

    def _parts(self) -> EngineParts:
        shared = self.shared
        return EngineParts(
            slot=shared.slot,
            fallback=self.follower,
            breaker=self.breaker,
            stopping=shared.stopping.asked,
            planning=self.planning,
            rollout=self.rollout,
            tables=self.follower if isinstance(self.follower, ManyFollower) else None,
        )


@contextmanager
def scoring_job(settings: Settings, stopping: StopRequest, *, submitted: bool) -> Iterator[ScoringJob]:
    """Open a job, and close everything it opened at the end.

    What is wrong with the settings or the topics is raised before Spark starts.

    Args:
        settings: the configuration.
        stopping: by whom the job is asked to stop, and whom its HTTP endpoint asks.
        submitted: a spark-submit started this process.
    """
    with ExitStack() as last, ExitStack() as stack:
        slot, metrics = make_slot(settings), Metrics(system_clock, AGE_BOUNDS)
        admin = KafkaAdmin(settings.kafka, settings.application)
        observer = JobObserver(metrics, Health(slot, system_clock))
        shared = _Shared(
            settings=settings, stopping=stopping, admin=admin, slot=slot, observer=observer, stack=stack, last=last
        )
        # Made and dropped: a registry that cannot be used is named before Spark starts.
        registry(settings.model)
        _require_resources(settings)
        topics = prepare_topics(settings, admin)
        require_rights(settings, admin)
        require_table(settings, admin)
        if settings.engine.kind == "exact":
            require_own(local_checkpoint(absolute(settings.checkpoint), settings.input.topic))
        for concern in concerns(topics.source, topics.targets, timed=settings.engine.kind == "exact"):
            _log.warning("an output topic takes less than the input", problem=concern)
        partitions = topics.source.partitions
        spark = _spark(shared, submitted, partitions)
        planning = planning_for(settings.engine, lambda: moved(spark, NEEDED_BY_KEPT), observer.health)
        spark.streams.addListener(listener_for(planning, settings.application, observer))
        gate = Gate(_listeners(shared))
        follower, rollout = _followed(shared, spark, gate)
        breaker = breaker_for(settings.engine, [observer, follower])
        job = ScoringJob(
            shared=shared,
            spark=spark,
            planning=planning,
            follower=follower,
            breaker=breaker,
            gate=gate,
            rollout=rollout,
        )
        _serve(job)
        collector.freeze_startup_objects()
        warm_table(settings, spark)
        load_champion(settings, follower, stopping.asked)
        follower.start()
        stack.callback(follower.stop)
        yield job


def _followed(shared: _Shared, spark: SparkSession, gate: Gate) -> tuple[Follower | ManyFollower, RolloutParts | None]:
    """Return what follows the registry, and what rollouts need of a job with one model."""
    settings = shared.settings
    if has_many(settings):
        outlets = ManyOutlets(shared.observer, gate)
        return follow_many(settings, shared.slot, spark, outlets, shared.stack), None
    checks = _checks(shared, spark)
    follower = follow(settings, shared.slot, checks, shared.observer.metrics, [gate])
    if settings.lookup.topic is not None:
        return follower, None
    return follower, rollout_parts(settings, checks, follower, shared.observer, gate)


def _require_resources(settings: Settings) -> None:
    """Raise ``ConfigurationError`` for a path that cannot be written, or a port that is taken."""
    require_writable(settings.model.cache_dir, "model.cache_dir")
    if settings.lookup.topic is not None:
        require_writable(settings.lookup.folder, "lookup.folder")
    require_writable_uri(settings.checkpoint, "engine.checkpoint")
    if settings.http.enabled:
        require_free(settings.http.host, settings.http.port)


def _spark(shared: _Shared, submitted: bool, partitions: int) -> SparkSession:
    settings = shared.settings
    master = local_master(settings, partitions)
    plan = SessionPlan(application=settings.application, submitted=submitted, master=master, conf=settings.spark.conf)
    if not submitted:
        plan = replace(plan, java_options=archive_options(), jars=tuple(map(Path, jars(HOME).connector_jars())))
    # The JVM must outlive a signal to the whole group: the batch in progress still needs it.
    with children_ignore_signals():
        spark = start_session(plan)
    shared.stack.callback(spark.stop)
    if settings.engine.kind == "live":
        check_slots(settings, spark, partitions)
    return spark


def _listeners(shared: _Shared) -> list[ModelEventSink]:
    settings = shared.settings
    events = KafkaNews(settings.kafka, settings.output.model_events)
    audit = KafkaNews(settings.kafka, settings.output.ledger, settings.application)
    hooks = hooks_from(settings.hooks, system_clock)
    shared.stack.callback(events.close)
    shared.stack.callback(audit.close)
    for hook in hooks:
        shared.stack.callback(hook.close)
    return [events, audit, *hooks]


def _checks(shared: _Shared, spark: SparkSession) -> Preparation:
    settings = shared.settings
    sample = TopicSample(shared.admin, settings.input.topic)
    return preparation(settings, spark, sample, wanted_scorer(settings), lookup_of(settings))


def _serve(job: ScoringJob) -> None:
    """Answer over HTTP until everything else is closed, so that an endpoint that is gone means a job that has ended."""
    shared, http = job.shared, job.shared.settings.http
    if not http.enabled:
        return
    secret = http.webhook_secret.get_secret_value() if http.webhook_secret else None
    model = "" if has_many(shared.settings) else shared.settings.model.name
    is_ours = RoutingRule.from_settings(shared.settings.models).claims if not model else model.__eq__
    webhook = WebhookReceiver(secret, is_ours, job.follower.wake, system_clock) if secret else None
    token = http.admin_token.get_secret_value() if http.admin_token else None
    controls = Controls(
        model=model,
        stop=job.stop,
        resume=job.breaker.resume,
        hold=job.follower.hold,
        active=lambda: job.gate.is_open,
    )
    observer = shared.observer
    operations = Operations(
        metrics=observer.metrics,
        health=observer.health,
        slot=shared.slot,
        webhook=webhook,
        admin=(controls, Access(http.host, token)),
        rollout=observer.rollout,
    )
    server = HttpServer(create_app(operations), http.host, http.port)
    shared.last.callback(server.stop)
    server.start()
