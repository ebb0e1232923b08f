"""What each arm answered in a step of a rollout, counted from the plans and outcomes of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from streaming.clock import instant
from streaming.delivery.outcome import ArmOutcome, summed
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.evidence import SILENT_AFTER, Gathered, Judged, Observed
from streaming.rollout.following import JUDGE_EVIDENCE
from streaming.rollout.history import Rollout
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from streaming.rollout.judge import HarmFinding
from streaming.rollout.states import RolloutPhase, RolloutTime
from streaming.rollout.verdict import RolloutVerdict


@dataclass(frozen=True)
class StepCounts:
    """One step's counts by role.

    ``is_planned`` tells whether a batch of the step is planned: the job plans none before it has loaded the candidate.
    ``first`` and ``last`` are how far the events' time had come after its first and its latest batch, ``counted`` is
    when the latest was recorded. The events that an attempt wrote before a crash are in no outcome, so that the counts
    may be too low, and are never too high.
    """

    arms: Mapping[str, ArmOutcome] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    counted: datetime | None = None
    is_planned: bool = False

    @property
    def passed(self) -> timedelta:
        """How far the events' time has come since the step's first batch."""
        return timedelta(0) if self.first is None or self.last is None else self.last - self.first

    def events(self, role: str) -> int:
        """Return how many events an arm has answered, by a prediction or a dead letter."""
        return self.arms[role].events if role in self.arms else 0

    def plus(self, arms: Mapping[str, ArmOutcome], at: datetime) -> StepCounts:
        """Return the counts with one more batch, which was recorded ``at``."""
        newest = max((arm.newest for arm in arms.values()), default="")
        # A batch of one arm does not say how far its events' time has come; it counts by when it was done.
        time = instant(newest) if newest else at
        return replace(
            self, arms=summed(self.arms, arms), first=self.first or time, last=max(self.last or time, time), counted=at
        )


def observed(rollout: Rollout, counts: StepCounts, clock: datetime, problems: tuple[str, ...] = ()) -> Observed:
    """Return what the ledger alone tells of a rollout's present step.

    What the judge has written of the present step counts. Without it, where the step asks for nothing that a judge
    counts, the job is its own judge: it has looked once it has counted a batch, and it cannot tell whether the
    candidate is any worse.

    Args:
        rollout: the rollout.
        counts: of its present step.
        clock: the present time.
        problems: why the job cannot do what the state asks of it.
    """
    state = rollout.state
    # In probation the candidate is the champion.
    candidate = CHAMPION if state.phase is RolloutPhase.PROBATION else CANDIDATE
    events = {"candidate events": counts.events(candidate), "champion events": counts.events(CHAMPION)}
    verdict = rollout.present_verdict
    return Observed(
        now=RolloutTime(clock, state.since.event_time + counts.passed),
        evidence={
            **(verdict.evidence if verdict else {}),
            **{name: Gathered.over(clock - state.since.clock, count) for name, count in events.items()},
        },
        judged=_judged(rollout, verdict, counts, clock),
        unhealthy=problems,
    )


def _judged(rollout: Rollout, verdict: RolloutVerdict | None, counts: StepCounts, clock: datetime) -> Judged | None:
    """Return the judge's verdict; the job's own where that is absent or old and the step can do without."""
    judged = None if verdict is None else Judged(verdict.finding, instant(verdict.at), verdict.why, verdict.holds)
    step = rollout.state.asks(rollout.declaration.plan)
    needs_judge = step is None or JUDGE_EVIDENCE & step.evidence.keys()
    if needs_judge or not counts.counted:
        return judged
    # What a judge has found in the way is there until one says otherwise.
    if judged and (judged.finding is HarmFinding.HARM or judged.holds or clock - judged.at <= SILENT_AFTER):
        return judged
    return Judged(HarmFinding.NOT_TOLD, clock)


def weights_of(rollout: Rollout) -> WeightEpoch:
    """Return what plans and outputs name of a rollout's present step."""
    return WeightEpoch(rollout.declaration.name, rollout.latest.weights.epoch)


class ArmCounts:
    """Adds up the batches of one application's rollouts; the ledger's records are given in their order."""

    def __init__(self) -> None:
        self._planned: dict[str, WeightEpoch] = {}
        self._steps: dict[WeightEpoch, StepCounts] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Take a record; what is not about a rollout's batches is passed over, and so is what is repeated."""
        if record["type"] == "plan" and "weight_epoch" in record:
            step = self._planned[record["plan"]] = WeightEpoch(record["rollout"], record["weight_epoch"])
            self._steps[step] = replace(self._steps.get(step, StepCounts()), is_planned=True)
        if record["type"] == "outcome" and (weights := self._planned.pop(record["plan"], None)):
            before, arms = self._steps.get(weights, StepCounts()), _arms(record)
            # A real-time query's answers that another one has given, too, are left out.
            if arms:
                self._steps[weights] = before.plus(arms, instant(record["at"]))

    def of(self, rollout: Rollout) -> StepCounts:
        """Return the counts of a rollout's present step."""
        return self._steps.get(weights_of(rollout), StepCounts())


def _arms(outcome: Mapping[str, Any]) -> dict[str, ArmOutcome]:
    """Return the counts of an outcome's record; a real-time query counts its partitions together."""
    if "arms" in outcome:
        return {role: ArmOutcome(**fields) for role, fields in outcome["arms"].items()}
    total: dict[str, ArmOutcome] = {}
    for part in outcome["partitions"].values():
        # A single arm is the champion's, and its counts are the partition's own.
        counts = part.get("arms") or {CHAMPION: {name: part[name] for name in ("predictions", "dead_letters")}}
        for role, fields in counts.items():
            total[role] = total.get(role, ArmOutcome()) + ArmOutcome(**fields)
    return total
