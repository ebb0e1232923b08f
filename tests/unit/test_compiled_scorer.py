"""A compiled pipeline answers, fails or is refused; which stages are right is a matter of the tests beside Spark."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ModelError, ScoringError, StageNotCompiledError
from streaming.scoring.compiled.scorer import load_scorer
from tests.support.late_flights import EVENTS, FITTED, ROWS, STAGES, batch, saved
from tests.support.laws import examples
from tests.support.saved import Stage


def test_a_scorer_answers_in_the_columns_that_every_scorer_has(tmp_path: Path) -> None:
    answers = load_scorer(saved(tmp_path), EVENTS).score(batch(ROWS))
    margins = [2.0 - 1.0 - 1.0, 10.0 - 1.0 - 6.0, 4.0 - 1.0 - 6.0, 2.0 - 1.0 - 1.05]
    late = [1.0 - 1.0 / (1.0 + math.exp(margin)) for margin in margins]
    assert answers.column("__penstock_prediction").to_pylist() == [0.0, 1.0, 0.0, 0.0]
    assert answers.column("__penstock_label").to_pylist() == ["on time", "late", "on time", "on time"]
    assert [pair[1] for pair in answers.column("__penstock_probability").to_pylist()] == pytest.approx(late)
    assert answers.column("__penstock_confidence").to_pylist() == pytest.approx([max(p, 1.0 - p) for p in late])


def test_what_a_pipeline_does_not_have_is_null(tmp_path: Path) -> None:
    stages: list[Stage] = [
        *STAGES[:4],
        ("regression.LinearRegressionModel", {"featuresCol": "features", "predictionCol": "p"}),
    ]
    vector = {"type": 1, "size": None, "indices": None, "values": [1.0, 2.0, 0.5, 0.25]}
    fitted = {**FITTED, "regression.LinearRegressionModel": {"intercept": 1.0, "coefficients": vector, "scale": 1.0}}
    answers = load_scorer(saved(tmp_path, stages, fitted), EVENTS).score(batch(ROWS))
    assert answers.column("__penstock_prediction").to_pylist() == [4.5, 28.0, 20.0, 5.625]
    assert [answers.column(f"__penstock_{name}").null_count for name in ("probability", "label", "confidence")] == [
        4
    ] * 3


@pytest.mark.parametrize("rows", [[], ROWS[:1]], ids=["none", "one"])
def test_a_batch_may_have_any_number_of_rows(tmp_path: Path, rows: list[Any]) -> None:
    assert load_scorer(saved(tmp_path), EVENTS).score(batch(rows)).num_rows == len(rows)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(st.sampled_from(["UA", "AA", "x"]), st.integers(-9, 9), NUMBERS), min_size=1, max_size=30))
@examples(30)
def test_a_rows_answer_does_not_depend_on_the_batch_that_it_is_in(rows: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scorer = load_scorer(saved(Path(folder)), EVENTS)
    alone = [scorer.score(batch([row])).to_pylist()[0] for row in rows]
    assert scorer.score(batch(rows)).to_pylist() == alone


def test_a_row_that_a_stage_throws_on_fails_with_its_number(tmp_path: Path) -> None:
    strict: list[Stage] = [(STAGES[0][0], {**STAGES[0][1], "handleInvalid": "error"}), *STAGES[1:]]
    with pytest.raises(ScoringError, match="row 2 of the batch: carrier is null or was not seen"):
        load_scorer(saved(tmp_path, strict), EVENTS).score(batch(ROWS))


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param(EVENTS.remove(0), id="missing"),
        pytest.param(EVENTS.set(1, pa.field("hour", pa.float64())), id="of another type"),
    ],
)
def test_a_batch_without_a_column_that_the_model_reads_fails(tmp_path: Path, columns: pa.Schema) -> None:
    with pytest.raises(ScoringError, match=r"has no column (carrier|hour)"):
        load_scorer(saved(tmp_path), EVENTS).score(pa.RecordBatch.from_pylist([], columns))


@pytest.mark.parametrize(
    ("stages", "kind", "why"),
    [
        pytest.param([("feature.DCT", {})], "feature.DCT", "no compiled form", id="class"),
        pytest.param(
            [(STAGES[0][0], {**STAGES[0][1], "handleInvalid": "skip"})],
            "feature.StringIndexerModel",
            "it drops rows",
            id="a rule that drops rows",
        ),
        pytest.param(
            [("feature.VectorAssembler", {"handleInvalid": "keep", "inputCols": ["carrier"], "outputCol": "v"})],
            "feature.VectorAssembler",
            "assembles the column carrier, which holds text",
            id="text in a vector",
        ),
        pytest.param(STAGES[1:], "feature.OneHotEncoderModel", "reads the column index", id="no such column"),
    ],
)
def test_what_has_no_compiled_form_is_refused_by_stage_and_class(
    tmp_path: Path, stages: list[Stage], kind: str, why: str
) -> None:
    with pytest.raises(StageNotCompiledError, match=why) as refused:
        load_scorer(saved(tmp_path, stages), EVENTS)
    assert refused.value.stage == f"{kind.rpartition('.')[2]}_0a1b"
    assert refused.value.kind == f"org.apache.spark.ml.{kind}"


def test_a_pipeline_that_predicts_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageNotCompiledError, match="no stage has a prediction column"):
        load_scorer(saved(tmp_path, STAGES[:4]), EVENTS)


def paths(value: Any, *before: Any) -> Iterator[tuple[Any, ...]]:
    """Yield where in a document something can be changed."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in entries:
        yield (*before, key)
        yield from paths(inner, *before, key)


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copy.deepcopy(document)
    parent = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return changed


JUNK = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers(), max_size=3)
)
PARAMETERS = [(at, path) for at, (_, parameters) in enumerate(STAGES) for path in paths(dict(parameters))]
VALUES = [(kind, path) for kind, row in FITTED.items() for path in paths(row)]


def loads_or_refuses(model: Path) -> None:
    """Hold the law: a changed pipeline loads and scores, or is refused as a model; nothing else comes out."""
    try:
        answers = load_scorer(model, EVENTS).score(batch(ROWS))
    except ModelError:
        return
    assert answers.num_rows == len(ROWS)


@given(st.sampled_from(PARAMETERS), JUNK)
@examples(40)
def test_a_changed_parameter_is_refused_or_means_something(where: tuple[int, tuple[Any, ...]], junk: Any) -> None:
    stages = [*STAGES]
    kind, parameters = stages[where[0]]
    stages[where[0]] = (kind, replaced(dict(parameters), where[1], junk))
    with tempfile.TemporaryDirectory() as folder:
        loads_or_refuses(saved(Path(folder), stages))


@given(st.sampled_from(VALUES), JUNK)
@examples(40)
def test_a_changed_fitted_value_is_refused_or_means_something(where: tuple[str, tuple[Any, ...]], junk: Any) -> None:
    kind, path = where
    fitted = {**FITTED, kind: replaced(FITTED[kind], path, junk)}
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = saved(Path(folder), STAGES, fitted)
        except (pa.ArrowException, OverflowError):
            return  # Parquet itself has no such column
        loads_or_refuses(model)
