"""Distances of distributions and the tables by label, against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics as reference

from streaming.backtest.shift import BINS, jensen_shannon, kolmogorov_smirnov, shift, stability_index
from streaming.backtest.tables import THRESHOLDS, calibration, cross_table, curve
from tests.support.backtests import unhurried

scores = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=60)
numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
judged = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 0.31, 1.0]) | st.floats(0, 1), st.booleans()), min_size=1)
counts = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


@unhurried
@given(scores.filter(lambda found: len(found) > 1), scores.filter(lambda found: len(found) > 1))
def test_kolmogorov_smirnov_is_scipys(first: list[float], second: list[float]) -> None:
    expected = stats.ks_2samp(first, second, method="asymp").statistic
    assert kolmogorov_smirnov(np.array(first), np.array(second)) == pytest.approx(expected)


@unhurried
@given(counts, counts)
def test_jensen_shannon_is_scipys(first: list[int], second: list[int]) -> None:
    expected = distance.jensenshannon(first, second, base=2)
    assert jensen_shannon(np.array(first), np.array(second)) == pytest.approx(expected, abs=1e-7)


def test_the_stability_index_is_that_of_the_textbook() -> None:
    reference_ = np.arange(1_000) / 1_000
    other = np.concatenate([reference_[:500], reference_[:500]])  # twice the lower half
    shares = np.array([0.2] * 5 + [1e-4] * 5)
    expected = float(((shares - 0.1) * np.log(shares / 0.1)).sum())
    assert stability_index(reference_, other) == pytest.approx(expected, rel=0.02)
    assert stability_index(reference_, reference_) == 0


@unhurried
@given(st.one_of(st.tuples(scores, scores), st.tuples(numbers, numbers)))
def test_every_event_is_in_the_histograms_and_on_the_map(sides: tuple[list[float], list[float]]) -> None:
    events = min(map(len, sides))
    first, second = (np.array(side[:events]) for side in sides)
    found = shift("score", first, second)
    assert sum(found.recorded.counts) == sum(found.candidate.counts) == events
    assert sum(map(sum, found.joint)) == events
    assert len(found.edges) == BINS + 1


def test_the_map_has_the_recorded_side_outside_and_the_candidate_inside() -> None:
    found = shift("score", np.array([0.0, 0.0]), np.array([0.99, 0.5]))
    assert [place for place, row in enumerate(found.joint) if any(row)] == [0]
    assert [place for place, count in enumerate(found.joint[0]) if count] == [10, 19]


@unhurried
@given(judged)
def test_a_threshold_does_what_scikit_learn_says(rows: list[tuple[float, bool]]) -> None:
    score, true = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = curve(score, true)
    for place in (0, 1, 30, 31, 50, 100):
        said = score >= THRESHOLDS[place]
        assert found.called[place] == pytest.approx(said.mean())
        if true.any():
            assert found.recall[place] == pytest.approx(reference.recall_score(true, said, zero_division=0))
        if said.sum() >= 10:
            assert found.precision[place] == pytest.approx(reference.precision_score(true, said))
        else:
            assert np.isnan(found.precision[place])


@unhurried
@given(judged)
def test_calibration_has_every_event_once_and_equal_scores_together(rows: list[tuple[float, bool]]) -> None:
    score, true = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    found = calibration(score, true, 0.95)
    assert sum(one.events for one in found) == len(rows)
    assert sum(one.events * one.score for one in found) == pytest.approx(score.sum())
    assert sum(one.events * one.share.value for one in found) == pytest.approx(true.sum())
    assert len(found) <= min(10, len(set(score.tolist())))


@unhurried
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_a_cross_table_is_a_confusion_matrix(rows: list[tuple[int, int]]) -> None:
    first, second = (np.array(column) for column in zip(*rows, strict=True))
    assert cross_table(first, second, 4) == tuple(
        map(tuple, reference.confusion_matrix(first, second, labels=range(4)).tolist())
    )
