"""The change of the shift between two versions' scores: what the hours say, and that equal hours seldom say harm."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streaming.errors import ConfigurationError
from streaming.rollout.checks import JudgeRules
from streaming.rollout.judge import HarmFinding
from streaming.rollout.score_shift import DEVIATIONS, FEWEST_HOURS, HourShifts, ShiftRules, judge_shift

RULES = ShiftRules(alpha=0.001)


def hours(*shifts: float, events: int = 400, variance: float = 0.0) -> HourShifts:
    return HourShifts(np.full(len(shifts), events), np.array(shifts, np.float64), np.full(len(shifts), variance))


SHOWN = hours(*np.linspace(0.01, 0.03, FEWEST_HOURS).tolist())
"""Hours of a shadow whose scores are 0.02 higher in the mean."""


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(hours(*[0.2] * 14), HarmFinding.HARM, id="above"),
        pytest.param(hours(*[-0.2] * 14), HarmFinding.HARM, id="below"),
        pytest.param(hours(*[-0.2, 0.2] * 7), HarmFinding.HARM, id="above and below"),
        pytest.param(hours(*[0.2] * 5), HarmFinding.NOT_TOLD, id="a few hours"),
        pytest.param(hours(*[0.2] * 14, *[0.02] * 14), HarmFinding.NOT_TOLD, id="half of the hours"),
        pytest.param(hours(*[0.02] * 14), HarmFinding.NO_WORSE, id="as the shadow has shown it"),
        pytest.param(hours(), HarmFinding.NOT_TOLD, id="no block"),
    ],
)
def test_a_candidate_is_harmful_if_its_hours_are_further_off_than_hours_differ(
    since: HourShifts, expected: HarmFinding
) -> None:
    verdict = judge_shift(SHOWN, since, RULES)
    assert verdict.finding is expected
    assert verdict.sentence.startswith(f"{expected.value}: ")
    margin = DEVIATIONS * np.std(SHOWN.mean, ddof=1) if len(since) else math.nan
    assert (verdict.expected, verdict.margin) == pytest.approx((0.02, margin), nan_ok=True)


def test_an_hour_with_few_events_has_a_wider_margin() -> None:
    shown = HourShifts(SHOWN.events, SHOWN.mean, np.full(FEWEST_HOURS, 0.04))
    assert judge_shift(shown, hours(*[0.12] * 14, events=400), RULES).finding is HarmFinding.HARM
    few = judge_shift(shown, hours(*[0.12] * 14, events=10), RULES)
    assert few.finding is HarmFinding.NO_WORSE
    assert few.margin == pytest.approx(DEVIATIONS * math.sqrt(np.var(SHOWN.mean, ddof=1) + 0.04 / 10))


def test_what_the_plan_expects_and_tolerates_counts_before_what_the_shadow_has_shown() -> None:
    since = hours(*[0.2] * 14)
    expects = ShiftRules(alpha=0.001, expected=0.2, tolerated=0.1)
    assert judge_shift(SHOWN, since, expects).finding is HarmFinding.NO_WORSE
    assert judge_shift(hours(), since, expects).finding is HarmFinding.NO_WORSE
    assert judge_shift(SHOWN, since, ShiftRules(alpha=0.001, tolerated=0.3)).finding is HarmFinding.NO_WORSE


def test_without_a_shadow_and_an_expectation_nothing_is_told() -> None:
    short = hours(*SHOWN.mean[1:].tolist())
    verdict = judge_shift(short, hours(*[0.9] * 50), RULES)
    assert verdict.finding is HarmFinding.NOT_TOLD
    assert math.isnan(verdict.margin)
    assert verdict.sentence.startswith(f"not told: {FEWEST_HOURS - 1} of {FEWEST_HOURS} hours of a step without")


def test_a_shift_that_is_expected_exactly_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a tolerated_shift above 0"):
        JudgeRules(expected_shift=0.02)
    with pytest.raises(ConfigurationError, match="tolerated_shift is at least 0"):
        JudgeRules(tolerated_shift=-0.1)


def test_a_candidate_whose_hours_are_as_often_outside_as_inside_is_seldom_called_harmful() -> None:
    random, runs, alarms = np.random.default_rng(41), 150, 0
    rules = ShiftRules(alpha=0.01, expected=0.0, tolerated=0.1)
    for _ in range(runs):
        # The worst candidate that the promise is about: its median hour is at the margin.
        since = np.where(random.random(60) < 0.5, 0.2, 0.0).tolist()
        looks = (judge_shift(hours(), hours(*since[:look]), rules) for look in range(1, 61))
        alarms += any(verdict.finding is HarmFinding.HARM for verdict in looks)
    # With a chance of 0.01 a run, 150 runs have more than 6 once in a thousand times.
    assert alarms <= 6
