"""What the next state of a recorded rollout is: orders first, then what has failed or been done, then what is observed.

The job that runs a rollout and whoever asks for its status compute the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from streaming.rollout.evidence import Observed
from streaming.rollout.history import Rollout
from streaming.rollout.intervals import CANDIDATE
from streaming.rollout.machine import done, failed, observe, resumed, taken_over
from streaming.rollout.records import Weights
from streaming.rollout.states import TAKING_BACK, RolloutPhase, RolloutState, RolloutTime

JUDGE_EVIDENCE = frozenset({"labelled events", "labelled days", "drift windows"})
"""What only a judge counts. A step that asks for none of it is decided without one."""
JOB_EVIDENCE = frozenset({"candidate events", "champion events"})
"""What the job counts itself: events that an arm has answered."""


@dataclass(frozen=True)
class JobFacts:
    """What the job knows beside the ledger.

    Attributes:
        serves: whether the candidate is the champion now.
        failure: why the candidate may not go on, empty if it may.
        problems: why the job cannot do what the state asks of it.
        resumed: who has passed the gate at which the rollout waits, otherwise than by an order; empty if nobody has.
    """

    serves: bool = False
    failure: str = ""
    problems: tuple[str, ...] = field(default=())
    resumed: str = ""


def advanced(rollout: Rollout, observed: Observed, facts: JobFacts) -> RolloutState:
    """Return the next state; the same one, perhaps with another reason why it is held, if nothing has happened."""
    now = observed.now
    if rollout.pending:
        return rollout.after_orders(now)
    state = rollout.state
    if facts.failure:
        state = failed(state, now, facts.failure)
    elif facts.serves and state.phase is RolloutPhase.STEP:
        state = taken_over(state, now)
    if state.phase is not rollout.state.phase:
        return state
    plan = rollout.declaration.plan
    state = _done(state, facts, now) or observe(state, plan, observed)
    return resumed(state, plan, now, facts.resumed) if facts.resumed else state


def weights_after(rollout: Rollout, state: RolloutState) -> Weights:
    """Return the weights in a state: the present ones in the same step, else grown from those, of the next epoch."""
    before = rollout.latest.weights
    if (state.phase, state.step) == (rollout.state.phase, rollout.state.step):
        return before
    share = state.share(rollout.declaration.plan)
    return Weights(before.epoch + 1, before.intervals.changed_to({CANDIDATE: share}))


def _done(state: RolloutState, facts: JobFacts, now: RolloutTime) -> RolloutState | None:
    is_promoted = state.phase is RolloutPhase.PROMOTING and facts.serves
    is_taken_back = state.phase in TAKING_BACK and not facts.serves
    return done(state, now) if (is_promoted or is_taken_back) and not facts.problems else None
