"""The metrics, against scikit-learn's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as reference

from streaming.backtest.answers import AnswerKind, Answers, Side
from streaming.backtest.metrics import judge
from streaming.statistics.arrays import Floats
from tests.support.backtests import unhurried

scores = st.sampled_from([0.05, 0.2, 0.4, 0.5, 0.6, 0.9]) | st.floats(0.01, 0.99)
"""Few values among them, so that there are ties."""
weights = st.integers(0, 3)
TWO = st.lists(st.tuples(st.integers(0, 1), scores, weights), min_size=2, max_size=40)
three_scores = st.lists(scores, min_size=3, max_size=3)
THREE = st.lists(st.tuples(st.integers(0, 2), three_scores, weights), min_size=1, max_size=40)
NUMBERS = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9), weights), min_size=1, max_size=40)


def answers(kind: AnswerKind, truth: Any, made: Side) -> Answers:
    classes = 0 if made.probability is None else made.probability.shape[1]
    names = tuple(str(number) for number in range(classes))
    return Answers(kind, names, 1, made, made, np.asarray(truth, np.float64), None)


def measured(found: Answers, weight: Floats) -> dict[str, float]:
    made = judge(found, found.recorded)
    return dict(zip((metric.name for metric in made.metrics), made(weight).tolist(), strict=True))


def repeated(rows: list[tuple[Any, Any, int]]) -> tuple[list[Any], list[Any]]:
    """The rows as a plain list in which one with weight 3 stands three times."""
    copies = [(truth, predicted) for truth, predicted, times in rows for _ in range(times)]
    return [truth for truth, _ in copies], [predicted for _, predicted in copies]


def weights_of(rows: Sequence[tuple[Any, Any, int]]) -> Floats:
    return np.array([float(times) for _, _, times in rows])


@unhurried
@given(TWO)
def test_two_classes(rows: list[tuple[int, float, int]]) -> None:
    truth, score = (np.array(column) for column in repeated(rows))
    if len(set(truth.tolist())) < 2:
        return
    predicted = score > 0.5
    every = np.array([row[1] for row in rows])
    made = Side(every, (every > 0.5).astype(np.int64), np.column_stack([1 - every, every]))
    result = measured(answers(AnswerKind.TWO_CLASSES, [row[0] for row in rows], made), weights_of(rows))
    assert result == pytest.approx(
        {
            "auc": reference.roc_auc_score(truth, score),
            "average_precision": reference.average_precision_score(truth, score),
            "accuracy": reference.accuracy_score(truth, predicted),
            "precision": reference.precision_score(truth, predicted, zero_division=np.nan),
            "recall": reference.recall_score(truth, predicted),
            "f1": reference.f1_score(truth, predicted),
            "log_loss": reference.log_loss(truth, score),
            "brier": reference.brier_score_loss(truth, score),
        },
        nan_ok=True,
    )


@unhurried
@given(THREE)
def test_several_classes(rows: list[tuple[int, list[float], int]]) -> None:
    truth, predicted = repeated(rows)
    if not truth:
        return
    every = np.array([np.array(row[1]) / sum(row[1]) for row in rows])
    probability = np.array([np.array(row) / sum(row) for row in predicted])
    made = Side(every[:, 0], every.argmax(1), every)
    result = measured(answers(AnswerKind.SEVERAL_CLASSES, [row[0] for row in rows], made), weights_of(rows))
    predicted = probability.argmax(1)
    present = sorted(set(truth))
    expected = {
        "accuracy": reference.accuracy_score(truth, predicted),
        "macro_recall": reference.recall_score(truth, predicted, labels=present, average="macro", zero_division=0),
        "macro_f1": reference.f1_score(truth, predicted, average="macro"),
        "log_loss": reference.log_loss(truth, probability, labels=[0, 1, 2]),
    }
    assert result == pytest.approx(expected)


@unhurried
@given(NUMBERS)
def test_numbers(rows: list[tuple[float, float, int]]) -> None:
    truth, predicted = repeated(rows)
    if not truth:
        return
    made = Side(np.array([row[1] for row in rows]), np.zeros(len(rows), np.int64), None)
    result = measured(answers(AnswerKind.NUMBERS, [row[0] for row in rows], made), weights_of(rows))
    expected = {
        "mae": reference.mean_absolute_error(truth, predicted),
        "rmse": reference.root_mean_squared_error(truth, predicted),
    }
    assert result == pytest.approx(expected)


@pytest.mark.parametrize(
    ("truth", "undefined"),
    [
        pytest.param([1, 1], {"auc", "precision"}, id="only one class: nothing to rank against"),
        pytest.param([0, 0], {"auc", "average_precision", "recall", "precision", "f1"}, id="and none of the positive"),
    ],
)
def test_what_has_no_value_is_nan_and_no_error(truth: list[int], undefined: set[str]) -> None:
    score = np.array([0.1, 0.2])
    made = Side(score, np.zeros(2, np.int64), np.column_stack([1 - score, score]))
    result = measured(answers(AnswerKind.TWO_CLASSES, truth, made), np.ones(2))
    assert {name for name, value in result.items() if np.isnan(value)} == undefined


def test_without_probabilities_there_is_no_score_to_judge() -> None:
    made = Side(np.ones(2), np.ones(2, np.int64), None)
    result = Answers(AnswerKind.TWO_CLASSES, ("0", "1"), 1, made, made, np.array([0.0, 1.0]), None)
    assert set(measured(result, np.ones(2))) == {"accuracy", "precision", "recall", "f1"}


def test_a_class_that_a_model_holds_impossible_costs_much_but_not_without_end() -> None:
    made = Side(np.ones(1), np.ones(1, np.int64), np.array([[0.0, 1.0]]))
    assert 30 < measured(answers(AnswerKind.TWO_CLASSES, [0], made), np.ones(1))["log_loss"] < 40


@unhurried
@given(st.lists(st.tuples(st.integers(0, 2), three_scores, st.integers(0, 4)), min_size=3), st.data())
def test_weights_of_units_are_the_same_as_those_of_their_events(
    rows: list[tuple[int, list[float], int]], data: st.DataObject
) -> None:
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=5, max_size=5)), np.float64)
    truth, unit = np.array([row[0] for row in rows]), np.array([row[2] for row in rows])
    assume(weight[unit].any())
    probability = np.array([np.array(row[1]) / sum(row[1]) for row in rows])
    two = np.column_stack([1 - probability[:, 0], probability[:, 0]])
    for judged in (
        answers(AnswerKind.SEVERAL_CLASSES, truth, Side(two[:, 0], probability.argmax(1), probability)),
        answers(AnswerKind.TWO_CLASSES, truth > 0, Side(two[:, 0], two.argmax(1), two)),
        answers(AnswerKind.NUMBERS, truth, Side(two[:, 0], two.argmax(1), None)),
    ):
        made = judge(judged, judged.recorded)
        with np.errstate(invalid="ignore"):
            assert made.pooled(unit, 5)(weight) == pytest.approx(made(weight[unit]), nan_ok=True)


def test_many_scores_are_pooled_with_no_difference_that_anybody_would_see() -> None:
    random = np.random.default_rng(1)
    truth, unit = random.random(50_000) < 0.3, np.arange(50_000) % 30
    score = 1 / (1 + np.exp(random.normal(0, 1, 50_000) - truth))
    made = Side(score, (score > 0.5).astype(np.int64), np.column_stack([1 - score, score]))
    result = answers(AnswerKind.TWO_CLASSES, truth, made)
    ranked, weight = judge(result, made), random.integers(0, 4, 30).astype(np.float64)
    assert ranked.pooled(unit, 30)(weight) == pytest.approx(ranked(weight[unit]), abs=1e-4)
