"""The judge of a rollout: seldom wrong about equal versions, however often it looks, and quick about a worse one."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from streaming.errors import ConfigurationError, DataError
from streaming.rollout.days import DaySums, day_sums, log_loss_differences
from streaming.rollout.judge import FEWEST_DAYS, HarmFinding, HarmRules, QualityVerdict, judge
from streaming.statistics.arrays import Floats
from streaming.statistics.sequential import one_sided_width
from tests.support.backtests import unhurried

ONE_IN_100 = HarmRules(alpha=0.01)
WITH_BACKTEST = HarmRules(alpha=0.01, deviation=1.0)
DAY = 86_400_000_000
LAST = 30
RUNS = 1_000


def days_of(means: Floats) -> DaySums:
    """Days of 900 events each with these mean differences."""
    events = np.full(len(means), 900)
    return DaySums(np.arange(len(means)), events, means * events)


def harm_on_day(means: Floats, rules: HarmRules) -> float:
    """After how many days harm is found, looking after each; infinite if never."""
    looks = range(FEWEST_DAYS, len(means) + 1)
    return next((day for day in looks if judge(days_of(means[:day]), rules).finding is HarmFinding.HARM), math.inf)


def rare_gains(random: np.random.Generator) -> Floats:
    """Days of mean 0 and deviation 1 that are a little bad, and one in ten is very good."""
    return np.where(random.random((RUNS, LAST)) < 0.1, -3.0, 1 / 3)


def false_alarms(means: Floats, rules: HarmRules) -> int:
    return sum(harm_on_day(row, rules) < math.inf for row in means)


def test_equal_versions_are_called_harmful_at_most_as_often_as_allowed_though_each_day_is_looked_at() -> None:
    means = np.random.default_rng(11).normal(size=(RUNS, LAST))
    assert false_alarms(means, ONE_IN_100) <= 0.01 * RUNS


def test_single_events_would_raise_false_alarms_where_days_do_not() -> None:
    """The trap: events of a day are alike. Ten times the variance that they would have by themselves, in two weeks."""
    random = np.random.default_rng(12)
    shape = (200, 14, 900)
    differences = random.normal(0, 0.1, (*shape[:2], 1)) + random.normal(size=shape)
    sums = differences.reshape(len(differences), -1).cumsum(1)[:, 99::100]
    bounds = [one_sided_width(events, 0.01, 2_000) * math.sqrt(events) for events in range(100, 14 * 900 + 1, 100)]
    assert np.mean((sums > bounds).any(1)) > 0.4
    assert false_alarms(differences.mean(2), ONE_IN_100) <= 2


def test_rare_days_of_great_gain_deceive_it_unless_the_backtest_has_seen_them() -> None:
    means = rare_gains(np.random.default_rng(13))
    assert false_alarms(means, ONE_IN_100) > 0.2 * RUNS
    assert false_alarms(means, WITH_BACKTEST) <= 0.01 * RUNS


def test_a_candidate_worse_by_as_much_as_days_differ_is_found_in_three_weeks_by_half() -> None:
    means = np.random.default_rng(14).normal(1.0, 1.0, (200, LAST))
    result = np.array([harm_on_day(row, ONE_IN_100) for row in means])
    assert np.median(result) <= 18
    assert np.quantile(result, 0.9) <= 28


def test_a_grossly_worse_candidate_is_found_on_the_first_day_that_is_judged() -> None:
    means = np.random.default_rng(15).normal(5.0, 1.0, LAST)
    assert harm_on_day(means, WITH_BACKTEST) == FEWEST_DAYS


@pytest.mark.parametrize(
    ("means", "rules", "finding", "sentence"),
    [
        pytest.param([], HarmRules(), "not told", "not told: 0 of 10 days", id="no day"),
        pytest.param([9.0] * 9, HarmRules(), "not told", "not told: 9 of 10 days", id="a day too few"),
        pytest.param([0.5, 0.6] * 6, HarmRules(), "harm", "harm: over 12 days the candidate's loss is", id="harm"),
        pytest.param([0.01, -0.01] * 20, HarmRules(tolerated=0.1), "no worse", "no worse: over 40 days", id="no worse"),
        pytest.param([0.01, -0.01] * 20, HarmRules(), "not told", "not told: after 40 days", id="nothing is tolerated"),
        pytest.param([0.0] * 40, HarmRules(), "not told", "between 0 and 0", id="the same version twice"),
    ],
)
def test_there_are_three_answers(means: list[float], rules: HarmRules, finding: str, sentence: str) -> None:
    verdict = judge(days_of(np.array(means)), rules)
    assert verdict.finding == finding
    assert sentence in verdict.sentence


def close(one: QualityVerdict, other: QualityVerdict) -> bool:
    numbers = [(verdict.difference, verdict.low, verdict.high) for verdict in (one, other)]
    return one.finding == other.finding and numbers[0] == pytest.approx(numbers[1], rel=1e-9, abs=1e-9, nan_ok=True)


@unhurried
@given(seed=st.integers(0, 2**32 - 1), parts=st.integers(1, 8), days=st.integers(1, 25))
def test_a_verdict_is_the_same_from_any_partitioning_in_any_order(seed: int, parts: int, days: int) -> None:
    random = np.random.default_rng(seed)
    times, differences = random.integers(-DAY, days * DAY, 500), random.normal(0.1, 1, 500)
    part = random.integers(0, parts, 500)
    sums = [day_sums(times[part == number], differences[part == number]) for number in range(parts)]
    random.shuffle(sums)
    merged = reduce(DaySums.merged, sums)
    together = day_sums(times, differences)
    assert merged.day.tolist() == together.day.tolist()
    assert merged.events.tolist() == together.events.tolist()
    assert close(judge(merged, HarmRules(tolerated=0.5)), judge(together, HarmRules(tolerated=0.5)))


def test_each_event_counts_on_its_own_day_and_days_that_are_not_due_are_left_out() -> None:
    times = np.array([DAY - 1, DAY, 0, 5 * DAY, -1])
    sums = day_sums(times, np.array([1.0, 10.0, 3.0, 7.0, 4.0]))
    assert (sums.day.tolist(), sums.events.tolist(), sums.means.tolist()) == (
        [-1, 0, 1, 5],
        [1, 2, 1, 1],
        [4, 2, 10, 7],
    )
    assert sums.before(1).day.tolist() == [-1, 0]


def test_a_difference_that_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 differences are not finite"):
        day_sums(np.array([0, 1]), np.array([0.0, math.nan]))


def test_times_without_differences_are_refused() -> None:
    with pytest.raises(DataError, match="2 event times came with 1 differences"):
        day_sums(np.array([0, 1]), np.array([0.0]))


def test_differences_are_those_of_log_losses_with_probabilities_clipped() -> None:
    random = np.random.default_rng(16)
    happened = random.integers(0, 2, 200).astype(np.float64)
    champion, candidate = random.uniform(size=(2, 200)).round(2)
    clipped = [log_loss(happened, np.clip(side, 0.01, 0.99)) for side in (candidate, champion)]
    assert log_loss_differences(happened, champion, candidate).mean() == pytest.approx(clipped[0] - clipped[1])


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"alpha": 0.0}, id="no false alarm allowed"),
        pytest.param({"alpha": 0.5}, id="every second alarm false"),
        pytest.param({"tolerated": -0.1}, id="less than nothing tolerated"),
        pytest.param({"deviation": math.nan}, id="a deviation that is no number"),
        pytest.param({"expected_days": 0}, id="no day expected"),
    ],
)
def test_rules_for_which_there_is_no_test_are_refused(rules: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="rollout"):
        HarmRules(**rules)  # type: ignore[arg-type]
