"""The scoring job put together: settings to adapters to engine. What was opened is closed in the reverse order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import structlog
from pyspark.sql import SparkSession

from jobs.configuration.paths import require_writable, require_writable_uri
from jobs.process import collector
from jobs.process.stopping import StopRequest, children_ignore_signals
from jobs.wiring.class_archive import archive_options
from jobs.wiring.fallbacks import load_champion
from jobs.wiring.following import follow, make_announcer, make_slot, preparation, registry, scorer_setting
from jobs.wiring.jars import jars
from jobs.wiring.live import check_slots, local_master
from jobs.wiring.lookups import lookup_of, require_table, warm_table
from jobs.wiring.many import ManyOutlets, follow_many, has_many
from jobs.wiring.operations import serve_operations
from jobs.wiring.planning import listener_for, planning_for
from jobs.wiring.rollouts import rollout_parts
from jobs.wiring.running import breaker_for
from jobs.wiring.starting import RolloutParts, absolute
from jobs.wiring.topics import prepare_topics, require_rights
from jobs.wiring.warm_job import ScoringJob, SharedParts
from streaming.adapters.hooks import hooks_from
from streaming.adapters.kafka.admin import KafkaAdmin, TopicSample
from streaming.adapters.kafka.events import KafkaNews
from streaming.adapters.kafka.output_topics import concerns
from streaming.adapters.session import SessionPlan, start_session
from streaming.clock import system_clock
from streaming.delivery.outcome import AGE_BOUNDS
from streaming.engines.checkpoint import local_checkpoint
from streaming.engines.reconcile import require_own
from streaming.models.announcer import ModelEventSink
from streaming.models.candidate import Preparation
from streaming.models.follower import Follower
from streaming.models.gate import Gate
from streaming.models.many_follower import ManyFollower
from streaming.operations.health import Health
from streaming.operations.http import require_free
from streaming.operations.metrics import Metrics
from streaming.operations.observer import JobObserver
from streaming.settings import Settings
from streaming.spark.symbols import NEEDED_BY_KEPT, moved

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)
HOME = Path(".penstock")


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
        slot = make_slot(settings)
        shared = SharedParts(
            settings=settings,
            stopping=stopping,
            admin=KafkaAdmin(settings.kafka, settings.application),
            slot=slot,
            observer=JobObserver(Metrics(system_clock, AGE_BOUNDS), Health(slot, system_clock)),
            stack=stack,
            last=last,
        )
        partitions = _checked_partitions(settings, shared.admin)
        job = _started(shared, _spark(shared, submitted, partitions))
        serve_operations(job)
        collector.freeze_startup_objects()
        warm_table(settings, job.spark)
        load_champion(settings, job.follower, stopping.asked)
        job.follower.start()
        stack.callback(job.follower.stop)
        yield job


def _checked_partitions(settings: Settings, admin: KafkaAdmin) -> int:
    """Check what can be checked before Spark starts, and return how many partitions the input has."""
    # Made and dropped: a registry that cannot be used is named now.
    registry(settings.model)
    _require_resources(settings)
    topics = prepare_topics(settings, admin)
    require_rights(settings, admin)
    require_table(settings, admin)
    is_exact = settings.engine.kind == "exact"
    if is_exact:
        require_own(local_checkpoint(absolute(settings.checkpoint), settings.input.topic))
    for concern in concerns(topics.source, topics.targets, timed=is_exact):
        _log.warning("an output topic takes less than the input", problem=concern)
    return topics.source.partitions


def _started(shared: SharedParts, spark: SparkSession) -> ScoringJob:
    """Return the job with everything that listens or follows; no version is loaded yet."""
    settings, observer = shared.settings, shared.observer
    planning = planning_for(settings.engine, lambda: moved(spark, NEEDED_BY_KEPT), observer.health)
    spark.streams.addListener(listener_for(planning, settings.application, observer))
    gate = Gate(_listeners(shared))
    follower, rollout = _followed(shared, spark, gate)
    return ScoringJob(
        shared=shared,
        spark=spark,
        planning=planning,
        follower=follower,
        breaker=breaker_for(settings.engine, [observer, follower]),
        gate=gate,
        rollout=rollout,
    )


def _followed(
    shared: SharedParts, spark: SparkSession, gate: Gate
) -> tuple[Follower | ManyFollower, RolloutParts | None]:
    """Return what follows the registry, and what rollouts need of a job with one model."""
    settings = shared.settings
    if has_many(settings):
        outlets = ManyOutlets(shared.observer, gate)
        return follow_many(settings, shared.slot, spark, outlets, shared.stack), None
    checks = _checks(shared, spark)
    follower = follow(
        settings=settings,
        slot=shared.slot,
        checks=checks,
        announcer=make_announcer(settings, shared.observer.metrics, [gate]),
        registry=registry(settings.model),
    )
    if settings.lookup.source is not None:
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


def _spark(shared: SharedParts, submitted: bool, partitions: int) -> SparkSession:
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


def _listeners(shared: SharedParts) -> list[ModelEventSink]:
    settings = shared.settings
    events = KafkaNews(settings.kafka, settings.output.model_events)
    audit = KafkaNews(settings.kafka, settings.output.ledger, settings.application)
    hooks = hooks_from(settings.hooks, system_clock)
    shared.stack.callback(events.close)
    shared.stack.callback(audit.close)
    for hook in hooks:
        shared.stack.callback(hook.close)
    return [events, audit, *hooks]


def _checks(shared: SharedParts, spark: SparkSession) -> Preparation:
    settings = shared.settings
    sample = TopicSample(shared.admin, settings.input.topic)
    return preparation(settings, spark, sample, scorer_setting(settings), lookup_of(settings))
