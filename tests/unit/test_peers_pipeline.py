"""A saved pipeline is read from its files as Spark reads it; the files here are written as Spark writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.saved_pipeline import UnsupportedPipelineError, read_pipeline
from tests.support.saved import save_pipeline

INDEXER = ("StringIndexerModel", {"handleInvalid": "keep", "inputCols": ["carrier"], "outputCols": ["carrier_index"]})
ENCODER = ("OneHotEncoderModel", {"dropLast": True, "inputCols": ["carrier_index"], "outputCols": ["carrier_onehot"]})
IMPUTER = ("ImputerModel", {"inputCols": ["temp"], "outputCols": ["temp_filled"]})
ASSEMBLER = ("VectorAssembler", {"inputCols": ["carrier_onehot", "hour", "temp_filled"], "outputCol": "features"})
REGRESSION = ("LogisticRegressionModel", {"featuresCol": "features", "threshold": 0.5})
DENSE = {"type": 1, "numRows": 1, "numCols": 4, "colPtrs": None, "rowIndices": None, "values": [2.0, 0.0, 0.5, -0.1]}
BY_COLUMN = DENSE | {"type": 0, "colPtrs": [0, 1, 1, 2, 3], "rowIndices": [0, 0, 0], "values": [2.0, 0.5, -0.1]}
BY_ROW = DENSE | {"type": 0, "colPtrs": [0, 3], "rowIndices": [0, 2, 3], "values": [2.0, 0.5, -0.1]}


def regression(matrix: Mapping[str, Any], *, transposed: bool = False) -> dict[str, Any]:
    return {
        "numFeatures": 4,
        "interceptVector": {"type": 1, "size": None, "indices": None, "values": [-1.0]},
        "coefficientMatrix": {**matrix, "isTransposed": transposed},
        "isMultinomial": False,
    }


FITTED: dict[str, dict[str, Any]] = {
    "StringIndexerModel": {"labelsArray": [["UA", "AA"]]},
    "OneHotEncoderModel": {"categorySizes": [3]},
    "ImputerModel": {"temp": 60.0},
    "LogisticRegressionModel": regression(DENSE),
}
ONE_VALUE = {"StringIndexerModel": {"labelsArray": [["UA"]]}, "OneHotEncoderModel": {"categorySizes": [2]}}
STAGES = (INDEXER, ENCODER, IMPUTER, ASSEMBLER, REGRESSION)


@pytest.mark.parametrize(
    "fitted",
    [regression(DENSE), regression(BY_COLUMN), regression(BY_ROW, transposed=True)],
    ids=["dense", "sparse-by-column", "sparse-by-row"],
)
def test_every_column_gets_its_own_weight(tmp_path: Path, fitted: dict[str, Any]) -> None:
    model = read_pipeline(save_pipeline(tmp_path, STAGES, FITTED | {"LogisticRegressionModel": fitted}))
    assert [(category.column, category.weights) for category in model.categories] == [
        ("carrier", {"UA": 2.0, "AA": 0.0})
    ]
    assert [(column.column, column.weight) for column in model.numbers] == [("hour", 0.5), ("temp", -0.1)]
    assert (model.intercept, model.threshold) == (-1.0, 0.5)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"carrier": "UA", "hour": 0, "temp": 10.0}, 0.5),
        ({"carrier": "AA", "hour": 4, "temp": 10.0}, 0.5),
        ({"carrier": "never seen", "hour": 4, "temp": 10.0}, 0.5),
        ({"carrier": "UA", "hour": 10, "temp": None}, 0.5),
    ],
    ids=["a-known-value", "a-value-of-no-weight", "an-unseen-value-weighs-nothing", "the-median-for-a-missing-number"],
)
def test_an_event_is_scored_as_spark_would(tmp_path: Path, event: dict[str, Any], expected: float) -> None:
    assert read_pipeline(save_pipeline(tmp_path, STAGES, FITTED)).probability([event])[0] == pytest.approx(expected)


def test_stages_are_read_in_their_order_and_not_in_that_of_their_names(tmp_path: Path) -> None:
    scaling = [("ImputerModel", {"inputCols": ["temp"], "outputCols": [f"spare_{n}"]}) for n in range(8)]
    assert read_pipeline(save_pipeline(tmp_path, [*scaling, *STAGES], FITTED)).intercept == -1.0


@pytest.mark.parametrize(
    ("stages", "fitted", "named"),
    [
        ((("Bucketizer", {}), *STAGES), FITTED, "Bucketizer"),
        ((("StringIndexerModel", {**INDEXER[1], "handleInvalid": "skip"}), *STAGES[1:]), FITTED, "keep"),
        ((INDEXER, ("OneHotEncoderModel", {**ENCODER[1], "dropLast": False})), FITTED, "dropLast"),
        (STAGES[:-1], FITTED, "no logistic regression"),
        (STAGES, FITTED | {"LogisticRegressionModel": regression(DENSE) | {"isMultinomial": True}}, "multinomial"),
        (STAGES, FITTED | ONE_VALUE, "1 weights belong to no column"),
    ],
    ids=["another-stage", "another-rule", "another-encoding", "no-classifier", "many-classes", "weights-left-over"],
)  # fmt: skip
def test_what_is_not_converted_is_refused(tmp_path: Path, stages: Any, fitted: Mapping[str, Any], named: str) -> None:
    with pytest.raises(UnsupportedPipelineError, match=named):
        read_pipeline(save_pipeline(tmp_path, stages, fitted))
