"""Models at their edges, by hand, and with damaged files; that they answer as Spark does is tested beside Spark."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ModelError, StageNotCompiledError, StageUnreadableError
from streaming.scoring.compiled.program import compile_pipeline
from tests.support.laws import examples
from tests.support.saved import Stage, save_pipeline, write_metadata, write_rows

EVENTS = pa.schema([("a", pa.float64()), ("b", pa.float64())])
ASSEMBLER: Stage = ("feature.VectorAssembler", {"handleInvalid": "keep", "inputCols": ["a", "b"], "outputCol": "v"})
COLUMNS = {"featuresCol": "v", "predictionCol": "p", "probabilityCol": "q", "rawPredictionCol": "r"}


def dense(*values: float) -> dict[str, Any]:
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def square(*values: float) -> dict[str, Any]:
    return {
        "type": 1, "numRows": 2, "numCols": 2, "colPtrs": None, "rowIndices": None, "values": list(values),
        "isTransposed": False,
    }  # fmt: skip


FITTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "classification.MultilayerPerceptronClassificationModel": (
        {"layers": [2, 1, 2]},
        {"weights": dense(0.5, -0.5, 0.0, 2.0, -2.0, 1.0, 0.0)},
    ),
    "classification.FMClassificationModel": (
        {"factorSize": 2},
        {"intercept": 1.0, "linear": dense(1.0, 2.0), "factors": square(1.0, 3.0, 0.0, 1.0)},
    ),
    "regression.FMRegressionModel": (
        {"factorSize": 2},
        {"intercept": 1.0, "linear": dense(1.0, 2.0), "factors": square(1.0, 3.0, 0.0, 1.0)},
    ),
    "regression.IsotonicRegressionModel": (
        {"featureIndex": 1},
        {"boundaries": [0.0, 2.0, 4.0], "predictions": [1.0, 3.0, 10.0], "isotonic": True},
    ),
    "clustering.GaussianMixtureModel": (
        {},
        {
            "weights": [0.5, 0.5],
            "mus": [dense(0.0, 0.0), dense(10.0, 0.0)],
            "sigmas": [square(1.0, 0.0, 0.0, 1.0), square(4.0, 0.0, 0.0, 0.0)],
        },
    ),
}
"""Parameters and fitted values of each class, over two elements."""


def model(folder: Path, kind: str, parameters: dict[str, Any], row: dict[str, Any]) -> Path:
    return save_pipeline(folder / "model", [ASSEMBLER, (kind, {**COLUMNS, **parameters})], {kind: row})


def predictions(folder: Path, *rows: tuple[float | None, float | None]) -> list[float]:
    batch = pa.record_batch([pa.array(column, pa.float64()) for column in zip(*rows, strict=True)], EVENTS)
    answers: list[float] = compile_pipeline(folder, EVENTS).run(batch).number("p").values.tolist()
    return answers


@pytest.mark.parametrize(
    ("value", "level"),
    [
        pytest.param(-1.0, 1.0, id="before the first"),
        pytest.param(-math.inf, 1.0, id="before all numbers"),
        pytest.param(-0.0, 1.0, id="a negative zero"),
        pytest.param(0.0, 1.0, id="at the first"),
        pytest.param(1.0, 2.0, id="between two"),
        pytest.param(2.0, 3.0, id="at one of them"),
        pytest.param(3.0, 6.5, id="on a steeper piece"),
        pytest.param(4.0, 10.0, id="at the last"),
        pytest.param(math.inf, 10.0, id="beyond all numbers"),
        pytest.param(math.nan, 10.0, id="not a number"),
    ],
)
def test_an_isotonic_regression_is_a_line_of_pieces(tmp_path: Path, value: float, level: float) -> None:
    kind = "regression.IsotonicRegressionModel"
    assert predictions(model(tmp_path, kind, *FITTED[kind]), (7.0, value)) == [level]


def test_a_factorization_machine_adds_a_weight_for_the_pair(tmp_path: Path) -> None:
    kind = "regression.FMRegressionModel"
    # The factors of the elements are (1, 0) and (3, 1), and their product is 3.
    assert predictions(model(tmp_path, kind, *FITTED[kind]), (2.0, 5.0)) == [1.0 + 2.0 + 10.0 + 3.0 * 2.0 * 5.0]


def test_a_distribution_without_width_in_one_direction_still_has_a_density(tmp_path: Path) -> None:
    kind = "clustering.GaussianMixtureModel"
    folder = model(tmp_path, kind, *FITTED[kind])
    assert predictions(folder, (0.0, 0.0), (9.0, 0.0), (1e6, 0.0)) == [0.0, 1.0, 0.0]


def test_the_surest_of_several_classifiers_wins_and_the_first_of_equal_ones(tmp_path: Path) -> None:
    assert predictions(against_the_rest(tmp_path), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)) == [0.0, 1.0, 0.0]


def against_the_rest(folder: Path, **changed: Any) -> Path:
    """Two factorization machines, of which each looks at one element."""
    saved = save_pipeline(folder / "model", [ASSEMBLER, ("classification.OneVsRestModel", {**COLUMNS, **changed})], {})
    stage = next((saved / "stages").glob("1_*"))
    for number, weights in enumerate([(1.0, 0.0), (0.0, 1.0)]):
        inner = stage / f"model_{number}"
        write_metadata(inner, "classification.FMClassificationModel", COLUMNS | {"featuresCol": "other"}, uid="fm")
        row = {"intercept": 0.0, "linear": dense(*weights), "factors": square(0.0, 0.0, 0.0, 0.0)}
        write_rows(inner / "data", row)
    return saved


def test_a_bisecting_model_goes_down_to_a_leaf(tmp_path: Path) -> None:
    assert predictions(bisected(tmp_path), (-5.0, 0.0), (1.0, 0.0), (9.0, 0.0)) == [1.0, 3.0, 4.0]


NODES = [
    {"index": 0, "center": dense(0.0, 0.0), "children": [1, 2]},
    {"index": 1, "center": dense(-4.0, 0.0), "children": []},
    {"index": 2, "center": dense(4.0, 0.0), "children": [3, 4]},
    {"index": 3, "center": dense(2.0, 0.0), "children": []},
    {"index": 4, "center": dense(8.0, 0.0), "children": []},
]


def bisected(folder: Path, nodes: list[dict[str, Any]] = NODES) -> Path:
    parameters = {**COLUMNS, "distanceMeasure": "euclidean"}
    saved = save_pipeline(folder / "model", [ASSEMBLER, ("clustering.BisectingKMeansModel", parameters)], {})
    data = next((saved / "stages").glob("1_*")) / "data"
    data.mkdir()
    write_rows(data / "data", *nodes)
    return saved


@pytest.mark.parametrize(
    ("position", "change"),
    [
        pytest.param(1, {"children": [0]}, id="a circle"),
        pytest.param(1, {"children": [1]}, id="its own child"),
        pytest.param(1, {"children": [3]}, id="a child of two"),
        pytest.param(1, {"children": [9]}, id="a child that does not exist"),
        pytest.param(0, {"children": [1]}, id="two roots"),
        pytest.param(3, {"center": dense(1.0)}, id="a centre of another size"),
        pytest.param(4, {"index": 3}, id="a number twice"),
    ],
)
def test_clusters_that_are_not_one_tree_are_refused(tmp_path: Path, position: int, change: dict[str, Any]) -> None:
    nodes = [{**node, **change} if number == position else node for number, node in enumerate(NODES)]
    with pytest.raises(StageUnreadableError):
        compile_pipeline(bisected(tmp_path, nodes), EVENTS)


@pytest.mark.parametrize(
    ("kind", "parameters", "row", "why"),
    [
        pytest.param(
            "classification.MultilayerPerceptronClassificationModel",
            {"layers": [2, 3]},
            {},
            "and not 9",
            id="few weights",
        ),
        pytest.param(
            "classification.MultilayerPerceptronClassificationModel", {"layers": [2]}, {}, "its layers", id="one layer"
        ),
        pytest.param(
            "regression.IsotonicRegressionModel",
            {},
            {"boundaries": [0.0, 2.0, 2.0]},
            "not an increasing list",
            id="a bound twice",
        ),
        pytest.param("regression.IsotonicRegressionModel", {"featureIndex": 2}, {}, "element 2", id="no such element"),
        pytest.param("regression.FMRegressionModel", {}, {"linear": dense(1.0)}, "and not 2", id="another size"),
        pytest.param("clustering.GaussianMixtureModel", {}, {"weights": [1.0]}, "1 weights for 2", id="a weight less"),
        pytest.param(
            "clustering.GaussianMixtureModel",
            {},
            {"sigmas": [square(0.0, 0.0, 0.0, 0.0)] * 2},
            "no mean and covariance",
            id="no width",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, kind: str, parameters: dict[str, Any], row: dict[str, Any], why: str
) -> None:
    own_parameters, own_row = FITTED[kind]
    with pytest.raises(StageNotCompiledError, match=why):
        compile_pipeline(model(tmp_path, kind, {**own_parameters, **parameters}, {**own_row, **row}), EVENTS)


def test_classifiers_whose_ties_follow_a_map_of_scala_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageNotCompiledError, match="rawPredictionCol"):
        compile_pipeline(against_the_rest(tmp_path, rawPredictionCol=""), EVENTS)


JUNK = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3) | st.lists(st.integers())


@given(st.sampled_from(sorted(FITTED)), st.data())
@examples(40)
def test_a_changed_fitted_value_is_refused_or_means_something(kind: str, data: st.DataObject) -> None:
    parameters, row = FITTED[kind]
    name = data.draw(st.sampled_from(sorted(row)))
    with tempfile.TemporaryDirectory() as folder:
        try:
            saved = model(Path(folder), kind, parameters, {**row, name: data.draw(JUNK)})
        except (pa.ArrowException, OverflowError):
            return  # Parquet itself has no such column
        try:
            answers = predictions(saved, (1.0, 2.0), (None, math.inf))
        except ModelError:
            return
    assert len(answers) == 2
