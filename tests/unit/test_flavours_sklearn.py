"""Models of scikit-learn are scored as scikit-learn scores them, from files of skops that have nothing else in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.models.signature import Signature
from streaming.scoring.flavours.sklearn_skops import TRUSTED
from tests.support.flavours import answers, batch, features, flights, predicted, saved, scorer_of

WITH_CARRIER = Signature.from_config({"distance": "double", "gust": "double?", "hour": "long", "carrier": "string"})
NAMES = np.array(["early", "fine", "late"])


def carried() -> pd.DataFrame:
    carriers = np.where(np.arange(len(features())) % 3, "UA", "AA")
    return features()[["distance", "gust", "hour"]].assign(carrier=carriers)


def filled(model: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), model)


CLASSIFIERS = [
    pytest.param(lambda: filled(LogisticRegression()), id="logistic regression"),
    pytest.param(lambda: filled(RandomForestClassifier(5, random_state=1, n_jobs=2)), id="forest"),
    pytest.param(lambda: filled(GradientBoostingClassifier(n_estimators=3, random_state=1)), id="gradient boosting"),
    pytest.param(lambda: HistGradientBoostingClassifier(max_iter=3), id="gradient boosting of histograms"),
    pytest.param(lambda: filled(KNeighborsClassifier()), id="neighbours"),
    pytest.param(lambda: filled(MLPClassifier((4,), solver="lbfgs", max_iter=2000, random_state=1)), id="perceptron"),
    pytest.param(lambda: filled(CalibratedClassifierCV(LinearSVC(), cv=2)), id="calibrated"),
]


def skops(model: Any, root: Path, signature: Signature | None = None) -> Path:
    options: dict[str, Any] = {"serialization_format": "skops", "skops_trusted_types": list(TRUSTED)}
    return saved("sklearn", model, root, *([signature] if signature else []), **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", CLASSIFIERS)
def test_a_classifier_gives_its_class_and_probabilities(tmp_path: Path, make: Any) -> None:
    model = make().fit(features(), flights()["kind"])
    actual = answers(scorer_of(skops(model, tmp_path)), batch())
    assert actual["prediction"] == predicted(model).astype(float).tolist()
    assert actual["probability"] == model.predict_proba(features()).tolist()
    assert set(actual["label"]) == {None}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: filled(LinearRegression()), id="linear"),
        pytest.param(lambda: filled(RandomForestRegressor(5, random_state=1)), id="forest"),
        pytest.param(lambda: HistGradientBoostingRegressor(max_iter=3), id="gradient boosting of histograms"),
        pytest.param(lambda: filled(KMeans(3, random_state=1, n_init=1)), id="clusters"),
    ],
)
def test_what_is_no_classifier_gives_the_value(tmp_path: Path, make: Any) -> None:
    model = make().fit(features(), flights()["delay"])
    actual = answers(scorer_of(skops(model, tmp_path)), batch())
    assert actual["prediction"] == predicted(model).astype(float).tolist()
    assert {*actual["probability"], *actual["label"], *actual["confidence"]} == {None}


def test_classes_of_text_are_labels_with_their_index(tmp_path: Path) -> None:
    model = filled(LinearSVC()).fit(features(), NAMES[flights()["kind"]])
    actual = answers(scorer_of(skops(model, tmp_path)), batch())
    assert actual["label"] == predicted(model).tolist()
    assert actual["prediction"] == [list(NAMES).index(name) for name in actual["label"]]
    assert set(actual["probability"]) == {None}


def encoding() -> Any:
    columns = make_column_transformer((OneHotEncoder(), ["carrier"]), (SimpleImputer(), ["distance", "gust", "hour"]))
    return make_pipeline(columns, LogisticRegression(max_iter=5000)).fit(carried(), flights()["late"])


def test_text_and_nulls_come_as_in_a_data_frame(tmp_path: Path) -> None:
    model = encoding()
    actual = answers(scorer_of(skops(model, tmp_path, WITH_CARRIER)), batch(carried()))
    assert actual["probability"] == model.predict_proba(carried()).tolist()


def test_a_category_that_an_encoder_does_not_know_throws(tmp_path: Path) -> None:
    scorer = scorer_of(skops(encoding(), tmp_path, WITH_CARRIER))
    with pytest.raises(ScoringError, match="sklearn says: Found unknown categories"):
        scorer.score(batch(carried().assign(carrier="ZZ")))


def test_a_model_trained_on_a_matrix_is_given_one(tmp_path: Path) -> None:
    frame = features()[["distance", "hour"]].astype(float)
    signature = Signature.from_config({"distance": "double", "hour": "double"})
    model = LinearRegression().fit(frame.to_numpy(), flights()["delay"])
    actual = answers(scorer_of(skops(model, tmp_path, signature)), batch(frame))
    assert actual["prediction"] == model.predict(frame.to_numpy()).tolist()


def test_a_function_of_pythons_is_refused_although_the_version_trusts_it(tmp_path: Path) -> None:
    model = make_pipeline(FunctionTransformer(os.system), LinearRegression())
    trusted: dict[str, Any] = {"serialization_format": "skops", "skops_trusted_types": ["posix.system", *TRUSTED]}
    root = saved("sklearn", model, tmp_path, **trusted)
    with pytest.raises(CandidateRefusedError, match=r"NEEDS_CODE: .*not on Penstock's list: posix\.system"):
        scorer_of(root).score(batch())


@pytest.mark.filterwarnings("ignore")
def test_a_pickled_model_is_refused(tmp_path: Path) -> None:
    model = LinearRegression().fit(features().fillna(0), flights()["delay"])
    root = saved("sklearn", model, tmp_path, serialization_format="cloudpickle")
    with pytest.raises(CandidateRefusedError, match=r"NEEDS_CODE: .*cloudpickle.*serialization_format='skops'"):
        scorer_of(root)


def test_what_does_not_predict_is_refused(tmp_path: Path) -> None:
    root = skops(StandardScaler().fit(features()), tmp_path)
    with pytest.raises(CandidateRefusedError, match="NO_PREDICTION: a StandardScaler has no predict"):
        scorer_of(root).score(batch())
