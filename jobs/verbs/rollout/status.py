"""``penstock rollout status``: where a rollout stands and what it waits for, computed from the ledger alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.verbs.rollout.desk import RolloutDesk, rollout_desk, rollout_settings
from streaming.ledger.arm_counts import StepCounts, observed
from streaming.models.rollout_versions import RESUME_TAG
from streaming.rollout.evidence import Observed
from streaming.rollout.following import JobFacts, advanced
from streaming.rollout.history import Rollout
from streaming.rollout.states import RolloutPhase

Status = dict[str, Any]
_LOOK_SECONDS = 1.0


@contextmanager
def statuses(config: Path | None, overrides: Sequence[str]) -> Iterator[Callable[[], Status]]:
    """Give a function that reads what has come and returns the status.

    Raises:
        ConfigurationError: the settings are wrong, or there is no rollout.
        BrokerUnavailableError: Kafka does not answer.
    """
    with rollout_desk(rollout_settings(config, overrides)) as desk:

        def now() -> Status:
            desk.read()
            return status_of(desk)

        yield now


def until_finished(now: Callable[[], Status]) -> Iterator[Status]:
    """Yield the status every second, until the rollout has ended."""
    while True:
        status = now()
        yield status
        if status["finished"]:
            return
        time.sleep(_LOOK_SECONDS)


def status_of(desk: RolloutDesk) -> Status:
    """Return the status of the latest rollout; raises ``ConfigurationError`` if there is none."""
    rollout = desk.current()
    counts = desk.counts(rollout)
    seen = observed(rollout, counts, desk.clock(), rollout.latest.problems)
    return {
        **rollout.latest.summary(),
        "why": _why(rollout, counts, seen),
        "begun": counts.is_planned,
        "because": rollout.state.why,
        "pending": [unread.order.value for unread in rollout.pending],
        "next": _next(rollout),
        "answered": _answered(counts),
        "judge": _judge(rollout),
        "ranges": [part.judged().to_dict() for part in desk.story(rollout).answered],
        "salt": rollout.declaration.salt,
        "finished": rollout.has_ended,
    }


def _why(rollout: Rollout, counts: StepCounts, seen: Observed) -> str:
    if rollout.pending:
        return f"{rollout.pending[-1].order.value} is ordered, and no running job has read it yet"
    if not (counts.is_planned or seen.unhealthy or rollout.state.paused) and (expected := _expected(rollout)):
        return expected
    state = advanced(rollout, seen, JobFacts(problems=seen.unhealthy))
    if (state.phase, state.step) != (rollout.state.phase, rollout.state.step):
        return f"{state.why}; the running job will go on"
    problems = "; ".join(seen.unhealthy)
    # Where no evidence is asked for, the state does not name what is in the way.
    if problems and problems not in state.why:
        return f"held: {problems}"
    by_tag = f", or for the tag {RESUME_TAG}={rollout.gate} on v{rollout.declaration.candidate.version}"
    return state.why + by_tag if state.at_gate else state.why


def _expected(rollout: Rollout) -> str:
    """Return what a step waits for before its first batch; empty in a phase that waits for nothing then."""
    if rollout.state.phase not in (RolloutPhase.STEP, RolloutPhase.PROMOTING):
        return ""
    share = rollout.state.share(rollout.declaration.plan)
    name = f"step {rollout.state.step + 1}" if rollout.state.phase is RolloutPhase.STEP else rollout.state.phase.value
    # The job does not load the candidate for a step that it answers no keys in.
    loaded = f" once v{rollout.declaration.candidate.version} is loaded" if share else ""
    return f"{name} with a share of {share:g} begins with the job's next batch{loaded}; none is planned yet"


def _judge(rollout: Rollout) -> dict[str, Any] | None:
    """Return what the judge wrote last, whichever step it was of; ``None`` if it never did."""
    verdict = rollout.verdict
    if verdict is None:
        return None
    fields = verdict.to_dict()
    return {name: fields[name] for name in ("finding", "why", "weight_epoch", "evidence", "checks", "at")}


def _next(rollout: Rollout) -> str:
    state, steps = rollout.state, rollout.declaration.plan.steps
    if state.phase is RolloutPhase.PLANNED:
        return f"step 1 with a share of {steps[0].share:g}"
    if state.phase is RolloutPhase.STEP and state.step + 1 < len(steps):
        return f"step {state.step + 2} with a share of {steps[state.step + 1].share:g}"
    following = {
        RolloutPhase.STEP: "promotion",
        RolloutPhase.PROMOTING: "probation",
        RolloutPhase.PROBATION: "the end",
        RolloutPhase.ROLLING_BACK: "rolled back",
        RolloutPhase.ABORTING: "aborted",
    }
    return following.get(state.phase, "")


def _answered(counts: StepCounts) -> dict[str, dict[str, int]]:
    return {
        role: {"events": arm.events, "dead_letters": sum(arm.dead_letters.values())}
        for role, arm in counts.arms.items()
    }
