"""``penstock rollout status``: where a rollout stands and what it waits for, computed from the ledger alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jobs.verbs.rollout.desk import RolloutDesk, rollout_desk, rollout_settings
from streaming.ledger.answered import AnsweredRange
from streaming.ledger.arm_counts import StepCounts, observed
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
        "why": _why(rollout, seen),
        "because": rollout.state.why,
        "pending": [unread.order.value for unread in rollout.pending],
        "next": _next(rollout),
        "answered": _answered(counts),
        "judge": _judge(rollout),
        "ranges": [_range(part) for part in desk.answered()],
        "salt": rollout.declaration.salt,
        "finished": rollout.has_ended,
    }


def _why(rollout: Rollout, seen: Observed) -> str:
    if rollout.pending:
        return f"{rollout.pending[-1].order.value} is ordered, and no running job has read it yet"
    state = advanced(rollout, seen, JobFacts(problems=seen.unhealthy))
    if (state.phase, state.step) != (rollout.state.phase, rollout.state.step):
        return f"{state.why}; the running job will go on"
    problems = "; ".join(seen.unhealthy)
    # Where no evidence is asked for, the state does not name what is in the way.
    return f"held: {problems}" if problems and problems not in state.why else state.why


def _judge(rollout: Rollout) -> dict[str, Any] | None:
    """Return what the judge wrote last, whichever step it was of; ``None`` if it never did."""
    verdict = rollout.verdict
    if verdict is None:
        return None
    fields = verdict.to_dict()
    return {name: fields[name] for name in ("finding", "why", "weight_epoch", "evidence", "checks", "at")}


def _range(part: AnsweredRange) -> dict[str, Any]:
    return {
        "topic": part.topic,
        "partition": part.partition,
        "start": part.offsets.start,
        "end": part.offsets.end,
        "weight_epoch": part.weight_epoch,
    }


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
