"""What a job needs to follow a rollout, put together: its versions in the registry, and who hears of its states."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.wiring.following import registry, registry_uri
from jobs.wiring.starting import RolloutParts
from streaming.adapters.mlflow.pointing import MlflowPointer
from streaming.clock import system_clock
from streaming.models.announcer import Announcer, ModelEventSink
from streaming.models.candidate import Preparation
from streaming.models.follower import Follower
from streaming.models.ref import ModelSelector
from streaming.models.rollout_versions import RegistryVersions
from streaming.models.served import ServedModel
from streaming.operations.observer import JobObserver
from streaming.rollout.records import Transition
from streaming.settings import Settings


@dataclass(frozen=True)
class RolloutNews:
    """Implements :class:`streaming.engines.rollout_ports.RolloutObserver`: metrics, ``/v1/model`` and model events."""

    observer: JobObserver
    announcer: Announcer

    def rollout_seen(self, transition: Transition) -> None:
        """Show where a rollout stands."""
        self.observer.rollout_at(transition.summary())

    def rollout_moved(self, transition: Transition, serving: ServedModel | None) -> None:
        """Show it, and announce that it came there."""
        self.rollout_seen(transition)
        state = transition.state
        self.announcer.rollout_moved(transition.declaration.candidate, state.phase.value, state.why, serving)


def rollout_parts(
    settings: Settings, checks: Preparation, follower: Follower, observer: JobObserver, sink: ModelEventSink
) -> RolloutParts:
    """Return what the job's rollouts need; ``sink`` hears of their states."""
    selector = ModelSelector.from_settings(settings.model)
    versions = RegistryVersions(
        registry=registry(settings.model),
        pointer=MlflowPointer(registry_uri(settings.model), settings.model.tracking_uri),
        selector=selector,
        preparation=checks,
        wake=follower.wake,
        roll_back=follower.roll_back,
    )
    announcer = Announcer(settings.application, selector, system_clock, observer.metrics, [sink])
    return RolloutParts(versions, RolloutNews(observer, announcer))
