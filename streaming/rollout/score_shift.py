"""How far the candidate's scores are from the champion's on the same events, against what was expected of it.

A candidate that was trained anew shifts the scores, as it should. So the shift is not judged, but the change of it: on
the events that the candidate answers, against what the steps without a share showed before, or what the plan expects.
It takes no labels, so it is found within hours.

The unit is the hour. Events of an hour are alike, and so are the hours of a day. Therefore an hour counts once, by its
mean shift, and only if that is further from what was expected than hours differ among themselves. The evidence is a
sign test in sequence on the hours. It is exact for independent ones, however their means are distributed; the margin is
what makes up for a day whose hours are alike (``make bench-guard`` measures that on recorded flights).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from streaming.rollout.judge import HarmFinding
from streaming.statistics.arrays import Floats, Ints
from streaming.statistics.eprocess import is_enough, log_sign_evidence
from streaming.words import plural

HOUR = timedelta(hours=1)
FEWEST_EVENTS = 10
"""An hour with fewer events says nothing: its mean is the noise of single events."""
FEWEST_HOURS = 72
"""From fewer hours without a share nothing is learnt: those of one day do not show how hours differ. On recorded
flights a margin that was learnt from a day was too narrow in one of a hundred rollouts, from three days in none."""
DEVIATIONS = 3.0
"""The margin covers so many standard deviations of an hour's mean."""


@dataclass(frozen=True)
class HourShifts:
    """Hours with enough events: the number of these, their mean shift, and its variance among them, as arrays."""

    events: Ints
    mean: Floats
    variance: Floats

    def __len__(self) -> int:
        """Return the number of hours."""
        return len(self.events)

    @property
    def overall(self) -> float:
        """The shift of the mean hour; NaN without one."""
        return math.fsum(self.mean.tolist()) / len(self) if len(self) else math.nan

    @property
    def noise(self) -> float:
        """The variance of the shift among events of the same hour."""
        return float(np.average(self.variance, weights=self.events)) if len(self) else 0.0


@dataclass(frozen=True)
class ShiftRules:
    """The rules by which a shift of the scores is judged.

    Attributes:
        alpha: the chance that a candidate whose hours are as likely outside the margin as inside is found harmful.
        expected: the shift that the plan expects; ``None`` to learn it from the steps without a share.
        tolerated: a distance from the expected shift that is no harm, in units of the score; the margin is at least it.
    """

    alpha: float
    expected: float | None = None
    tolerated: float = 0.0


@dataclass(frozen=True)
class ShiftVerdict:
    """``shift`` is that of the mean hour since the candidate answers, NaN without one.

    ``expected`` and ``margin``, that of the mean hour, are NaN where nothing is expected. ``outside`` of ``hours`` were
    further from what was expected than their margins.
    """

    finding: HarmFinding
    hours: int
    outside: int
    shift: float
    expected: float
    margin: float
    log_evidence: float
    sentence: str


def judge_shift(before: HourShifts, since: HourShifts, rules: ShiftRules) -> ShiftVerdict:
    """Judge the change of the shift; the verdict may be that the scores are as expected, which is no worse.

    Args:
        before: the hours of the steps without a share.
        since: the hours in which the candidate has answered, by the events that it answered.
        rules: what is expected.
    """
    if rules.expected is None and len(before) < FEWEST_HOURS:
        return _nothing_expected(before, since)
    expected = before.overall if rules.expected is None else rules.expected
    margins = _margins(before, since, rules)
    outside = int(np.count_nonzero(np.abs(since.mean - expected) > margins))
    inside = len(since) - outside
    harm, no_worse = log_sign_evidence(outside, inside), log_sign_evidence(inside, outside)
    finding = HarmFinding.NOT_TOLD
    if is_enough(harm, rules.alpha):
        finding = HarmFinding.HARM
    elif is_enough(no_worse, rules.alpha):
        finding = HarmFinding.NO_WORSE
    margin = float(margins.mean()) if len(since) else math.nan
    return ShiftVerdict(
        finding=finding,
        hours=len(since),
        outside=outside,
        shift=since.overall,
        expected=expected,
        margin=margin,
        log_evidence=harm,
        sentence=(
            f"{finding.value}: in {outside} of {plural(len(since), 'hour')} the candidate's scores are further than"
            f" {margin:.4g} from the expected shift of {expected:.4g}"
        ),
    )


def _margins(before: HourShifts, since: HourShifts, rules: ShiftRules) -> Floats:
    """Return the margin of each hour, which is wider the fewer events the candidate has answered in it."""
    has_learnt = len(before) >= FEWEST_HOURS
    between = float(np.var(before.mean, ddof=1)) if has_learnt else 0.0
    noise = before.noise if has_learnt else since.noise
    return np.maximum(rules.tolerated, DEVIATIONS * np.sqrt(between + noise / since.events))


def _nothing_expected(before: HourShifts, since: HourShifts) -> ShiftVerdict:
    return ShiftVerdict(
        finding=HarmFinding.NOT_TOLD,
        hours=len(since),
        outside=0,
        shift=since.overall,
        expected=math.nan,
        margin=math.nan,
        log_evidence=0.0,
        sentence=(
            f"not told: {len(before)} of {FEWEST_HOURS} hours of a step without a share have shown which shift is to be"
            " expected, and the plan expects none"
        ),
    )
