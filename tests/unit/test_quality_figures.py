"""The metrics of a window equal scikit-learn's on the same rows, and what has no value says why."""

from __future__ import annotations

import json
import warnings
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from schemas.quality import MetricFigure, VersionQuality
from streaming.quality.cohort import MeasuringRules, measured
from streaming.quality.estimates import expected
from streaming.quality.figures import NUMBERS, SEVERAL_CLASSES, TWO_CLASSES
from streaming.statistics.arrays import Floats
from tests.support.backtests import unhurried
from tests.support.labels import label, labelled, of_day, predicted, values

EXACT = 1e-9
NO_LABEL = "no prediction has a label"
scores = st.sampled_from([0.0, 1e-300, 1e-17, 0.1, 0.3, 0.5, 0.9, 1 - 2**-53, 1.0]) | st.floats(0, 1)
"""With ties, the edges of calibration's bins, and probabilities that a logarithm does not take."""
TWO = st.lists(st.tuples(st.booleans(), scores), min_size=1, max_size=40)
THREE = st.lists(st.tuples(st.integers(0, 2), st.lists(st.floats(0.01, 1), min_size=3, max_size=3)), min_size=1)
PAIRS = st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=40)


def only(versions: tuple[VersionQuality, ...]) -> VersionQuality:
    (version,) = versions
    return version


def assert_equal(made: VersionQuality, references: dict[str, float | None]) -> None:
    """To 1e-9, and undefined in the same places, each with a reason."""
    assert list(values(made.metrics)) == list(references)
    for figure in made.metrics:
        assert (figure.value is None) == (references[figure.name] is None) == bool(figure.reason), figure
        if figure.value is not None:
            assert figure.value == pytest.approx(references[figure.name], rel=EXACT, abs=EXACT), figure


def reference_calibration(true: Any, score: Floats) -> float:
    """The expected calibration error by scikit-learn's own bins."""
    share, mean = calibration_curve(true, score, n_bins=10, strategy="uniform")
    sizes = np.bincount(np.searchsorted(np.linspace(0, 1, 11)[1:-1], score), minlength=10)
    return float(np.sum(np.abs(share - mean) * sizes[sizes > 0]) / len(score))


@unhurried
@given(TWO)
@example([(True, 0.0), (False, 1.0)])
@example([(True, 0.3), (True, 0.3)])
@example([(False, 0.2)])
def test_two_classes(rows: list[tuple[bool, float]]) -> None:
    truth, score = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    predictions = score > 0.5
    made = only(
        of_day(
            [predicted(n, float(s > 0.5), [1 - s, s]) for n, (_, s) in enumerate(rows)],
            [label(n, str(t).lower()) for n, (t, _) in enumerate(rows)],
        )
    )
    one_class = len(set(truth.tolist())) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        references: dict[str, float | None] = {
            "accuracy": reference.accuracy_score(truth, predictions),
            "precision": reference.precision_score(truth, predictions) if predictions.any() else None,
            "recall": reference.recall_score(truth, predictions) if truth.any() else None,
            "f1": reference.f1_score(truth, predictions) if truth.any() or predictions.any() else None,
            "auc": None if one_class else reference.roc_auc_score(truth, score),
            "average_precision": reference.average_precision_score(truth, score) if truth.any() else None,
            "log_loss": reference.log_loss(truth, score, labels=[False, True]),
            "brier": reference.brier_score_loss(truth, score, labels=[False, True], pos_label=True),
            "calibration_error": reference_calibration(truth, score),
        }
    assert made.kind == "two classes"
    assert_equal(made, references)


@unhurried
@given(THREE)
def test_several_classes(rows: list[tuple[int, list[float]]]) -> None:
    truth = np.array([row[0] for row in rows])
    probability = np.array([np.array(row[1]) / sum(row[1]) for row in rows])
    predictions = probability.argmax(1)
    made = only(
        of_day(
            [predicted(n, float(predictions[n]), probability[n].tolist()) for n in range(len(rows))],
            [label(n, str(t)) for n, t in enumerate(truth)],
        )
    )
    present = sorted(set(truth.tolist()))
    references: dict[str, float | None] = {
        "accuracy": reference.accuracy_score(truth, predictions),
        "macro_recall": reference.recall_score(truth, predictions, labels=present, average="macro", zero_division=0),
        "macro_f1": reference.f1_score(truth, predictions, average="macro"),
        "log_loss": reference.log_loss(truth, probability, labels=[0, 1, 2]),
        "calibration_error": reference_calibration(truth == predictions, probability.max(1)),
    }
    assert_equal(made, references)


@unhurried
@given(PAIRS)
def test_numbers(rows: list[tuple[float, float]]) -> None:
    truth, predictions = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    # A number that cannot be a class's, whatever was drawn.
    truth, predictions = np.append(truth, 2.25), np.append(predictions, -1.5)
    made = only(
        of_day(
            [predicted(n, s) for n, s in enumerate(predictions.tolist())],
            [label(n, repr(t)) for n, t in enumerate(truth.tolist())],
        )
    )
    scatter = float(np.sum((truth - truth.mean()) ** 2))
    references: dict[str, float | None] = {
        "mae": reference.mean_absolute_error(truth, predictions),
        "rmse": reference.root_mean_squared_error(truth, predictions),
        "r2": reference.r2_score(truth, predictions) if scatter else None,
        "bias": float(np.mean(predictions - truth)),
    }
    assert made.kind == "numbers"
    assert_equal(made, references)


@pytest.mark.parametrize(
    ("predictions", "labels", "reasons"),
    [
        pytest.param(
            [predicted(0, 0.0, [0.9, 0.1])],
            [label(0, "0")],
            {
                "auc": "all labels are “0”",
                "average_precision": "no label is “1”",
                "precision": "nothing was predicted to be “1”",
                "recall": "no label is “1”",
                "f1": "no label is “1”, and nothing was predicted to be",
            },
            id="one class alone",
        ),
        pytest.param(
            [predicted(0, 1.0, [0.1, 0.9])],
            [],
            dict.fromkeys([m.name for m in TWO_CLASSES], NO_LABEL),
            id="no label",
        ),
        pytest.param(
            [predicted(0, 1.0), predicted(1, 0.0)],
            [label(0, "1"), label(1, "0")],
            dict.fromkeys(
                ["auc", "average_precision", "log_loss", "brier", "calibration_error"],
                "the model gives no probabilities",
            ),
            id="no probabilities",
        ),
        pytest.param([predicted(0, 2.5)], [label(0, "2")], {"r2": "all labels are equal"}, id="one number"),
        pytest.param(
            [predicted(0, 2.0, [0.1, 0.2, 0.7])],
            [],
            dict.fromkeys([m.name for m in SEVERAL_CLASSES], NO_LABEL),
            id="several classes without a label",
        ),
        pytest.param(
            [predicted(0, 2.5)],
            [label(0, "much")],
            dict.fromkeys([m.name for m in NUMBERS], NO_LABEL),
            id="a label that is no number",
        ),
    ],
)
def test_what_is_not_defined_says_why(
    predictions: list[dict[str, Any]], labels: list[dict[str, Any]], reasons: dict[str, str]
) -> None:
    made = only(of_day(predictions, labels))
    assert {figure.name: figure.reason for figure in made.metrics if figure.reason} == reasons
    assert all(figure.value is None for figure in made.metrics if figure.reason)
    assert "NaN" not in json.dumps(values(made.metrics))


def test_a_label_that_is_no_class_of_the_model_is_counted_and_left_out() -> None:
    events = [predicted(0, 1.0, [0.2, 0.8]), predicted(1, 0.0, [0.7, 0.3]), predicted(2, 1.0, [0.1, 0.9])]
    made = only(of_day(events, [label(0, "1"), label(1, "0"), label(2, "cancelled")]))
    assert (made.kind, made.labelled, made.labels.unknown, made.labels.records) == ("two classes", 2, 1, 3)
    assert values(made.metrics)["accuracy"] == 1.0


def test_classes_with_names_are_matched_by_name_and_the_second_is_positive_unless_said_otherwise() -> None:
    events = [predicted(0, 1.0, [0.2, 0.8], label="late"), predicted(1, 0.0, [0.7, 0.3], label="in time")]
    labels = [label(0, "late"), label(1, "late")]
    assert only(of_day(events, labels)).positive == "late"
    assert values(only(of_day(events, labels)).metrics)["recall"] == 0.5
    other = only(of_day(events, labels, positive="in time"))
    assert (other.positive, values(other.metrics)["precision"]) == ("in time", 0.0)


def test_a_day_on_which_a_class_was_never_predicted_keeps_the_sides() -> None:
    """By the alphabet, the class without a name would come first and change places with the other."""
    events = [predicted(n, 0.0, [0.9, 0.1], label="in time") for n in range(3)]
    made = only(of_day(events, [label(n, "in time") for n in range(3)]))
    assert made.positive == "class 1"
    assert values(made.metrics)["brier"] == pytest.approx(0.01)


def test_versions_and_roles_are_measured_apart() -> None:
    events = [
        predicted(0, 1.0, [0.2, 0.8]),
        predicted(1, 0.0, [0.7, 0.3], version=2),
        predicted(2, 0.0, [0.7, 0.3], version=2, role="candidate"),
    ]
    made = of_day(events, [label(n, "1") for n in range(3)])
    assert [(each.version, each.role, values(each.metrics)["accuracy"]) for each in made] == [
        (1, "champion", 1.0),
        (2, "candidate", 0.0),
        (2, "champion", 0.0),
    ]


def test_slices_are_the_largest_and_the_rest() -> None:
    carriers = ["UA"] * 3 + ["AA"] * 2 + ["HA", None]
    events = [predicted(n, 1.0, [0.2, 0.8], slice=carrier) for n, carrier in enumerate(carriers)]
    made = only(of_day(events, [label(n, str(n % 2)) for n in range(7)], slice_column="carrier", most_slices=2))
    assert [(each.value, each.events, values(each.metrics)["accuracy"]) for each in made.slices] == [
        ("UA", 3, pytest.approx(1 / 3)),
        ("AA", 2, 0.5),
        (None, 2, 0.5),
    ]


def test_coverage_is_told_at_ages_that_all_events_have_reached() -> None:
    from tests.support.labels import DAY

    events = [predicted(n, 1.0, [0.2, 0.8]) for n in range(4)]
    labels = [label(n, "1", 0, DAY + timedelta(minutes=n, hours=hours)) for n, hours in ((0, 1), (1, 5), (2, 23))]
    made = only(measured(labelled(events, labels), MeasuringRules(), timedelta(hours=6)))
    assert [(each.seconds, each.share) for each in made.coverage] == [
        (3_600, 0.25),
        (21_600, 0.5),
        (86_400, None),
        (3 * 86_400, None),
        (7 * 86_400, None),
    ]
    assert all(each.reason for each in made.coverage if each.share is None)


def test_the_estimate_is_right_where_the_probabilities_are_and_shows_its_error_where_they_are_not() -> None:
    random = np.random.default_rng(4)
    score = random.random(20_000)
    happened = random.random(20_000) < score
    estimates = expected(score, score > 0.5)
    assert estimates["accuracy"] == pytest.approx(reference.accuracy_score(happened, score > 0.5), abs=0.01)
    assert estimates["log_loss"] == pytest.approx(reference.log_loss(happened, score), abs=0.01)
    assert estimates["brier"] == pytest.approx(reference.brier_score_loss(happened, score), abs=0.01)
    # The model is sure and always wrong: on the events without labels it is estimated at 0.9.
    events = [predicted(n, 1.0, [0.1, 0.9]) for n in range(4)]
    made = only(of_day(events, [label(n, "0") for n in range(2)]))
    accuracy = next(each for each in made.estimated if each.name == "accuracy")
    assert [accuracy.value, accuracy.error] == pytest.approx([0.9, 0.9])


@pytest.mark.parametrize("name", ["accuracy", "log_loss"])
def test_an_interval_holds_the_truth_as_often_as_it_says(name: str) -> None:
    random = np.random.default_rng(6)
    inside, runs = 0, 300
    truth = {"accuracy": 0.8, "log_loss": float(-0.8 * np.log(0.8) - 0.2 * np.log(0.2))}[name]
    for _ in range(runs):
        right = random.random(60) < 0.8
        events = [predicted(n, 1.0, [0.2, 0.8]) for n in range(60)]
        figure = only(of_day(events, [label(n, str(int(hit))) for n, hit in enumerate(right)])).figure(name)
        assert isinstance(figure, MetricFigure)
        assert figure.low is not None
        assert figure.high is not None
        inside += figure.low <= truth <= figure.high
    assert 0.91 <= inside / runs <= 0.99
