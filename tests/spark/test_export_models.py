"""Models that Spark has fitted and saved answer in ONNX as their compiled forms do; those are held against Spark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import Pipeline
from pyspark.sql import DataFrame, SparkSession

from streaming.errors import ExportRefusedError
from streaming.export.agreement import AllowedGap, OnnxSession, agreement, compiled_answers
from streaming.export.form import onnx_form
from streaming.scoring.compiled.scorer import load_scorer
from tests.spark.test_compiled_stages import (
    DIRTY,
    EVENTS,
    GENERALIZED,
    MODELS,
    Case,
    batch,
    clean_rows,
    training_frame,
)
from tests.support.seeds import with_seeds

CASES = {**MODELS, **GENERALIZED}
SEEDS = {"multinomial with thresholds"}
"""What ``make test`` tries; ``make test-long`` tries the others."""
REFUSED = {
    "isotonic",
    "isotonic, falling, over an element",
    "bisecting k-means",
    "bisecting k-means by angles",
    "mixture of normal distributions",
}
"""Models that have no ONNX form."""


@pytest.fixture(scope="module")
def training(spark: SparkSession) -> DataFrame:
    return training_frame(spark)


@pytest.mark.parametrize("case", with_seeds({name: case for name, case in CASES.items() if name not in REFUSED}, SEEDS))
def test_a_fitted_model_answers_in_onnx_as_its_compiled_form(training: DataFrame, tmp_path: Path, case: Case) -> None:
    Pipeline(stages=list(case.stages())).fit(training).write().save(f"file://{tmp_path}/model")
    scorer, events = load_scorer(tmp_path / "model", EVENTS), batch([*clean_rows(), *DIRTY])
    answers = OnnxSession(onnx_form(scorer, np.float64)).answers(events)
    result = agreement(events, answers, compiled_answers(scorer, events), AllowedGap(1e-12, 1e-12))
    assert result.mismatches == 0, result
    assert result.rejected < len(DIRTY)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_fitted_model_without_an_onnx_form_is_refused(training: DataFrame, tmp_path: Path, name: str) -> None:
    Pipeline(stages=list(CASES[name].stages())).fit(training).write().save(f"file://{tmp_path}/model")
    with pytest.raises(ExportRefusedError, match="has no ONNX form"):
        onnx_form(load_scorer(tmp_path / "model", EVENTS), np.float64)
