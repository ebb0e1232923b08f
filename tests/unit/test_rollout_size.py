"""How many events or days a comparison needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ConfigurationError
from streaming.rollout.size import Question, days_needed, sizes
from streaming.statistics.sequential import one_sided_width

FLIGHTS = Question(error_rate=0.22, worse_by=0.01, disagree=0.05)


@pytest.mark.parametrize(
    ("power", "once", "always"), [(0.5, 5.4, 11.3), (0.8, 10.0, 17.6), (0.9, 13.0, 21.5)], ids=["half", "0.8", "0.9"]
)
def test_sizes_are_multiples_of_the_variance_by_the_squared_difference(
    power: float, once: float, always: float
) -> None:
    """The multiples of kappa at alpha 0.01; that at half power is where the bound is passed on average."""
    question = Question(error_rate=0.2, worse_by=0.01, disagree=0.1, power=power)
    kappa = question.paired_variance / question.worse_by**2
    needed = sizes(question.paired_variance, question)
    assert needed.once / kappa == pytest.approx(once, rel=0.02)
    assert needed.always / kappa == pytest.approx(always, rel=0.02)


def test_a_comparison_of_that_size_finds_the_difference_as_often_as_it_says() -> None:
    question, runs = Question(error_rate=0.2, worse_by=0.05, disagree=0.15), 4_000
    needed = sizes(question.paired_variance, question)
    draws = np.random.default_rng(3).random((runs, needed.always))
    up = (question.disagree + question.worse_by) / 2
    sums = ((draws < up).astype(int) - (draws > 1 - (question.disagree - up))).cumsum(1)
    once = sums[:, needed.once - 1] > 2.326 * math.sqrt(needed.once * question.paired_variance)
    looks = np.arange(100, needed.always)
    bounds = [one_sided_width(float(n), 0.01, needed.always) * math.sqrt(n * question.paired_variance) for n in looks]
    always = (sums[:, looks - 1] > bounds).any(1)
    assert 0.77 < once.mean() < 0.83
    # Whoever looks at every event may find it before.
    assert 0.8 < always.mean() < 0.93


def question_of(champion: float, rise: float, spread: float, **more: float) -> Question:
    """Return a question on versions whose errors are no more unlike than those of independent versions."""
    candidate = champion + rise * (1 - champion)
    independent = champion * (1 - candidate) + candidate * (1 - champion)
    worse_by = candidate - champion
    return Question(
        error_rate=champion, worse_by=worse_by, disagree=worse_by + spread * (independent - worse_by), **more
    )


_QUESTIONS = st.builds(
    question_of,
    st.floats(0.01, 0.9),
    st.floats(0.001, 0.9),
    st.floats(0, 1),
    share=st.floats(0.01, 0.99),
    alpha=st.floats(0.001, 0.2),
    power=st.floats(0.5, 0.99),
)


@given(_QUESTIONS)
def test_looking_always_needs_more_events_than_looking_once_and_own_events_more_than_the_same(
    question: Question,
) -> None:
    paired, unpaired = (
        sizes(variance, question) for variance in (question.paired_variance, question.unpaired_variance)
    )
    assert paired.once <= paired.always
    assert paired.once <= unpaired.once
    assert paired.always <= unpaired.always


@given(_QUESTIONS, st.floats(1, 1e6), st.floats(0, 0.2))
def test_more_events_a_day_never_need_more_days(question: Question, events: float, deviation: float) -> None:
    fewer, more = (days_needed(question.paired_variance, question, n, deviation) for n in (events, 2 * events))
    assert 10 <= more <= fewer


def test_days_that_differ_are_what_many_events_cannot_make_up_for() -> None:
    alike = days_needed(FLIGHTS.paired_variance, FLIGHTS, 100_000, 0.0)
    differing = days_needed(FLIGHTS.paired_variance, FLIGHTS, 100_000, 0.02)
    assert alike == 10
    assert differing > 60
    assert days_needed(FLIGHTS.paired_variance, FLIGHTS, 10_000_000, 0.02) == pytest.approx(differing, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"error_rate": 1.5}, "the error rate must be between 0 and 1, not 1.5", id="no share"),
        pytest.param({"alpha": 0.5}, "alpha must be between 0 and 0.5", id="alpha"),
        pytest.param({"disagree": 0.005}, "at least 0.01 and at most 0.45, not 0.005", id="too little disagreement"),
        pytest.param({"disagree": 0.5}, "at least 0.01 and at most 0.45, not 0.5", id="too much disagreement"),
        pytest.param({"worse_by": 0.9}, "an error rate of 0.22 that rises by 0.9 would be above 1", id="beyond 1"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(changes: dict[str, float], message: str) -> None:
    numbers = {"error_rate": 0.22, "worse_by": 0.01, "disagree": 0.05, **changes}
    with pytest.raises(ConfigurationError, match=message):
        Question(**numbers)


@pytest.mark.parametrize(
    ("events", "deviation", "message"),
    [
        pytest.param(0, 0.0, "0 a day", id="no events"),
        pytest.param(900, -0.1, "a deviation of at least 0", id="below 0"),
        pytest.param(900, math.inf, "a deviation of at least 0", id="infinite"),
    ],
)
def test_days_that_cannot_be_are_refused(events: float, deviation: float, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        days_needed(1.0, FLIGHTS, events, deviation)
