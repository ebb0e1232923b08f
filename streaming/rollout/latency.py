"""How long the candidate takes for an event against the champion, in the batches that both have scored.

In a batch, both versions are timed on as many of its events, in the same processes and one right after the other. So
what slows the machine down slows both, and the ratio of their times is the candidate's own. A batch counts once: by
whether the ratio is above what is tolerated. The evidence is a sign test in sequence on the batches, and so about the
ratio of the median batch; it is exact for independent batches, however their times are distributed.

A candidate may be slow with many keys and not with few. So that what the first steps have shown does not hide it, there
is a test that begins with each step, and the evidence is their weighted mean, which is an e-process, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from streaming.rollout.judge import HarmFinding
from streaming.scoring_time import ScoringTime
from streaming.statistics.eprocess import is_enough, log_sign_evidence

TOLERATED = 1.5
"""How many times as long as the champion a candidate may take for an event, if the plan says nothing."""
FEWEST_EVENTS = 10
"""A batch in which each version was timed on fewer events says nothing: the clock of single events is noise."""
FEWEST_BATCHES = 30
"""From fewer batches nothing is said: in its first ones, a version fills the caches of each process."""


@dataclass(frozen=True)
class StepTimes:
    """The batches of one step in which both versions were timed.

    Attributes:
        batches: how many, each with :data:`FEWEST_EVENTS` of each version or more.
        slower: in how many of them the candidate took longer than is tolerated.
        champion: all of the champion's time in them.
        candidate: all of the candidate's.
    """

    batches: int = 0
    slower: int = 0
    champion: ScoringTime = field(default_factory=ScoringTime)
    candidate: ScoringTime = field(default_factory=ScoringTime)

    def with_batch(self, champion: ScoringTime, candidate: ScoringTime, tolerated: float) -> StepTimes:
        """Return the times with those of one more batch, which may be too small to count."""
        if min(champion.events, candidate.events) < FEWEST_EVENTS:
            return self
        is_slower = candidate.seconds * champion.events > tolerated * champion.seconds * candidate.events
        return self.merged(StepTimes(1, int(is_slower), champion, candidate))

    def merged(self, other: StepTimes) -> StepTimes:
        """Return the times of both parts."""
        return StepTimes(
            batches=self.batches + other.batches,
            slower=self.slower + other.slower,
            champion=self.champion + other.champion,
            candidate=self.candidate + other.candidate,
        )


@dataclass(frozen=True)
class LatencyVerdict:
    """``ratio`` is the candidate's time for an event by the champion's, over all batches; NaN without one.

    ``log_evidence`` is harm from ``-log(alpha)`` on.
    """

    finding: HarmFinding
    batches: int
    slower: int
    ratio: float
    log_evidence: float
    sentence: str


def judge_latency(steps: Sequence[StepTimes], tolerated: float, alpha: float) -> LatencyVerdict:
    """Judge the candidate's time for an event; the verdict may be that it is fast enough, which is no worse.

    Args:
        steps: those in which both versions have answered, in their order.
        tolerated: how many times as long as the champion the candidate may take, with which batches were counted.
        alpha: the chance that a candidate which takes longer in half of the batches is ever found harmful.
    """
    total = reduce(StepTimes.merged, steps, StepTimes())
    harm = _evidence(steps, lambda step: step.slower)
    no_worse = _evidence(steps, lambda step: step.batches - step.slower)
    finding = HarmFinding.NOT_TOLD
    if total.batches >= FEWEST_BATCHES:
        if is_enough(harm, alpha):
            finding = HarmFinding.HARM
        elif is_enough(no_worse, alpha):
            finding = HarmFinding.NO_WORSE
    return LatencyVerdict(
        finding=finding,
        batches=total.batches,
        slower=total.slower,
        ratio=_ratio(total),
        log_evidence=harm,
        sentence=f"{finding.value}: {_sentence(total, tolerated)}",
    )


def _evidence(steps: Sequence[StepTimes], against: Callable[[StepTimes], int]) -> float:
    """Return the logarithm of the evidence that most batches go against something, from whichever step on.

    The test that begins with the k-th step has the weight 1/(k(k+1)). What remains of 1 is of tests that have not
    begun, whose evidence is 1.
    """
    logarithms = [-math.log(len(steps) + 1)]
    for position in range(len(steps)):
        since = steps[position:]
        counts = [against(step) for step in since]
        others = sum(step.batches for step in since) - sum(counts)
        logarithms.append(log_sign_evidence(sum(counts), others) - math.log((position + 1) * (position + 2)))
    return float(np.logaddexp.reduce(logarithms))


def _ratio(total: StepTimes) -> float:
    champion, candidate = _milliseconds(total.champion), _milliseconds(total.candidate)
    return candidate / champion if champion > 0 else math.nan


def _milliseconds(time: ScoringTime) -> float:
    """Return the time for an event; NaN without one."""
    return 1_000 * time.seconds / time.events if time.events else math.nan


def _sentence(total: StepTimes, tolerated: float) -> str:
    if not total.batches:
        return (
            f"in no batch were both versions timed on {FEWEST_EVENTS} events; they are where both are read and scored"
            " without Spark"
        )
    enough = "" if total.batches >= FEWEST_BATCHES else f" (from {FEWEST_BATCHES} batches on)"
    return (
        f"in {total.slower:,} of {total.batches:,} batches{enough} the candidate took more than {tolerated:g} times as"
        f" long for an event as the champion; {_ratio(total):.2f} times over all, {_milliseconds(total.candidate):.3g}"
        f" against {_milliseconds(total.champion):.3g} ms"
    )
