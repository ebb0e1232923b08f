"""LightGBM's boosters are scored as LightGBM scores them, from the file that MLflow saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from streaming.errors import CandidateRefusedError
from streaming.models.signature import Signature
from tests.support.flavours import SIGNATURE, answers, batch, features, flights, predicted, saved, scorer_of

SETTINGS = {"verbose": -1, "num_leaves": 7, "min_data_in_leaf": 5, "num_threads": 1}


def trained(objective: str, label: str, **settings: Any) -> lightgbm.Booster:
    data = lightgbm.Dataset(features(), flights()[label])
    return lightgbm.train({**SETTINGS, "objective": objective, **settings}, data, num_boost_round=8)


def test_a_regressor_gives_the_value(tmp_path: Path) -> None:
    booster = trained("regression", "delay")
    actual = answers(scorer_of(saved("lightgbm", booster, tmp_path)), batch())
    assert actual["prediction"] == predicted(booster).tolist()
    assert {*actual["probability"], *actual["label"], *actual["confidence"]} == {None}


def test_a_classifier_of_two_gives_the_class_and_both_probabilities(tmp_path: Path) -> None:
    booster = trained("binary", "late")
    actual = answers(scorer_of(saved("lightgbm", booster, tmp_path)), batch())
    late = predicted(booster)
    assert actual["probability"] == np.column_stack([1 - late, late]).tolist()
    assert actual["prediction"] == (late > 0.5).astype(float).tolist()
    assert actual["confidence"] == np.maximum(late, 1 - late).tolist()
    assert set(actual["prediction"]) == {0.0, 1.0}


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova"])
def test_a_classifier_of_several_gives_the_most_probable_class(tmp_path: Path, objective: str) -> None:
    booster = trained(objective, "kind", num_class=3)
    actual = answers(scorer_of(saved("lightgbm", booster, tmp_path)), batch())
    rows = predicted(booster)
    assert actual["probability"] == rows.tolist()
    assert actual["prediction"] == rows.argmax(axis=1).astype(float).tolist()
    assert set(actual["prediction"]) == {0.0, 1.0, 2.0}


def test_a_batch_without_events_has_no_answers(tmp_path: Path) -> None:
    scorer = scorer_of(saved("lightgbm", trained("binary", "late"), tmp_path))
    assert scorer.score(batch().slice(0, 0)).num_rows == 0


def several_scores() -> lightgbm.Booster:
    def gradients(scores: Any, data: Any) -> tuple[Any, Any]:
        return np.asarray(scores) - 1.0, np.ones_like(scores)

    settings = {**SETTINGS, "objective": gradients, "num_class": 3}
    return lightgbm.train(settings, lightgbm.Dataset(features(), flights()["kind"]), num_boost_round=2)


def of_categories() -> lightgbm.Booster:
    frame = features().assign(night=features()["night"].astype("category"))
    return lightgbm.train({**SETTINGS, "objective": "binary"}, lightgbm.Dataset(frame, flights()["late"]), 2)


@pytest.mark.parametrize(
    ("make", "columns", "code", "says"),
    [
        pytest.param(several_scores, None, "NO_PREDICTION", "objective of its own", id="scores that mean nothing"),
        pytest.param(of_categories, None, "SIGNATURE_UNSUPPORTED", "categories of pandas", id="pandas categories"),
        pytest.param(
            lambda: trained("binary", "late"),
            {"distance": "double", "gust": "double"},
            "SIGNATURE_UNSUPPORTED",
            "2 columns and the model 4 features",
            id="fewer columns than features",
        ),
        pytest.param(
            lambda: trained("binary", "late"),
            {"gust": "double", "distance": "double", "hour": "long", "night": "boolean"},
            "SIGNATURE_UNSUPPORTED",
            "another order",
            id="columns in another order",
        ),
        pytest.param(
            lambda: trained("binary", "late"),
            {"distance": "double", "gust": "double", "hour": "string", "night": "boolean"},
            "SIGNATURE_UNSUPPORTED",
            "hour are text",
            id="a column of text",
        ),
    ],
)
def test_a_booster_that_would_be_scored_wrong_is_refused(
    tmp_path: Path, make: Any, columns: dict[str, str] | None, code: str, says: str
) -> None:
    signature = Signature.from_config(columns) if columns else SIGNATURE
    scorer = scorer_of(saved("lightgbm", make(), tmp_path, signature))
    with pytest.raises(CandidateRefusedError, match=says) as refusal:
        scorer.score(batch())
    assert refusal.value.reason.name == code


def test_what_mlflow_saves_as_a_python_object_is_refused(tmp_path: Path) -> None:
    classifier = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(features(), flights()["late"])
    saved("lightgbm", classifier, tmp_path)
    with pytest.raises(CandidateRefusedError, match=r"NEEDS_CODE.*LGBMClassifier.*model\.booster_"):
        scorer_of(tmp_path)
