"""Both sides' histograms, and the tables by label against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from streaming.backtest.shift import BINS, shift
from streaming.backtest.tables import THRESHOLDS, calibration, cross_table, curve
from tests.support.backtests import unhurried

scores = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=60)
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
judged = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.31, 1.0]) | st.floats(0, 1), st.booleans()), min_size=1)


@unhurried
@given(st.one_of(st.tuples(scores, scores), st.tuples(numbers, numbers)))
def test_every_event_is_in_the_histograms_and_on_the_map(sides: tuple[list[float], list[float]]) -> None:
    events = min(map(len, sides))
    first, second = (np.array(side[:events]) for side in sides)
    result = shift("score", first, second)
    assert sum(result.recorded.counts) == sum(result.candidate.counts) == events
    assert sum(map(sum, result.joint)) == events
    assert len(result.edges) == BINS + 1


def test_a_score_that_half_of_the_events_leave_is_as_far_as_it_looks() -> None:
    recorded = (np.arange(1_000) + 0.5) / 1_000
    candidate = np.concatenate([recorded[:500], recorded[:500]])  # twice the lower half
    result = shift("score", recorded, candidate)
    shares = np.array([200.5] * 5 + [0.5] * 5) / 1_005
    assert result.psi == pytest.approx(((shares - 0.1) * np.log(shares / 0.1)).sum(), rel=1e-9)
    assert result.ks == pytest.approx(0.5)
    assert result.jensen_shannon == pytest.approx(np.sqrt(1.5 - 0.75 * np.log2(3)), rel=1e-9)


def test_the_same_scores_are_no_shift() -> None:
    same = np.arange(1_000) / 1_000
    result = shift("score", same, same)
    assert (result.psi, result.ks, result.jensen_shannon) == (0, 0, 0)


def test_the_map_has_the_recorded_side_outside_and_the_candidate_inside() -> None:
    result = shift("score", np.array([0.0, 0.0]), np.array([0.99, 0.5]))
    assert [position for position, row in enumerate(result.joint) if any(row)] == [0]
    assert [position for position, count in enumerate(result.joint[0]) if count] == [10, 19]


@unhurried
@given(judged)
def test_a_threshold_does_what_scikit_learn_says(rows: list[tuple[float, bool]]) -> None:
    score, true = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    result = curve(score, true)
    for position in (0, 1, 30, 31, 50, 100):
        predicted = score >= THRESHOLDS[position]
        assert result.called[position] == pytest.approx(predicted.mean())
        if true.any():
            assert result.recall[position] == pytest.approx(reference.recall_score(true, predicted, zero_division=0))
        if predicted.sum() >= 10:
            assert result.precision[position] == pytest.approx(reference.precision_score(true, predicted))
        else:
            assert np.isnan(result.precision[position])


@unhurried
@given(judged)
def test_calibration_has_every_event_once_and_equal_scores_together(rows: list[tuple[float, bool]]) -> None:
    score, true = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    result = calibration(score, true, 0.95)
    assert sum(one.events for one in result) == len(rows)
    assert sum(one.events * one.score for one in result) == pytest.approx(score.sum())
    assert sum(one.events * one.share.value for one in result) == pytest.approx(true.sum())
    assert len(result) <= min(10, len(set(score.tolist())))


@unhurried
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_a_cross_table_is_a_confusion_matrix(rows: list[tuple[int, int]]) -> None:
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    assert cross_table(first, second, 4) == tuple(
        map(tuple, reference.confusion_matrix(first, second, labels=range(4)).tolist())
    )
