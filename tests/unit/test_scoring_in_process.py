"""A server loads versions by itself: what it cannot compile, read or reproduce is refused, and its code never runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.events.guards import InRange, InVocabulary, NotNull
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.signature import Column, Signature
from streaming.refusal_codes import RefusalCode
from streaming.scoring.compiled.saved import read_stages
from streaming.scoring.saved_stages import saved_guards
from tests.support.late_flights import STAGES
from tests.support.saved import Stage, save_pipeline
from tests.support.servers import GOLDEN, STRICT, event, flight_package, loaded
from tests.unit.test_scoring_row_pass import records

Change = Callable[[ModelPackage], ModelPackage]


def golden(prediction: float, **features: Any) -> Change:
    rows = GoldenRows((GoldenRow({**GOLDEN.rows[0].features, **features}, prediction),))
    return lambda package: replace(package, golden=rows)


def with_class(name: str) -> Change:
    """The first stage's files name another class."""

    def change(package: ModelPackage) -> ModelPackage:
        (metadata,) = package.pipeline_dir.glob("stages/0_*/metadata/part-*")
        metadata.write_text(metadata.read_text().replace("org.apache.spark.ml.feature.StringIndexerModel", name))
        return package

    return change


def without_rows(package: ModelPackage) -> ModelPackage:
    for part in package.pipeline_dir.glob("stages/0_*/data/part-*"):
        part.unlink()
    return package


REFUSED = [
    pytest.param(golden(0.0), "GOLDEN_ROW_FAILED", "the model gave", id="another answer than at training"),
    pytest.param(with_class("org.apache.spark.ml.feature.Foo"), "NOT_COMPILED", "Foo.*docs/compiled", id="a new class"),
    pytest.param(with_class("com.example.Stage"), "STAGE_NOT_ALLOWED", "com.example.Stage", id="a class of somebody's"),
    pytest.param(without_rows, "CORRUPT_FILES", "no Parquet file", id="a file is missing"),
]


@pytest.mark.parametrize(("change", "code", "message"), REFUSED)
def test_a_version_is_refused_with_what_is_wrong_with_it(
    tmp_path: Path, change: Change, code: str, message: str
) -> None:
    with pytest.raises(CandidateRefusedError, match=message) as refusal:
        loaded(change(flight_package(tmp_path)))
    assert refusal.value.reason is RefusalCode[code]


def test_a_golden_row_on_which_it_throws_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(CandidateRefusedError, match="throws on the golden rows") as refusal:
        loaded(golden(1.0, carrier="ZZ")(flight_package(tmp_path, stages=STRICT)))
    assert refusal.value.reason is RefusalCode.TRIAL_FAILED


def test_a_version_says_what_its_answers_were_compared_with(tmp_path: Path) -> None:
    assert loaded(flight_package(tmp_path / "a")).choice.why == "its answers are those of 1 golden rows, within 1.0e-06"
    assert "has no golden rows" in loaded(flight_package(tmp_path / "b", golden=None)).choice.why


def test_it_scores_records_and_refuses_frames(tmp_path: Path) -> None:
    model = loaded(flight_package(tmp_path))
    assert model.row_pass is not None
    rows = model.row_pass.score(records(b'{"event_id":"e","event_time":"2013-01-01T05:15:00Z","hour":20}', b"{"))
    assert rows.column(c.PREDICTION).to_pylist() == [1.0, None]
    assert model.scorer.is_proven
    with pytest.raises(ScoringError, match="has no Spark"):
        model.scorer.score(cast(Any, "a frame"))
    assert model.scorer.tried(event()).is_proven
    model.scorer.release()


X = Signature((Column("x", "double"), Column("n", "long"), Column("word", "string")))
INDEXER: Stage = ("feature.StringIndexerModel", {"handleInvalid": "error", "inputCol": "word", "outputCol": "w"})
ENCODER: Stage = (
    "feature.OneHotEncoderModel",
    {"handleInvalid": "error", "dropLast": True, "inputCols": ["n"], "outputCols": ["v"]},
)


def bucketizer(splits: list[float], invalid: str = "error") -> Stage:
    return ("feature.Bucketizer", {"handleInvalid": invalid, "inputCol": "x", "outputCol": "b", "splits": splits})


GUARDS = [
    pytest.param([INDEXER], [NotNull("word"), InVocabulary("word", ("p", "q"))], id="an indexer"),
    pytest.param([ENCODER], [NotNull("n"), InRange("n", 0.0, 3.0, open_end=True)], id="an encoder"),
    pytest.param(
        [bucketizer([0.0, 1.0, 9.0])], [NotNull("x"), InRange("x", 0.0, 9.0, zero_below=True)], id="a bucketizer"
    ),
    pytest.param([bucketizer([-0.0, 9.0], "keep")], [InRange("x", -0.0, 9.0)], id="a bucketizer that keeps nulls"),
    pytest.param([*STAGES], [], id="a pipeline that takes everything"),
]
FITTED: dict[str, dict[str, Any]] = {
    "feature.StringIndexerModel": {"labelsArray": [["p", "q"]]},
    "feature.OneHotEncoderModel": {"categorySizes": [3]},
}


@pytest.mark.parametrize(("stages", "guards"), GUARDS)
def test_values_on_which_a_saved_stage_throws_are_known_from_its_files(
    tmp_path: Path, stages: list[Stage], guards: list[Any]
) -> None:
    folder = save_pipeline(tmp_path / "model", stages, FITTED)
    assert list(saved_guards(read_stages(folder), X)) == guards
