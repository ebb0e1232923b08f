"""A job that is warm: what its parts share, and its run from standing by to the last batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from pyspark.sql import SparkSession

from jobs.process.stopping import StopRequest
from jobs.wiring.many import has_many, model_selector
from jobs.wiring.planning import Planning
from jobs.wiring.running import run_engine, taken_over
from jobs.wiring.starting import EngineParts, RolloutParts
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.events import read_model_events
from streaming.adapters.kafka.lease import KafkaLease
from streaming.clock import Stopwatch
from streaming.engines.breaker import Breaker
from streaming.engines.table_arms import NoFallback
from streaming.errors import PenstockError
from streaming.models.follower import Follower
from streaming.models.gate import Gate
from streaming.models.heritage import Heritage
from streaming.models.many_follower import ManyFollower
from streaming.models.ref import ModelSelector
from streaming.models.slot import Slot
from streaming.operations.lease import Lease
from streaming.operations.observer import JobObserver
from streaming.operations.pulse import Pulse
from streaming.settings import Settings
from streaming.spark.jvm import heartbeat


@dataclass(frozen=True)
class SharedParts:
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

    shared: SharedParts
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
        shared, follower = self.shared, self.follower
        return EngineParts(
            slot=shared.slot,
            fallback=NoFallback() if isinstance(follower, ManyFollower) else follower,
            breaker=self.breaker,
            stopping=shared.stopping.asked,
            planning=self.planning,
            rollout=self.rollout,
            tables=follower if isinstance(follower, ManyFollower) else None,
        )
