"""One small model of each library, saved as MLflow saves it, with the library's own answers to some flights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from streaming.models.signature import UNNAMED, Signature
from streaming.scoring.flavours.sklearn_skops import TRUSTED
from tests.support.flavours import features, flights, saved

ROWS = 40
MATRIX = Signature.from_config({UNNAMED: "double[3]"})
POINTS = np.random.default_rng(5).normal(size=(ROWS, 3))
_SKOPS: dict[str, Any] = {"serialization_format": "skops", "skops_trusted_types": list(TRUSTED)}

Fitted = tuple[Path, NDArray[np.float64]]
"""A saved version, and the library's own probabilities of the first events."""


def rows() -> pd.DataFrame:
    return features(slice(0, ROWS))


def of_lightgbm(root: Path) -> Fitted:
    data = lightgbm.Dataset(features(), flights()["late"])
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_leaves": 7}, data, num_boost_round=8)
    late = np.asarray(booster.predict(rows()))
    return saved("lightgbm", booster, root), np.column_stack([1 - late, late])


def of_xgboost(root: Path) -> Fitted:
    model = xgboost.XGBClassifier(n_estimators=6, max_depth=3).fit(features(), flights()["kind"])
    return saved("xgboost", model, root), np.asarray(model.predict_proba(rows()), np.float64)


def of_catboost(root: Path) -> Fitted:
    model = catboost.CatBoostClassifier(iterations=5, depth=3, verbose=False, allow_writing_files=False)
    model.fit(features().astype(float), flights()["late"])
    return saved("catboost", model, root), model.predict_proba(rows().astype(float))


def of_sklearn(root: Path) -> Fitted:
    model = HistGradientBoostingClassifier(max_iter=5).fit(features(), flights()["late"])
    return saved("sklearn", model, root, **_SKOPS), model.predict_proba(rows())


def of_a_matrix(root: Path) -> Fitted:
    model = LogisticRegression().fit(POINTS, POINTS[:, 0] > 0)
    return saved("sklearn", model, root, MATRIX, **_SKOPS), model.predict_proba(POINTS)


def of_onnx(root: Path) -> Fitted:
    """Softmax of a linear model over the matrix of all columns, a missing gust taken for zero."""
    weights = np.array([[0.001, -0.001], [0.02, 0.01], [0.1, -0.1], [1.0, 0.5]], np.float32)
    nodes = [
        helper.make_node("IsNaN", ["X"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "X"], ["filled"]),
        helper.make_node("MatMul", ["filled", "W"], ["raw"]),
        helper.make_node("Softmax", ["raw"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["raw"], ["label"], axis=1, keepdims=0),
    ]
    outputs = [
        helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
    ]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [None, 4])]
    constants = [numpy_helper.from_array(weights, "W"), numpy_helper.from_array(np.float32(0), "zero")]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    raw = np.nan_to_num(rows().astype(np.float32).to_numpy()) @ weights
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    return saved("onnx", model, root, save_as_external_data=False), expected.astype(np.float64)


LIBRARIES: dict[str, Callable[[Path], Fitted]] = {
    "LightGBM": of_lightgbm,
    "XGBoost, three classes": of_xgboost,
    "CatBoost": of_catboost,
    "scikit-learn": of_sklearn,
    "scikit-learn, a matrix": of_a_matrix,
    "ONNX": of_onnx,
}
