"""Columns of a signature that no stage reads: left out with a warning, whatever their type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from streaming.errors import CandidateRefusedError
from streaming.models.cache import CachedModel
from streaming.models.package import ModelPackage
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.reader import PackageReader
from streaming.models.reads import unread
from streaming.models.ref import ModelVersion
from streaming.settings import ModelSettings
from tests.support.versions import SPARK, version_files

FEATURE = "org.apache.spark.ml.feature."
ASSEMBLER = {"class": f"{FEATURE}VectorAssembler", "paramMap": {"inputCols": ["distance", "Gust"]}}
REGRESSION = {
    "class": "org.apache.spark.ml.regression.LinearRegressionModel",
    "paramMap": {"labelCol": "late", "weightCol": "weight"},
    "defaultParamMap": {"featuresCol": "features", "predictionCol": "prediction"},
}
COLUMNS = ("distance", "gust", "late", "weight", "at")


def stages(folder: Path, *metadata: Any) -> Path:
    for number, described in enumerate(metadata):
        part = folder / f"stages/{number}_stage/metadata/part-00000"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(described if isinstance(described, str) else json.dumps(described))
    return folder


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param([ASSEMBLER, REGRESSION], {"late", "weight", "at"}, id="label, weight and what nobody names"),
        pytest.param(
            [ASSEMBLER, {"class": f"{FEATURE}RFormulaModel", "paramMap": {"inputCol": "at"}}],
            {"late", "weight"},
            id="any other parameter may name it",
        ),
        pytest.param([ASSEMBLER, {"class": "com.example.Own", "paramMap": {}}], set(), id="a stage of others"),
        pytest.param([ASSEMBLER, "no JSON"], set(), id="a stage that cannot be read"),
        pytest.param([], set(), id="no stages"),
    ],
)
def test_a_column_is_unread_if_only_fitting_or_nothing_names_it(
    metadata: list[Any], expected: set[str], tmp_path: Path
) -> None:
    assert unread(stages(tmp_path, *metadata), COLUMNS) == expected


def read(tmp_path: Path, profile: ReferenceProfile | None = None, **types: str) -> ModelPackage:
    inputs = json.dumps([{"name": name, "type": kind, "required": True} for name, kind in types.items()])
    root = version_files(tmp_path / "model", signature={"inputs": inputs})
    pipeline = {"class": "org.apache.spark.ml.PipelineModel", "paramMap": {}}
    (root / "sparkml/metadata/part-00000").write_text(json.dumps(pipeline))
    stages(root / "sparkml", ASSEMBLER, REGRESSION)
    if profile:
        (root / "penstock").mkdir()
        (root / "penstock/profile.json").write_text(profile.to_json())
    return PackageReader(ModelSettings(), SPARK).read(
        CachedModel(root, ModelVersion("flights", 3), "0" * 64), ["spark"]
    )


def test_what_no_stage_reads_is_left_out_with_a_warning_that_names_it(tmp_path: Path) -> None:
    with capture_logs() as logs:
        package = read(tmp_path, distance="double", gust="double", at="datetime", late="double")
    assert package.signature.names == ("distance", "gust")
    (warning,) = logs
    assert (warning["log_level"], warning["columns"], warning["version"]) == ("warning", ["at", "late"], 3)


def test_a_column_of_the_reference_profile_stays(tmp_path: Path) -> None:
    profile = ReferenceProfile((ColumnProfile("late", "numeric", {0: 3, 1: 4}, edges=(10.0,)),), 7)
    assert read(tmp_path, profile, distance="double", late="double", at="datetime").signature.names == (
        "distance",
        "late",
    )


def test_a_column_that_a_stage_reads_is_refused_for_its_type(tmp_path: Path) -> None:
    with pytest.raises(CandidateRefusedError, match="'distance' has type 'datetime'"):
        read(tmp_path, distance="datetime")
