"""The exact engine put together for a job that holds the lease, and kept running."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from random import SystemRandom

from pyspark.sql import DataFrame

from jobs.wiring.arms import followed_arms
from jobs.wiring.fallbacks import fallback_chain
from jobs.wiring.lookups import lookup_states
from jobs.wiring.many import table_arms
from jobs.wiring.planning import program_of
from jobs.wiring.starting import EngineParts, Footing, batch_bound, fresh_query_starter, query_starter
from streaming.adapters.kafka.config import client_config, spark_options
from streaming.clock import system_clock
from streaming.delivery.marks import Mark
from streaming.engines.arms import ArmSource
from streaming.engines.exact import ExactEngine
from streaming.engines.exact_ports import ExactPorts, Tolerance
from streaming.engines.failures import Restarts
from streaming.engines.ramp import Ramp
from streaming.engines.recheck import Recheck
from streaming.engines.source import read_range
from streaming.engines.supervisor import Supervisor
from streaming.engines.task import WriteTarget
from streaming.failpoints import Failpoints
from streaming.models.ref import ModelKey
from streaming.models.slot import Slot
from streaming.offsets import Ranges
from streaming.scoring.default_score import DefaultScores


def run_exact(on: Footing, parts: EngineParts) -> None:
    """Score until asked to stop; a query that fails is started again.

    Raises:
        PenstockError: see :meth:`streaming.engines.supervisor.Supervisor.run`.
    """
    engine, ramp = on.settings.engine, batch_bound(on, parts.uptime)
    start = (query_starter if parts.planning == "kept" else fresh_query_starter)(on, ramp)
    restarts = Restarts(engine.restart_seconds, engine.max_restarts)
    supervisor = Supervisor(
        start=start, restarts=restarts, observer=on.observer, breaker=parts.breaker, stopping=parts.stopping
    )
    with ExitStack() as stack:
        arms = followed_arms(on, parts, stack) if parts.tables is None else table_arms(on, parts.tables, stack)
        supervisor.run(exact_engine(on, parts, ramp, arms, stack))


def exact_engine(on: Footing, parts: EngineParts, ramp: Ramp, arms: ArmSource, stack: ExitStack) -> ExactEngine:
    """Return the engine, whose batches tell ``ramp`` how long they took."""
    settings, topic, target = on.settings, on.writer.topic, _write_target(on)

    def first_offsets(added: list[int]) -> dict[int, int]:
        return on.admin.offsets(topic, added, "earliest")

    def marks(added: list[int]) -> dict[int, Mark | None]:
        return on.admin.marks(topic, added)

    ports = ExactPorts(
        slot=parts.slot,
        fallback=parts.fallback,
        ledger=on.ledger,
        checkpoint=on.checkpoint,
        first_offsets=first_offsets,
        marks=marks,
        observer=on.observer,
        breaker=parts.breaker,
        clock=system_clock,
        ramp=ramp,
        program=program_of(parts.planning, target),
        arms=arms,
        default_scores=DefaultScores(settings.event, settings.input.max_value_bytes),
        recheck=recheck_of(on, parts.slot, stack),
        chain=fallback_chain(on, parts, stack),
        lookups=lookup_states(settings, on.observer, parts.stopping),
    )
    return ExactEngine(
        ports, target, Tolerance(settings.engine.max_poison_rows, settings.model.rollback_after_failures)
    )


def _write_target(on: Footing) -> WriteTarget:
    return WriteTarget(
        client=client_config(on.settings.kafka),
        writer=on.writer,
        targets=on.targets,
        limits=on.limits,
        failpoints=Failpoints(on.settings.engine.failpoints),
    )


def recheck_of(on: Footing, slot: Slot, stack: ExitStack) -> Callable[[ModelKey, Ranges], None]:
    """Return what is given every batch; it checks samples until ``stack`` ends, or nothing where none are wanted."""
    one_in = on.settings.model.recheck_one_in
    if one_in is None:
        return lambda _key, _ranges: None

    def read(ranges: Ranges) -> DataFrame:
        return read_range(on.spark, spark_options(on.settings.kafka), on.writer.topic, ranges)

    recheck = Recheck(slot=slot, read=read, observer=on.observer, one_in=one_in, random=SystemRandom())
    recheck.start()
    stack.callback(recheck.stop)
    return recheck.offer
