"""Versions of other flavors, loaded as a job loads them: read and tried in a worker, never in the driver."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import SparkSession

from streaming.engines.live_plan import check_live
from streaming.errors import CandidateRefusedError
from streaming.events import columns as c
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.scoring.flavours import scorer as native
from streaming.scoring.flavours.loader import NativeLoader, saved_model
from streaming.scoring.flavours.scorer import NativeScorer
from streaming.settings import EventSettings
from tests.support.flavours import described, event_of, features, flights, predicted, saved
from tests.support.models import load
from tests.support.records import records_frame, verdict_text

ROWS: list[list[Any]] = [[600.0, 12.5, 9, True], [900.0, None, 23, False], [100.0, 3.0, 6, False]]


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    data = lightgbm.Dataset(features(), flights()["late"])
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_leaves": 7}, data, num_boost_round=8)


@pytest.fixture
def package(booster: lightgbm.Booster, tmp_path: Path) -> ModelPackage:
    return described(saved("lightgbm", booster, tmp_path / "model"))


@pytest.mark.long
def test_frames_and_the_one_pass_answer_as_lightgbm(
    spark: SparkSession, booster: lightgbm.Booster, package: ModelPackage
) -> None:
    served = load(spark, package, scorer="auto")
    late = predicted(booster, pd.DataFrame(ROWS, columns=package.signature.names).astype(float))
    records = records_frame(spark, [*(event_of(row, number) for number, row in enumerate(ROWS)), b"{"])
    for model in (served, served.reference):
        *rows, broken = model.score(records).collect()
        assert [row[c.PROBABILITY] for row in rows] == np.column_stack([1 - late, late]).tolist()
        assert [row[c.PREDICTION] for row in rows] == (late > 0.5).astype(float).tolist()
        assert verdict_text(broken) == "MALFORMED_JSON"


def test_what_evaluates_it_is_said_with_its_version(spark: SparkSession, package: ModelPackage) -> None:
    served = load(spark, package)
    assert (served.choice.kind, served.choice.why) == ("native", f"lightgbm {lightgbm.__version__} evaluates it")
    assert served.scorer.is_proven


@pytest.mark.long
def test_the_driver_reads_no_model(spark: SparkSession, package: ModelPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(native, "_read", read.append)
    load(spark, package, scorer="auto")
    assert read == []


def test_golden_rows_that_come_out_otherwise_are_refused(
    spark: SparkSession, booster: lightgbm.Booster, package: ModelPackage
) -> None:
    (late,) = predicted(booster, pd.DataFrame(ROWS[:1], columns=package.signature.names).astype(float))
    row = dict(zip(package.signature.names, ROWS[0], strict=True))
    right = GoldenRow(row, float(late > 0.5), (1 - late, late))
    assert load(spark, replace(package, golden=GoldenRows((right,)))).scorer.is_proven
    wrong = replace(right, probability=(late, 1 - late))
    with pytest.raises(CandidateRefusedError, match="GOLDEN_ROW_FAILED"):
        load(spark, replace(package, golden=GoldenRows((wrong,))))


def test_a_damaged_file_is_refused_by_what_the_library_says(spark: SparkSession, package: ModelPackage) -> None:
    (package.root / "model.lgb").write_text("tree\nversion=v4\n")
    with pytest.raises(CandidateRefusedError, match="CORRUPT_FILES: lightgbm cannot read the model's file"):
        load(spark, described(package.root))


def test_the_live_engine_takes_pipelines_of_spark_alone(spark: SparkSession, package: ModelPackage) -> None:
    def admit(model: ServedModel) -> None:
        check_live(spark, model)

    loader = NativeLoader(spark, EventSettings(), 1 << 20, admit=admit)
    with pytest.raises(CandidateRefusedError, match=r"NOT_LIVE: .*flavor lightgbm .* engine\.kind exact"):
        loader.load(package, "")


def test_a_file_that_kills_its_worker_is_refused_and_the_job_goes_on(
    spark: SparkSession, package: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    scorer = NativeScorer(saved_model(package))
    monkeypatch.setattr(native, "_report", dies)
    with pytest.raises(CandidateRefusedError, match="CORRUPT_FILES: the Python worker that read the lightgbm model"):
        scorer.tried_in_a_worker(spark)
    assert spark.range(3).count() == 3
