"""ONNX models are scored as ONNX Runtime scores them, whatever the usual converters call their outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.models.signature import Signature
from tests.support.flavours import answers, batch, features, saved, scorer_of

WIDTH = 4
COLUMNS = Signature.from_config({"distance": "double", "hour": "long", "carrier": "string"})
WEIGHTS = [0.001, 0.02, -0.1, 0.5, -0.002, 0.01, 0.15, -0.5, 0.0, -0.01, 0.01, 0.2]


def model(nodes: list[Any], inputs: list[Any], outputs: list[Any], *constants: Any) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def matrix_input(kind: int = TensorProto.FLOAT, width: int | None = WIDTH) -> Any:
    return helper.make_tensor_value_info("X", kind, [None, width])


def multiplied(kind: int, width: int, name: str = "variable") -> onnx.ModelProto:
    """A linear model of as many outputs as ``width``; it imputes nothing, so a null gives no number."""
    weights = np.array(WEIGHTS[: WIDTH * width]).reshape(WIDTH, width)
    typed = numpy_helper.from_array(weights.astype(helper.tensor_dtype_to_np_dtype(kind)), "W")
    out = helper.make_tensor_value_info(name, kind, [None, width])
    return model([helper.make_node("MatMul", ["X", "W"], [name])], [matrix_input(kind)], [out], typed)


def classified(*, texts: bool, maps: bool, scores: str = "probabilities") -> onnx.ModelProto:
    """A linear classifier as skl2onnx makes one, of three classes."""
    classes: dict[str, Any] = (
        {"classlabels_strings": ["early", "fine", "late"]} if texts else {"classlabels_ints": [3, 4, 5]}
    )
    coefficients: dict[str, Any] = {"coefficients": WEIGHTS, "intercepts": [0.1, 0.2, 0.3], "multi_class": 1}
    raw = "raw" if maps else scores
    nodes = [
        helper.make_node(
            "LinearClassifier",
            ["X"],
            ["label", raw],
            domain="ai.onnx.ml",
            post_transform="SOFTMAX",
            **coefficients,
            **classes,
        )
    ]
    label = helper.make_tensor_value_info("label", TensorProto.STRING if texts else TensorProto.INT64, [None])
    if not maps:
        return model(nodes, [matrix_input()], [label, helper.make_tensor_value_info(raw, TensorProto.FLOAT, [None, 3])])
    names = {"classlabels_strings": classes["classlabels_strings"]} if texts else {"classlabels_int64s": [3, 4, 5]}
    nodes.append(helper.make_node("ZipMap", [raw], [scores], domain="ai.onnx.ml", **names))
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    kind = helper.make_map_type_proto(TensorProto.STRING if texts else TensorProto.INT64, value)
    zipped = helper.make_value_info(scores, helper.make_sequence_type_proto(kind))
    return model(nodes, [matrix_input()], [label, zipped])


def of_columns() -> onnx.ModelProto:
    """Distance if the carrier is UA, else 0, and a hundred for each hour."""
    inputs = [
        helper.make_tensor_value_info("distance", TensorProto.DOUBLE, [None, 1]),
        helper.make_tensor_value_info("hour", TensorProto.INT64, [None, 1]),
        helper.make_tensor_value_info("carrier", TensorProto.STRING, [None, 1]),
    ]
    encode = helper.make_node(
        "LabelEncoder", ["carrier"], ["code"], domain="ai.onnx.ml", keys_strings=["UA"], values_floats=[1.0]
    )
    nodes = [
        encode,
        helper.make_node("Cast", ["code"], ["share"], to=TensorProto.DOUBLE),
        helper.make_node("Cast", ["hour"], ["hours"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["distance", "share"], ["flown"]),
        helper.make_node("Mul", ["hours", "hundred"], ["late"]),
        helper.make_node("Add", ["flown", "late"], ["variable"]),
    ]
    out = helper.make_tensor_value_info("variable", TensorProto.DOUBLE, [None, 1])
    return model(nodes, inputs, [out], numpy_helper.from_array(np.array(100.0), "hundred"))


def complete() -> pd.DataFrame:
    return features().fillna(7.0)


def run(made: onnx.ModelProto, kind: Any = np.float32) -> list[Any]:
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs: list[Any] = session.run(None, {"X": complete().to_numpy(np.float64).astype(kind)})
    return outputs


def scored(made: onnx.ModelProto, root: Path) -> dict[str, list[Any]]:
    return answers(scorer_of(saved("onnx", made, root, save_as_external_data=False)), batch(complete()))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.DOUBLE], ids=["floats", "doubles"])
def test_a_single_number_is_the_value(tmp_path: Path, kind: int) -> None:
    made = multiplied(kind, 1)
    actual = scored(made, tmp_path)
    expected = run(made, helper.tensor_dtype_to_np_dtype(kind))[0]
    assert actual["prediction"] == expected.astype(float).ravel().tolist()
    assert {*actual["probability"], *actual["label"]} == {None}


@pytest.mark.parametrize("maps", [False, True], ids=["a matrix", "a map for each row"])
@pytest.mark.parametrize("texts", [False, True], ids=["numbers", "texts"])
def test_a_class_comes_with_its_probabilities(tmp_path: Path, texts: bool, maps: bool) -> None:
    actual = scored(classified(texts=texts, maps=maps), tmp_path)
    labels, rows = run(classified(texts=texts, maps=False))
    assert actual["probability"] == rows.astype(float).tolist()
    if texts:
        assert actual["label"] == list(labels)
        assert actual["prediction"] == rows.argmax(axis=1).astype(float).tolist()
    else:
        assert (actual["prediction"], set(actual["label"])) == (labels.astype(float).tolist(), {None})
    assert len(set(actual["prediction"])) > 1


@pytest.mark.parametrize(("name", "are_probabilities"), [("output_probability", True), ("logits", False)])
def test_scores_alone_give_the_class_and_are_probabilities_where_they_are_called_so(
    tmp_path: Path, name: str, are_probabilities: bool
) -> None:
    made = multiplied(TensorProto.FLOAT, 3, name)
    actual, rows = scored(made, tmp_path), run(made)[0]
    assert actual["prediction"] == rows.argmax(axis=1).astype(float).tolist()
    assert actual["probability"] == (rows.astype(float).tolist() if are_probabilities else [None] * len(rows))


def test_each_column_is_an_input_of_its_name(tmp_path: Path) -> None:
    frame = pd.DataFrame({"distance": [5.5, 7.0], "hour": [2, 3], "carrier": ["UA", "AA"]})
    scorer = scorer_of(saved("onnx", of_columns(), tmp_path, COLUMNS, save_as_external_data=False))
    assert answers(scorer, batch(frame))["prediction"] == [205.5, 300.0]
    with pytest.raises(ScoringError, match="onnx says: carrier is null"):
        scorer.score(batch(frame.assign(carrier=pd.Series([None, "AA"], dtype="string"))))


@pytest.mark.parametrize(
    ("make", "columns", "says"),
    [
        pytest.param(
            lambda: multiplied(TensorProto.FLOAT, 1), {"a": "double"}, "1 columns and the model 4", id="width"
        ),
        pytest.param(
            lambda: multiplied(TensorProto.FLOAT, 1),
            {"a": "double", "b": "double", "c": "string", "d": "double"},
            "c are text",
            id="text in a matrix",
        ),
        pytest.param(of_columns, {"distance": "double", "hour": "long"}, "columns are others", id="an input without"),
        pytest.param(
            of_columns,
            {"distance": "double", "hour": "double", "carrier": "string"},
            "hour is double, and the model's input of that name is tensor",
            id="a double for a whole number",
        ),
    ],
)
def test_a_model_that_does_not_fit_its_signature_is_refused(
    tmp_path: Path, make: Any, columns: dict[str, str], says: str
) -> None:
    root = saved("onnx", make(), tmp_path, Signature.from_config(columns), save_as_external_data=False)
    with pytest.raises(CandidateRefusedError, match=f"SIGNATURE_UNSUPPORTED: .*{says}"):
        scorer_of(root).score(batch())


def test_weights_in_other_files_are_refused_with_what_to_do(tmp_path: Path) -> None:
    many = numpy_helper.from_array(np.ones((WIDTH, 400), np.float32), "W")
    out = helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 400])
    made = model([helper.make_node("MatMul", ["X", "W"], ["variable"])], [matrix_input()], [out], many)
    root = saved("onnx", made, tmp_path)
    with pytest.raises(CandidateRefusedError, match=r"CORRUPT_FILES: .*save_as_external_data=False"):
        scorer_of(root).score(batch())


def test_outputs_of_which_none_is_clearly_the_prediction_are_refused(tmp_path: Path) -> None:
    made = multiplied(TensorProto.FLOAT, 1)
    made.graph.node.append(helper.make_node("Neg", ["variable"], ["other"]))
    made.graph.output.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [None, 1]))
    root = saved("onnx", made, tmp_path, save_as_external_data=False)
    with pytest.raises(CandidateRefusedError, match=r"NO_PREDICTION: .*variable .*, other "):
        scorer_of(root).score(batch())
