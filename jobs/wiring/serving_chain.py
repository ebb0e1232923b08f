"""The fallback chain of a server, put together from the settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from jobs.wiring.fallbacks import pinned_version
from streaming.clock import system_clock
from streaming.errors import ConfigurationError
from streaming.models.circuits import CircuitPolicy, Circuits
from streaming.models.ref import DEFAULT_VERSION, ModelVersion
from streaming.models.slot import Slot
from streaming.scoring.default_score import DefaultScores
from streaming.serving.arms import ArmsOf, EventAnswer
from streaming.serving.chain import ServedChain
from streaming.serving.lanes import Lane
from streaming.serving.passes import EventPasses
from streaming.serving.patience import NextVersions, PatientLane
from streaming.serving.server_metrics import ServerMetrics
from streaming.serving.stand_ins import EarlierVersions, StandIns
from streaming.settings import Settings


def require_chain_servable(settings: Settings) -> None:
    """Raise ``ConfigurationError`` if a bound of the chain would never be reached."""
    seconds, timeout = settings.fallback.request_seconds, settings.serve.timeout_seconds
    if seconds is not None and seconds >= timeout:
        raise ConfigurationError(
            f"fallback.request_seconds is {seconds:g} and serve.timeout_seconds {timeout:g}, so requests would end"
            " before the fallback chain answers them; make the first one smaller"
        )


def served_chain(
    settings: Settings, stand_ins: StandIns, metrics: ServerMetrics, rollout: ArmsOf | None
) -> ServedChain:
    """Return the chain that the settings name; ``rollout`` gives the champion's arms where a rollout is followed."""
    metrics.with_chain()
    policy = CircuitPolicy(settings.fallback.open_after, settings.fallback.pause_seconds)
    return ServedChain(settings.model.name, stand_ins, Circuits(policy, system_clock, metrics), rollout)


def served_stand_ins(settings: Settings, slot: Slot, versions: EarlierVersions, stack: ExitStack) -> StandIns:
    """Return what follows the champion in the chain, loaded beside the requests until ``stack`` ends."""
    chosen, model = settings.fallback, settings.model.name
    default = None
    if chosen.default is not None:
        scores = DefaultScores(settings.event, settings.input.max_value_bytes)
        score = chosen.default.model_dump(mode="json")
        default = partial(scores.in_process, ModelVersion(model, DEFAULT_VERSION), score)
    stand_ins = StandIns(slot, versions, pinned_version(settings), default)
    stack.callback(stand_ins.stop)
    stand_ins.start()
    return stand_ins


def patient(
    lane: Lane[EventAnswer], chain: ServedChain, passes: EventPasses, seconds: float, stack: ExitStack
) -> PatientLane:
    """Return a lane that gives the champion ``seconds`` for a request."""
    # What is behind the champion shall not wait for the thread in which that hangs.
    thread = ThreadPoolExecutor(1, "fallback-requests")
    stack.callback(thread.shutdown, wait=False)
    behind = Lane(NextVersions(chain), passes, thread, lane.seconds)
    return PatientLane(lane, behind, chain, seconds)
