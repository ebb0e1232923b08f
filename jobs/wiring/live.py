"""The live engine put together, and what it needs that can be known before a record is read."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cache

import structlog
from pyspark.sql import SparkSession

from jobs.wiring.arms import followed_arms
from jobs.wiring.starting import EngineParts, Footing, reconciled
from streaming.adapters.kafka.arrivals import KafkaArrivals
from streaming.adapters.kafka.config import spark_options
from streaming.clock import system_clock
from streaming.engines.checkpoint import remove
from streaming.engines.failures import Failures, Restarts
from streaming.engines.generation import Generations
from streaming.engines.live import LiveEngine
from streaming.engines.live_arms import LiveVersions
from streaming.engines.live_ports import LivePorts
from streaming.engines.mend import BatchMend
from streaming.engines.real_time import Route
from streaming.errors import ConfigurationError
from streaming.failpoints import Failpoints
from streaming.ledger.arms import PlannedArms
from streaming.settings import Settings
from streaming.spark.jvm import task_slots

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def live_checkpoints(settings: Settings) -> str:
    """Return the folder of the generations' checkpoints, next to the exact engine's."""
    return f"{settings.checkpoint.rstrip('/')}.live"


def slots_needed(partitions: int) -> int:
    """Return the task slots of a live job: two generations run at the same time while a model is swapped."""
    return 2 * partitions


def local_master(settings: Settings, partitions: int) -> str | None:
    """Return the master for a session that Penstock starts: enough threads for the engine, however few cores.

    Raises:
        ConfigurationError: ``spark.master`` is local and has too few.
    """
    master, needed = settings.spark.master, slots_needed(partitions)
    if settings.engine.kind != "live":
        return master
    if master is None:
        return f"local[{needed},4]"
    threads = master.removeprefix("local[").partition("]")[0].partition(",")[0] if master.startswith("local") else ""
    if master == "local" or (threads.isdigit() and int(threads) < needed):
        raise _too_few(settings, 1 if master == "local" else int(threads), partitions)
    return master


def check_slots(settings: Settings, spark: SparkSession, partitions: int) -> None:
    """Raise ``ConfigurationError`` if the cluster cannot run two generations at the same time."""
    slots = task_slots(spark)
    if slots < slots_needed(partitions):
        raise _too_few(settings, slots, partitions)


def _too_few(settings: Settings, slots: int, partitions: int) -> ConfigurationError:
    needed = slots_needed(partitions)
    return ConfigurationError(
        f"the live engine needs {needed} task slots and has {slots}: one for each of the {partitions} partitions of"
        f" {settings.input.topic}, which it never gives back, and as many again while a model is swapped. Give Spark"
        f" more cores (spark.master local[{needed}] is fine on fewer cores), or set engine.kind to exact"
    )


def run_live(on: Footing, parts: EngineParts) -> None:
    """Score until asked to stop; a query that fails is started again.

    Raises:
        PenstockError: see :meth:`streaming.engines.live.LiveEngine.run`.
    """
    with ExitStack() as stack:
        _live_engine(on, parts, LiveVersions(parts.slot, followed_arms(on, parts, stack))).run()


def _live_engine(on: Footing, parts: EngineParts, versions: LiveVersions) -> LiveEngine:
    settings, route, folder = on.settings, _route(on), on.checkpoint.location
    remove(folder)  # what an earlier run left there, which nothing is read from
    topics = [on.targets.predictions.topic, on.targets.dead_letters.topic]

    @cache
    def warn(problem: str) -> None:  # once for all swaps
        _log.warning("outputs cannot be read, so each swap waits its longest", problem=problem)

    def watch(arms: PlannedArms) -> KafkaArrivals:
        return KafkaArrivals(settings.kafka, topics, arms, warn)

    def ends() -> dict[int, int]:
        partitions = range(on.admin.required_topic(on.writer.topic).partitions)
        return on.admin.offsets(on.writer.topic, partitions, "stable")

    ports = LivePorts(
        generations=Generations(on.spark, parts.slot, versions, route, folder),
        versions=versions,
        roll_back=parts.fallback.roll_back,
        ledger=on.ledger,
        mend=BatchMend(on.spark, route, settings.engine.max_poison_rows),
        settle=lambda: reconciled(on),
        ends=ends,
        watch=watch,
        observer=on.observer,
        breaker=parts.breaker,
        clock=system_clock,
        failpoints=Failpoints(settings.engine.failpoints),
    )
    restarts = Restarts(settings.engine.restart_seconds, settings.engine.max_restarts)
    return LiveEngine(ports, on.writer, Failures(restarts, on.observer, parts.stopping), parts.stopping)


def _route(on: Footing) -> Route:
    settings = on.settings
    return Route(
        application=settings.application,
        topic=on.writer.topic,
        targets=on.targets,
        options=spark_options(settings.kafka),
        checkpoint_seconds=settings.engine.checkpoint_seconds,
    )
