"""CatBoost's models are scored as CatBoost scores them, from the file that MLflow saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import catboost
import numpy as np
import pandas as pd
import pytest

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.models.signature import Signature
from tests.support.flavours import answers, batch, features, flights, predicted, saved, scorer_of

SETTINGS = {"iterations": 5, "depth": 3, "verbose": 0, "allow_writing_files": False, "thread_count": 1}
WITH_CARRIER = Signature.from_config(
    {"distance": "double", "gust": "double?", "hour": "long", "night": "boolean", "carrier": "string"}
)


def carried() -> pd.DataFrame:
    return features().assign(carrier=np.where(np.arange(len(features())) % 3, "UA", "AA"))


def test_a_regressor_gives_the_value(tmp_path: Path) -> None:
    model = catboost.CatBoostRegressor(**SETTINGS).fit(features(), flights()["delay"])
    actual = answers(scorer_of(saved("catboost", model, tmp_path)), batch())
    assert actual["prediction"] == predicted(model).tolist()
    assert {*actual["probability"], *actual["label"], *actual["confidence"]} == {None}


def named(kinds: Any) -> Any:
    return np.array(["early", "fine", "late"])[kinds]


@pytest.mark.parametrize(
    ("label", "of_text"),
    [
        pytest.param(lambda: flights()["late"], False, id="two numbers"),
        pytest.param(lambda: flights()["late"] == 1, False, id="false and true"),
        pytest.param(lambda: flights()["kind"] + 3, False, id="three numbers"),
        pytest.param(lambda: named(flights()["kind"]), True, id="three texts"),
    ],
)
def test_a_classifier_gives_its_class_as_its_own_predict_does(tmp_path: Path, label: Any, of_text: bool) -> None:
    model = catboost.CatBoostClassifier(**SETTINGS).fit(features(), label())
    actual = answers(scorer_of(saved("catboost", model, tmp_path)), batch())
    expected = predicted(model).ravel()
    assert actual["probability"] == model.predict_proba(features()).tolist()
    if of_text:
        assert actual["label"] == expected.tolist()
        assert actual["prediction"] == [list(model.classes_).index(name) for name in expected]
    else:
        assert (actual["prediction"], set(actual["label"])) == (expected.astype(float).tolist(), {None})
    assert len(set(actual["prediction"])) > 1


def test_text_is_a_category(tmp_path: Path) -> None:
    model = catboost.CatBoostClassifier(**SETTINGS, cat_features=["carrier"]).fit(carried(), flights()["late"])
    scorer = scorer_of(saved("catboost", model, tmp_path, WITH_CARRIER))
    assert answers(scorer, batch(carried()))["probability"] == model.predict_proba(carried()).tolist()
    unknown = carried().assign(carrier="ZZ")
    assert answers(scorer, batch(unknown))["probability"] == model.predict_proba(unknown).tolist()


def test_a_category_that_is_null_throws_as_in_catboost(tmp_path: Path) -> None:
    model = catboost.CatBoostClassifier(**SETTINGS, cat_features=["carrier"]).fit(carried(), flights()["late"])
    scorer = scorer_of(saved("catboost", model, tmp_path, WITH_CARRIER))
    with pytest.raises(ScoringError, match="catboost says"):
        scorer.score(batch(carried().assign(carrier=pd.Series([None] * len(features()), dtype="string"))))


def test_text_that_is_no_category_is_refused(tmp_path: Path) -> None:
    model = catboost.CatBoostRegressor(**SETTINGS).fit(features(), flights()["delay"])
    columns = {"distance": "double", "gust": "double?", "hour": "string", "night": "boolean"}
    scorer = scorer_of(saved("catboost", model, tmp_path, Signature.from_config(columns)))
    with pytest.raises(CandidateRefusedError, match="SIGNATURE_UNSUPPORTED: the column hour is string"):
        scorer.score(batch())


def test_a_model_of_several_numbers_is_refused(tmp_path: Path) -> None:
    model = catboost.CatBoostRegressor(**SETTINGS, loss_function="MultiRMSE")
    model.fit(features(), flights()[["delay", "late"]])
    with pytest.raises(CandidateRefusedError, match="NO_PREDICTION"):
        scorer_of(saved("catboost", model, tmp_path)).score(batch())
