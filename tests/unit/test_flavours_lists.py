"""Models that were trained on matrices are given the lists of events, and answer as their libraries do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
import xgboost
from numpy.typing import NDArray
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier

from streaming.errors import CandidateRefusedError
from streaming.models.arrow_types import feature_batch, list_rows
from streaming.models.signature import UNNAMED, Signature
from streaming.scoring.flavours.sklearn_skops import TRUSTED
from tests.support.flavours import answers, saved, scorer_of

WIDTH = 5
ALONE = Signature.from_config({UNNAMED: f"double[{WIDTH}]"})
"""What MLflow infers of a matrix: one tensor without a name."""
POINTS = np.random.default_rng(3).normal(size=(60, WIDTH))
LATE = (POINTS[:, 0] + POINTS[:, 3] > 0).astype(np.int64)


def events(signature: Signature, **columns: Any) -> pa.RecordBatch:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return feature_batch(signature, rows)


def of_sklearn(root: Path) -> tuple[Path, NDArray[np.float64]]:
    model = RandomForestClassifier(5, random_state=1).fit(POINTS, LATE)
    options = {"serialization_format": "skops", "skops_trusted_types": list(TRUSTED)}
    return saved("sklearn", model, root, ALONE, **options), model.predict_proba(POINTS)


def of_xgboost(root: Path) -> tuple[Path, NDArray[np.float64]]:
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=3).fit(POINTS, LATE)
    return saved("xgboost", model, root, ALONE), model.predict_proba(POINTS)


def of_lightgbm(root: Path) -> tuple[Path, NDArray[np.float64]]:
    options = {"objective": "binary", "verbose": -1, "num_leaves": 4}
    model = lightgbm.train(options, lightgbm.Dataset(POINTS, LATE), num_boost_round=4)
    late = np.asarray(model.predict(POINTS))
    return saved("lightgbm", model, root, ALONE), np.column_stack([1 - late, late])


def of_catboost(root: Path) -> tuple[Path, NDArray[np.float64]]:
    model = catboost.CatBoostClassifier(iterations=4, depth=3, verbose=False, allow_writing_files=False)
    model.fit(POINTS, LATE)
    return saved("catboost", model, root, ALONE), model.predict_proba(POINTS)


@pytest.mark.parametrize(
    "fit",
    [
        pytest.param(of_sklearn, id="scikit-learn"),
        pytest.param(of_xgboost, id="XGBoost"),
        pytest.param(of_lightgbm, id="LightGBM"),
        pytest.param(of_catboost, id="CatBoost"),
    ],
)
def test_a_model_of_a_matrix_is_given_the_rows_of_a_list(
    tmp_path: Path, fit: Callable[[Path], tuple[Path, NDArray[np.float64]]]
) -> None:
    root, expected = fit(tmp_path / "model")
    actual = answers(scorer_of(root), events(ALONE, inputs=POINTS.tolist()))
    assert actual["probability"] == np.asarray(expected, np.float64).tolist()
    assert actual["prediction"] == expected.argmax(axis=1).tolist()


def graph(width: int = 2) -> onnx.ModelProto:
    """The sum of a point's squares, plus a thousand for each seat."""
    inputs = [
        helper.make_tensor_value_info("point", TensorProto.FLOAT, [None, width]),
        helper.make_tensor_value_info("seats", TensorProto.INT64, [None, 1]),
    ]
    nodes = [
        helper.make_node("Mul", ["point", "point"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "axes"], ["sum"], keepdims=1),
        helper.make_node("Cast", ["seats"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "thousand"], ["more"]),
        helper.make_node("Add", ["sum", "more"], ["out"]),
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array([1], np.int64), "axes"),
        onnx.numpy_helper.from_array(np.array([1000.0], np.float32), "thousand"),
    ]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 1])
    drawn = helper.make_graph(nodes, "graph", inputs, [out], constants)
    return helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


NAMED = Signature.from_config({"point": "float[2]", "seats": "long[1]"})


def test_a_graph_of_several_tensors_is_given_each_by_its_name(tmp_path: Path) -> None:
    root = saved("onnx", graph(), tmp_path / "model", NAMED, save_as_external_data=False)
    points, seats = POINTS[:, :2].astype(np.float32), np.arange(60).reshape(60, 1)
    session = onnxruntime.InferenceSession(graph().SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"point": points, "seats": seats})
    actual = answers(scorer_of(root), events(NAMED, point=points.tolist(), seats=seats.tolist()))
    assert actual["prediction"] == expected.ravel().tolist()


@pytest.mark.parametrize(
    ("model", "signature", "says"),
    [
        pytest.param(graph(3), NAMED, r"point is \[2\] of float, and the model's input of that name has 3", id="width"),
        pytest.param(
            graph(),
            Signature.from_config({"point": "float[2]", "seats": "float[1]"}),
            r"seats is \[1\] of float, and the model's input of that name is tensor\(int64\)",
            id="type",
        ),
    ],
)
def test_lists_that_the_graph_does_not_take_are_refused(
    tmp_path: Path, model: onnx.ModelProto, signature: Signature, says: str
) -> None:
    root = saved("onnx", model, tmp_path / "model", signature, save_as_external_data=False)
    with pytest.raises(CandidateRefusedError, match=f"SIGNATURE_UNSUPPORTED: .*{says}"):
        answers(scorer_of(root), events(signature, point=[[0.0, 0.0]], seats=[[0]]))


def test_a_matrix_of_another_width_is_refused(tmp_path: Path) -> None:
    root, _ = of_sklearn(tmp_path / "model")
    text = (root / "MLmodel").read_text()
    (root / "MLmodel").write_text(text.replace("[-1, 5]", "[-1, 4]"))
    signature = Signature.from_config({UNNAMED: "double[4]"})
    with pytest.raises(CandidateRefusedError, match="the signature has 4 columns and the model 5 features"):
        answers(scorer_of(root), events(signature, inputs=[[0.0] * 4]))


def test_lists_are_rows_of_a_matrix_where_they_are_equally_long() -> None:
    lists = pa.array([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0]])
    assert list_rows(lists.slice(1)).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert list_rows(lists.slice(3)).shape[0] == 0


@pytest.mark.parametrize(
    "lists",
    [
        pytest.param([[1.0], [1.0, 2.0, 3.0]], id="as many numbers as two rows of two"),
        pytest.param([[1.0], []], id="an empty one"),
        pytest.param([[1.0], None], id="none"),
    ],
)
def test_other_lists_are_not_taken_for_a_matrix(lists: list[Any]) -> None:
    with pytest.raises(ValueError, match="list"):
        list_rows(pa.array(lists))
