"""Ranking, against scikit-learn's and against pairs counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from streaming.statistics.ranking import Ranking, auc
from tests.support.backtests import unhurried

scores = st.sampled_from([0.05, 0.2, 0.4, 0.5, 0.6, 0.9]) | st.floats(0.01, 0.99)
"""Few values among them, so that there are ties."""
EVENTS = st.lists(st.tuples(st.booleans(), scores, st.integers(0, 3)), min_size=2, max_size=40)
Events = list[tuple[bool, float, int]]


@unhurried
@given(EVENTS)
def test_auc_is_the_share_of_pairs_in_order_with_ties_counted_half(events: Events) -> None:
    true, score = np.array([event[0] for event in events]), np.array([event[1] for event in events])
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in score[true] for b in score[~true]]
    expected = sum(pairs) / len(pairs) if pairs else float("nan")
    assert auc(score, true) == pytest.approx(expected, nan_ok=True)


@unhurried
@given(EVENTS)
def test_weighted_ranks_are_scikit_learns(events: Events) -> None:
    true, score, weight = (np.array(column) for column in zip(*events, strict=True))
    assume(weight[true].any() and weight[~true].any())
    ranked = Ranking(score, true)(weight.astype(np.float64))
    assert ranked.auc == pytest.approx(reference.roc_auc_score(true, score, sample_weight=weight))
    expected = reference.average_precision_score(true, score, sample_weight=weight)
    assert ranked.average_precision == pytest.approx(expected)


@unhurried
@given(EVENTS)
def test_a_row_for_each_score_and_class_with_its_count_ranks_as_the_events_do(events: Events) -> None:
    true, score = np.array([event[0] for event in events]), np.array([event[1] for event in events])
    cells, counts = np.unique(np.column_stack([score, true]), axis=0, return_counts=True)
    counted = Ranking(cells[:, 0], cells[:, 1] > 0)(counts.astype(np.float64))
    assert counted == pytest.approx(Ranking(score, true)(np.ones(len(score))), nan_ok=True)
