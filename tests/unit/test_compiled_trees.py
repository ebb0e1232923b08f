"""A saved tree is walked as Spark walks it, and rows that are no tree are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from streaming.errors import StageUnreadableError
from streaming.scoring.compiled.scorer import load_scorer
from tests.support.saved import Stage, save_pipeline, write_rows

EVENTS = pa.schema([("a", pa.float64()), ("b", pa.float64())])
STAGES: list[Stage] = [
    ("feature.VectorAssembler", {"handleInvalid": "keep", "inputCols": ["a", "b"], "outputCol": "features"}),
    ("regression.DecisionTreeRegressionModel", {"featuresCol": "features", "predictionCol": "prediction"}),
]


def node(number: int, left: int = -1, right: int = -1, split: tuple[int, list[float], int] = (-1, [], -1)) -> Any:
    """A row of Spark's ``NodeData`` that predicts its own number."""
    element, values, categories = split
    return {
        "id": number,
        "prediction": float(number),
        "impurityStats": [1.0, 2.0],
        "leftChild": left,
        "rightChild": right,
        "split": {"featureIndex": element, "leftCategoriesOrThreshold": values, "numCategories": categories},
    }


BY_NUMBER = [node(0, 1, 2, (0, [2.5], -1)), node(1), node(2, 3, 4, (1, [0.0], -1)), node(3), node(4)]
FEW_LEFT = [node(0, 1, 2, (0, [1.0], 4)), node(1), node(2)]
MANY_LEFT = [node(0, 1, 2, (0, [0.0, 1.0, 3.0], 4)), node(1), node(2)]


def predictions(folder: Path, nodes: list[Any], values: list[tuple[float, float]]) -> list[float]:
    model = save_pipeline(folder / "model", STAGES, {})
    write_rows(next(model.glob("stages/*Tree*")) / "data", *nodes)
    rows = [dict(zip(EVENTS.names, value, strict=True)) for value in values]
    answers = load_scorer(model, EVENTS).score(pa.RecordBatch.from_pylist(rows, EVENTS))
    return list(answers.column("__penstock_prediction").to_pylist())


NAN = float("nan")


@pytest.mark.parametrize(
    ("nodes", "values", "leaves"),
    [
        pytest.param(BY_NUMBER, [2.5, 2.4999999999999996], [1, 1], id="up to the threshold is left"),
        pytest.param(BY_NUMBER, [2.5000000000000004, NAN], [4, 4], id="above it and NaN are right"),
        pytest.param(FEW_LEFT, [1, 0, 2, 3], [1, 2, 2, 2], id="a few categories are left"),
        pytest.param(MANY_LEFT, [1, 0, 2, 3], [1, 1, 2, 1], id="most categories are left"),
        # Spark keeps the smaller set of the two, so what is in neither goes to the larger.
        pytest.param(FEW_LEFT, [4, -1, 0.5, NAN], [2, 2, 2, 2], id="no category, where few are left"),
        pytest.param(MANY_LEFT, [4, -1, 0.5, NAN], [1, 1, 1, 1], id="no category, where most are left"),
        pytest.param([node(0)], [1.0], [0], id="a single leaf"),
    ],
)
def test_a_row_ends_in_the_leaf_where_spark_has_it(
    tmp_path: Path, nodes: list[Any], values: list[float], leaves: list[int]
) -> None:
    assert predictions(tmp_path, nodes, [(value, 1.0) for value in values]) == leaves


@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([node(0, 1, 2, (5, [0.0], -1)), node(1), node(2)], id="an element that does not exist"),
        pytest.param([node(0, 1, 2, (0, [], -1)), node(1), node(2)], id="no threshold"),
        pytest.param([node(0, 1, 2, (0, [7.0], 3)), node(1), node(2)], id="a category beyond all"),
        pytest.param([node(0, 0, 1, (0, [0.0], -1)), node(1)], id="a node below itself"),
        pytest.param(
            [node(0, 1, 2, (0, [0.0], -1)), node(1, 2, 3, (0, [1.0], -1)), node(2), node(3)], id="two parents"
        ),
        pytest.param([node(0, 1, 9, (0, [0.0], -1)), node(1)], id="a child that does not exist"),
        pytest.param([node(0, 1, 2, (0, [0.0], -1)), node(1), node(2), node(3)], id="a node that nobody reaches"),
        pytest.param([node(0, 1, 2, (0, [0.0], -1)), node(2)], id="a node is missing"),
    ],
)
def test_rows_that_are_not_a_tree_are_refused(tmp_path: Path, nodes: list[Any]) -> None:
    with pytest.raises(StageUnreadableError, match="nodes are not a tree"):
        predictions(tmp_path, nodes, [(1.0, 1.0)])
