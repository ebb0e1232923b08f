"""How a rollout goes from state to state: by what is observed, by what somebody orders, by what the job has done.

Nothing is inferred from absence. Without evidence, with a judge that is silent, with labels that are late the state
stays, and says why. Only harm that was found and an order end a rollout early.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from streaming.errors import ConfigurationError
from streaming.rollout.evidence import Judged, Observed, duration, lacking
from streaming.rollout.judge import HarmFinding
from streaming.rollout.plan import OnNotTold, RolloutPlan, RolloutStep
from streaming.rollout.states import FINISHED, JUDGED, TAKING_BACK, RolloutPhase, RolloutState, RolloutTime


class RolloutOrder(str, Enum):
    """What somebody may order."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


_DONE = {
    RolloutPhase.PROMOTING: RolloutPhase.PROBATION,
    RolloutPhase.ROLLING_BACK: RolloutPhase.ROLLED_BACK,
    RolloutPhase.ABORTING: RolloutPhase.ABORTED,
}
_CAN_WAIT = {RolloutPhase.STEP, RolloutPhase.PROBATION}


def observe(state: RolloutState, plan: RolloutPlan, observed: Observed) -> RolloutState:
    """Return the state after an observation. Harm rolls back, also while paused; everything else may only hold."""
    judged = observed.judged
    if judged is not None and judged.finding is HarmFinding.HARM and state.phase in JUDGED:
        return failed(state, observed.now, "the judge found harm" + (f": {judged.why}" if judged.why else ""))
    step = state.asks(plan)
    if step is None or state.paused:
        return state
    reasons = list(lacking(step, state.since, observed))
    if reasons or judged is None:
        return replace(state, why=f"held: {'; '.join(reasons)}", at_gate=False)
    return _decided(state, plan, step, judged, observed.now)


def order(state: RolloutState, plan: RolloutPlan, command: RolloutOrder, now: RolloutTime) -> RolloutState:
    """Return the state after somebody's order.

    Raises:
        ConfigurationError: the order has no meaning in this state.
    """
    if command is RolloutOrder.ABORT and state.phase not in FINISHED:
        return _aborted(state, now)
    if command is RolloutOrder.START and state.phase is RolloutPhase.PLANNED:
        return RolloutState(RolloutPhase.STEP, 0, now, "started by order")
    if state.phase in _CAN_WAIT:
        if command is RolloutOrder.PAUSE and not state.paused:
            return replace(state, paused=True, at_gate=False, why="held: paused by order")
        if command is RolloutOrder.RESUME and state.paused:
            return replace(state, paused=False, why="held: resumed by order, and nothing observed since")
        if command is RolloutOrder.RESUME and state.at_gate:
            return resumed(state, plan, now, "resumed by order")
        if command is RolloutOrder.PROMOTE:
            return _promoted(state, now)
    raise ConfigurationError(
        f"a rollout in the state {state.phase.value} ({state.why}) cannot {command.value}; `status` says what it waits"
        " for"
    )


def resumed(state: RolloutState, plan: RolloutPlan, now: RolloutTime, why: str) -> RolloutState:
    """Return the state after somebody has passed the gate at which it waits; unchanged if it waits at none."""
    return _next(state, plan, now, why) if state.at_gate else state


def failed(state: RolloutState, now: RolloutTime, why: str) -> RolloutState:
    """Return the state after the candidate has failed where it scores events: it goes back, whatever was observed."""
    if state.phase not in JUDGED:
        return state
    return RolloutState(RolloutPhase.ROLLING_BACK, state.step, now, why)


def taken_over(state: RolloutState, now: RolloutTime) -> RolloutState:
    """Return the state after the registry has named the candidate champion while it was in a step."""
    return _promoted(state, now, "the registry names it champion")


def done(state: RolloutState, now: RolloutTime) -> RolloutState:
    """Return the state after the running job has done what the phase asks of it; unchanged if it asks for nothing."""
    following = _DONE.get(state.phase)
    return state if following is None else RolloutState(following, state.step, now, f"{state.why}; done")


def _decided(
    state: RolloutState, plan: RolloutPlan, step: RolloutStep, judged: Judged, now: RolloutTime
) -> RolloutState:
    """Go on or hold, where the evidence is complete and the judge has looked."""
    also = f"; {judged.holds}" if judged.holds else ""
    # What holds makes a step a manual one for as long as it does.
    waits = step.manual or bool(judged.holds)
    if judged.finding is HarmFinding.NO_WORSE:
        return _gated(state, plan, now, f"the judge found it no worse{also}", waits=waits)
    if step.most is None or now.clock - state.since.clock < step.most:
        return replace(state, why=f"held: the judge cannot tell yet{_until(step)}{also}", at_gate=False)
    not_told = f"not told within {duration(step.most)}"
    if step.on_not_told is OnNotTold.PROMOTE:
        return _gated(state, plan, now, f"{not_told}, and declared to go on{also}", waits=waits)
    if step.on_not_told is OnNotTold.ABORT:
        return _aborted(state, now, f"{not_told}, and declared to abort")
    return replace(state, why=f"held: {not_told}; promote or abort it", at_gate=False)


def _until(step: RolloutStep) -> str:
    return "" if step.most is None else f"; after {duration(step.most)} it will {step.on_not_told.value}"


def _gated(state: RolloutState, plan: RolloutPlan, now: RolloutTime, why: str, *, waits: bool) -> RolloutState:
    if waits:
        return replace(state, why=f"held: {why}; waits for resume", at_gate=True)
    return _next(state, plan, now, why)


def _next(state: RolloutState, plan: RolloutPlan, now: RolloutTime, why: str) -> RolloutState:
    if state.phase is RolloutPhase.STEP and state.step + 1 < len(plan.steps):
        return RolloutState(RolloutPhase.STEP, state.step + 1, now, why)
    return _promoted(state, now, why)


def _promoted(state: RolloutState, now: RolloutTime, why: str = "promoted by order") -> RolloutState:
    phase = RolloutPhase.PROMOTED if state.phase is RolloutPhase.PROBATION else RolloutPhase.PROMOTING
    return RolloutState(phase, state.step, now, why)


def _aborted(state: RolloutState, now: RolloutTime, why: str = "aborted by order") -> RolloutState:
    """Abort; a rollback that is under way goes on, and one that never started has nothing to take back."""
    if state.phase in TAKING_BACK:
        return state
    phase = RolloutPhase.ABORTED if state.phase is RolloutPhase.PLANNED else RolloutPhase.ABORTING
    return RolloutState(phase, state.step, now, why)
