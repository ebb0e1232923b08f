"""Write a saved Spark pipeline as an ONNX model: ``python -m benchmarks.peers.onnx_export PIPELINE MODEL.onnx``.

Runs in the peers' export environment (``make bench-peers``). The graph is the least that gives Spark's numbers: a table
of category weights, a dot product and a sigmoid, in double precision. Text is not looked up in the graph: a Python
dictionary does it in a tenth of the time of ONNX's string tensors, so the vocabulary travels as metadata and the
model's inputs are ``categories`` (places in the table, int64) and ``numbers`` (float64, NaN where missing).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from benchmarks.peers.saved_pipeline import LinearModel, read_pipeline

OPSET, IR = 18, 9
"""Old enough for every runtime the peers bring."""


def convert(model: LinearModel) -> ModelProto:
    """Return the model as ONNX, with a ``columns`` entry in its metadata that ``scoring.Scorer`` reads."""
    vocabulary: dict[str, dict[str, int]] = {}
    table = [0.0]  # place 0: a value never seen at training
    for category in model.categories:
        vocabulary[category.column] = {value: len(table) + at for at, value in enumerate(category.weights)}
        table += category.weights.values()
    constants = {
        "table": np.array(table),
        "fillers": np.array([number.filler for number in model.numbers]),
        "weights": np.array([[number.weight] for number in model.numbers]),
        "intercept": np.array(model.intercept),
        "threshold": np.array(model.threshold),
        "one": np.array(1.0),
        "columns": np.array([1], dtype=np.int64),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "categories"], ["chosen"]),
            helper.make_node("ReduceSum", ["chosen", "columns"], ["by_category"], keepdims=1),
            helper.make_node("IsNaN", ["numbers"], ["missing"]),
            helper.make_node("Where", ["missing", "fillers", "numbers"], ["filled"]),
            helper.make_node("MatMul", ["filled", "weights"], ["by_number"]),
            helper.make_node("Add", ["by_category", "by_number"], ["sum"]),
            helper.make_node("Add", ["sum", "intercept"], ["margin"]),
            helper.make_node("Sigmoid", ["margin"], ["positive"]),
            helper.make_node("Sub", ["one", "positive"], ["negative"]),
            helper.make_node("Concat", ["negative", "positive"], ["probability"], axis=1),
            helper.make_node("Greater", ["positive", "threshold"], ["chosen_class"]),
            helper.make_node("Cast", ["chosen_class"], ["prediction"], to=TensorProto.DOUBLE),
        ],
        "pipeline",
        [
            helper.make_tensor_value_info("categories", TensorProto.INT64, ["n", len(model.categories)]),
            helper.make_tensor_value_info("numbers", TensorProto.DOUBLE, ["n", len(model.numbers)]),
        ],
        [
            helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["n", 1]),
            helper.make_tensor_value_info("probability", TensorProto.DOUBLE, ["n", 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    columns = {"categories": vocabulary, "numbers": [number.column for number in model.numbers]}
    helper.set_model_props(made, {"columns": json.dumps(columns)})
    checker.check_model(made)
    return made


def main(pipeline: Path, target: Path) -> None:
    """Convert and write; a reader never sees half a file."""
    fresh = target.with_suffix(".new")
    fresh.write_bytes(convert(read_pipeline(pipeline)).SerializeToString())
    fresh.rename(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
