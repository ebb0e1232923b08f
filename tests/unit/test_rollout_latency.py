"""The candidate's time for an event: what batches of both versions say, step by step, and how seldom it is wrong."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ConfigurationError
from streaming.rollout.checks import ALPHA, JudgeRules, RolloutCheck
from streaming.rollout.judge import HarmFinding
from streaming.rollout.latency import FEWEST_BATCHES, FEWEST_EVENTS, TOLERATED, StepTimes, judge_latency
from streaming.scoring_time import ScoringTime

OWN_ALPHA = ALPHA[RolloutCheck.LATENCY]


def step(*ratios: float, events: int = 100) -> StepTimes:
    """A step whose batches have these ratios of the candidate's time to the champion's, which is 1 ms an event."""
    times = StepTimes()
    for ratio in ratios:
        champion, candidate = (ScoringTime(events, each * events / 1_000) for each in (1.0, ratio))
        times = times.with_batch(champion, candidate, TOLERATED)
    return times


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([], HarmFinding.NOT_TOLD, id="no batch"),
        pytest.param([step(*[2.0] * 30)], HarmFinding.HARM, id="twice as slow"),
        pytest.param([step(*[1.4] * 30)], HarmFinding.NO_WORSE, id="slower, and tolerated"),
        pytest.param([step(*[2.0] * 29)], HarmFinding.NOT_TOLD, id="a few batches"),
        pytest.param([step(*[2.0, 1.0] * 60)], HarmFinding.NOT_TOLD, id="half of the batches"),
        pytest.param([step(*[2.0] * 14, *[1.0] * 26)], HarmFinding.NOT_TOLD, id="slow only while caches are cold"),
        pytest.param([step(*[1.0] * 500), step(*[2.0] * 30)], HarmFinding.HARM, id="slow with more keys"),
        pytest.param([step(*[2.0] * 20), step(*[2.0] * 10)], HarmFinding.HARM, id="slow in two steps together"),
        pytest.param([step(*[2.0] * 90, events=9)], HarmFinding.NOT_TOLD, id="too few events a batch"),
    ],
)
def test_a_candidate_is_harmful_if_its_time_for_an_event_is_above_what_is_tolerated_in_most_batches(
    steps: list[StepTimes], expected: HarmFinding
) -> None:
    verdict = judge_latency(steps, TOLERATED, OWN_ALPHA)
    assert verdict.finding is expected
    assert verdict.sentence.startswith(f"{expected.value}: ")


def test_the_sentence_has_the_batches_and_both_times_and_says_why_there_are_none() -> None:
    assert judge_latency([step(*[2.0] * 40)], TOLERATED, OWN_ALPHA).sentence == (
        "harm: in 40 of 40 batches the candidate took more than 1.5 times as long for an event as the champion;"
        " 2.00 times over all, 2 against 1 ms"
    )
    nothing = judge_latency([], TOLERATED, OWN_ALPHA)
    assert (nothing.batches, nothing.log_evidence) == (0, 0.0)
    assert math.isnan(nothing.ratio)
    assert f"in no batch were both versions timed on {FEWEST_EVENTS} events" in nothing.sentence


def test_a_slowdown_of_less_than_none_is_refused() -> None:
    for tolerated in (0.9, math.nan, math.inf):
        with pytest.raises(ConfigurationError, match="tolerated_slowdown is at least 1"):
            JudgeRules(tolerated_slowdown=tolerated)


times = st.builds(ScoringTime, st.integers(0, 40), st.floats(0, 1))


@given(st.lists(st.tuples(times, times), max_size=30), st.randoms())
def test_batches_in_any_order_and_in_any_parts_give_the_same_verdict(
    batches: list[tuple[ScoringTime, ScoringTime]], random: Random
) -> None:
    def steps_of(these: list[tuple[ScoringTime, ScoringTime]]) -> StepTimes:
        total = StepTimes()
        for champion, candidate in these:
            total = total.with_batch(champion, candidate, TOLERATED)
        return total

    whole = steps_of(batches)
    shuffled = list(batches)
    random.shuffle(shuffled)
    parts = [steps_of(shuffled[start::3]) for start in range(3)]
    together = parts[2].merged(parts[0]).merged(parts[1])
    first, second = (judge_latency([each], TOLERATED, 0.01) for each in (whole, together))
    assert (first.finding, first.batches, first.slower) == (second.finding, second.batches, second.slower)
    assert first.log_evidence == second.log_evidence
    assert first.ratio == pytest.approx(second.ratio, rel=1e-9, nan_ok=True)


def test_a_candidate_that_is_slower_in_half_of_the_batches_is_seldom_called_harmful() -> None:
    random, runs, alarms = np.random.default_rng(43), 300, 0
    for _ in range(runs):
        # The worst candidate that the promise is about: its median batch is at what is tolerated. Three steps.
        slower = (random.random((3, 60)) < 0.5).cumsum(axis=1)
        is_called_harmful = False
        for number in range(3):
            done = [StepTimes(60, int(slower[earlier, -1])) for earlier in range(number)]
            looks = ([*done, StepTimes(look, int(slower[number, look - 1]))] for look in range(1, 61, 3))
            verdicts = (judge_latency(each, TOLERATED, 0.01) for each in looks)
            is_called_harmful |= any(verdict.finding is HarmFinding.HARM for verdict in verdicts)
        alarms += is_called_harmful
    # With a chance of 0.01 a run, 300 runs have more than 9 once in a thousand times.
    assert alarms <= 9
    assert FEWEST_BATCHES < 60
