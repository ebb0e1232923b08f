"""XGBoost's boosters and estimators are scored as XGBoost scores them, from the file that MLflow saves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost

from streaming.errors import CandidateRefusedError
from tests.support.flavours import answers, batch, described, features, flights, predicted, saved, scorer_of
from tests.unit.test_flavours_files import edit

ROUNDS = {"n_estimators": 6, "max_depth": 3, "n_jobs": 1}


def trained(objective: str, label: str, **settings: Any) -> xgboost.Booster:
    data = xgboost.DMatrix(features(), flights()[label])
    return xgboost.train({"objective": objective, "nthread": 1, **settings}, data, num_boost_round=6)


def own(booster: xgboost.Booster) -> Any:
    return booster.predict(xgboost.DMatrix(features()))


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
@pytest.mark.parametrize("model_format", ["ubj", "json"])
def test_a_regressor_gives_the_value(tmp_path: Path, booster: str, model_format: str) -> None:
    model = trained("reg:squarederror", "delay", booster=booster)
    actual = answers(scorer_of(saved("xgboost", model, tmp_path, model_format=model_format)), batch())
    assert actual["prediction"] == own(model).astype(float).tolist()
    assert {*actual["probability"], *actual["label"], *actual["confidence"]} == {None}


def test_a_booster_of_two_classes_gives_the_class_and_both_probabilities(tmp_path: Path) -> None:
    model = trained("binary:logistic", "late")
    actual = answers(scorer_of(saved("xgboost", model, tmp_path)), batch())
    late = own(model)
    assert [row[1] for row in actual["probability"]] == late.astype(float).tolist()
    assert actual["prediction"] == (late > 0.5).astype(float).tolist()


@pytest.mark.parametrize("label", ["late", "kind"], ids=["two classes", "three classes"])
@pytest.mark.parametrize("stopping", [{}, {"early_stopping_rounds": 1, "learning_rate": 3.0}], ids=["all", "stopped"])
def test_a_classifier_gives_what_its_own_predict_gives(tmp_path: Path, label: str, stopping: dict[str, Any]) -> None:
    model = xgboost.XGBClassifier(**{**ROUNDS, **stopping})
    model.fit(features(), flights()[label], eval_set=[(features(), flights()[label])], verbose=False)
    actual = answers(scorer_of(saved("xgboost", model, tmp_path)), batch())
    assert actual["prediction"] == predicted(model).astype(float).tolist()
    assert actual["probability"] == model.predict_proba(features()).astype(float).tolist()
    assert len(set(actual["prediction"])) > 1


def test_a_booster_by_itself_does_not_stop_early(tmp_path: Path) -> None:
    data = xgboost.DMatrix(features(), flights()["delay"])
    settings = {"learning_rate": 1.9, "nthread": 1}
    model = xgboost.train(settings, data, 9, evals=[(data, "e")], early_stopping_rounds=1, verbose_eval=False)
    actual = answers(scorer_of(saved("xgboost", model, tmp_path)), batch())
    assert actual["prediction"] == own(model).astype(float).tolist()


def of_categories() -> xgboost.Booster:
    frame = features().assign(hour=pd.Categorical(features()["hour"]))
    return xgboost.train({"nthread": 1}, xgboost.DMatrix(frame, flights()["delay"], enable_categorical=True), 2)


def test_a_booster_of_categories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CandidateRefusedError, match=r"SIGNATURE_UNSUPPORTED: .*categories"):
        scorer_of(saved("xgboost", of_categories(), tmp_path)).score(batch())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"model_class": "os.system"}, "NEEDS_CODE: .*os.system", id="a class of another's"),
        pytest.param({"data": "model.xgb"}, "FLAVOR_UNSUPPORTED: .*model.xgb", id="the binary format"),
        pytest.param({"data": None}, "FLAVOR_UNSUPPORTED", id="no file"),
    ],
)
def test_what_the_description_names_is_not_taken_on_trust(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    root = saved("xgboost", trained("binary:logistic", "late"), tmp_path)
    edit(root, lambda flavors: flavors["xgboost"].update(change))
    with pytest.raises(CandidateRefusedError, match=says):
        scorer_of(root)


def test_the_estimators_flavor_is_xgboosts(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(**ROUNDS).fit(features(), flights()["delay"])
    root = saved("xgboost", model, tmp_path)
    assert described(root).flavor == "xgboost"
    assert answers(scorer_of(root), batch())["prediction"] == np.asarray(predicted(model), float).tolist()
