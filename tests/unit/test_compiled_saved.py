"""A saved pipeline is read from its files alone; what is damaged, unknown or missing is refused by name."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import StageUnreadableError
from streaming.scoring.compiled.fitted import matrix, scalar
from streaming.scoring.compiled.saved import SavedStage, read_stages
from tests.support.late_flights import FITTED, STAGES, saved
from tests.support.laws import examples
from tests.support.saved import Stage, save_pipeline, write_metadata, write_rows


def test_parameters_that_were_not_set_have_their_defaults_and_infinities_are_numbers(tmp_path: Path) -> None:
    splits = ["-Inf", 0, 1.5, "Inf"]
    (stage,) = read_stages(saved(tmp_path, [("feature.Bucketizer", {"splits": splits})], {}))
    assert (stage.number("threshold"), stage.numbers("splits")) == (0.9, [-math.inf, 0.0, 1.5, math.inf])


def test_stages_come_in_their_order_and_nested_pipelines_are_opened(tmp_path: Path) -> None:
    many: list[Stage] = [("feature.Binarizer", {"at": number}) for number in range(11)]
    model = saved(tmp_path, many, {})
    inner = next((model / "stages").glob("03_*"))
    shutil.rmtree(inner)
    save_pipeline(inner, [("feature.Binarizer", {"at": "inner"})], {})
    assert [stage.parameters["at"] for stage in read_stages(model)] == [0, 1, 2, "inner", *range(4, 11)]


def test_of_a_tuned_model_the_best_one_scores(tmp_path: Path) -> None:
    write_metadata(tmp_path / "tuned", "tuning.CrossValidatorModel", {}, uid="cv")
    save_pipeline(tmp_path / "tuned" / "bestModel", STAGES, FITTED)
    assert len(read_stages(tmp_path / "tuned")) == len(STAGES)


def metadata(model: Path, stage: str) -> Path:
    return next(model.glob(f"stages/*{stage}*/metadata/part-*"))


def parquet(model: Path, stage: str) -> Path:
    return next(model.glob(f"stages/*{stage}*/data/part-*"))


def filler(model: Path) -> float:
    """Read every stage, and one fitted value of the Imputer."""
    imputer = read_stages(model)[2]
    return scalar(imputer, imputer.row(), "temp")


def test_a_fitted_value_is_read(tmp_path: Path) -> None:
    assert filler(saved(tmp_path)) == 60.0


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no metadata": (lambda model: shutil.rmtree(metadata(model, "Imputer").parent), "not one JSON object"),
    "half the metadata": (lambda model: metadata(model, "Imputer").write_text('{"class": "a'), "cannot be read"),
    "a list": (lambda model: metadata(model, "Imputer").write_text("[]"), "not one JSON object"),
    "no class": (lambda model: metadata(model, "Imputer").write_text('{"uid": "a"}'), "no class or no uid"),
    "no parameters": (
        lambda model: metadata(model, "Imputer").write_text('{"uid": "a", "class": "b"}'),
        "no parameters or no defaults",
    ),
    "metadata in deep brackets": (lambda model: metadata(model, "Imputer").write_text("[" * 100_000), "cannot be read"),
    "not UTF-8": (lambda model: metadata(model, "Imputer").write_bytes(b'"\xff"'), "cannot be read"),
    "no fitted values": (lambda model: parquet(model, "Imputer").unlink(), "no Parquet file in data"),
    "half the fitted values": (
        lambda model: parquet(model, "Imputer").write_bytes(parquet(model, "Imputer").read_bytes()[:100]),
        "cannot be read",
    ),
    "two rows": (lambda model: rewritten(model, "Imputer", {"temp": 1.0}, {"temp": 2.0}), "2 rows of fitted values"),
    "another column": (lambda model: rewritten(model, "Imputer", {"other": 1.0}), "no fitted value temp"),
    "another type": (lambda model: rewritten(model, "Imputer", {"temp": "1.0"}), "not a number"),
    "a stage is gone": (lambda model: shutil.rmtree(metadata(model, "Imputer").parents[1]), "not one JSON object"),
}  # fmt: skip


def rewritten(model: Path, stage: str, *rows: dict[str, Any]) -> None:
    folder = parquet(model, stage).parent
    shutil.rmtree(folder)
    write_rows(folder, *rows)


@pytest.mark.parametrize(("damage", "why"), [pytest.param(*case, id=name) for name, case in DAMAGES.items()])
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[Path], object], why: str) -> None:
    model = saved(tmp_path)
    damage(model)
    with pytest.raises(StageUnreadableError, match=why):
        filler(model)


def test_a_uid_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    write_metadata(tmp_path / "model", "PipelineModel", {"stageUids": ["x/../../../other"]}, uid="p")
    with pytest.raises(StageUnreadableError, match="not the name of a folder"):
        read_stages(tmp_path / "model")


def test_an_error_survives_a_process_boundary() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(StageUnreadableError("a", "b", "c")))
    assert (type(error), error.stage, error.kind, error.detail) == (StageUnreadableError, "a", "b", "c")


STAGE = SavedStage("lr", "LogisticRegressionModel", {}, Path())
DENSE = {"type": 1, "numRows": 2, "numCols": 3, "values": [1.0, 4.0, 2.0, 5.0, 0.0, 6.0], "isTransposed": False}
SPARSE = DENSE | {
    "type": 0,
    "colPtrs": [0, 2, 4, 5],
    "rowIndices": [0, 1, 0, 1, 1],
    "values": [1.0, 4.0, 2.0, 5.0, 6.0],
}
BY_ROW = SPARSE | {"colPtrs": [0, 2, 5], "rowIndices": [0, 1, 0, 1, 2], "values": [1.0, 2.0, 4.0, 5.0, 6.0]}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(DENSE, id="dense, by column"),
        pytest.param(DENSE | {"values": [1.0, 2.0, 0.0, 4.0, 5.0, 6.0], "isTransposed": True}, id="dense, by row"),
        pytest.param(SPARSE, id="sparse, by column"),
        pytest.param(BY_ROW | {"isTransposed": True}, id="sparse, by row"),
    ],
)
def test_a_matrix_is_the_same_in_every_form(value: dict[str, Any]) -> None:
    assert matrix(STAGE, {"m": value}, "m").tolist() == [[1.0, 2.0, 0.0], [4.0, 5.0, 6.0]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"type": 2}, id="an unknown form"),
        pytest.param({"values": [1.0]}, id="too few values"),
        pytest.param({"colPtrs": [0, 2]}, id="too few columns"),
        pytest.param({"colPtrs": [0, 2, 1, 5]}, id="columns that go back"),
        pytest.param({"rowIndices": [0, 1, 0, 1, 7]}, id="a row that does not exist"),
        pytest.param({"rowIndices": [0, 1, 0, 1, -1]}, id="a negative row"),
        pytest.param({"numRows": "two"}, id="another type"),
        pytest.param({"values": [1.0, None, 2.0, 5.0, 6.0]}, id="a null among the values"),
        pytest.param({"values": [1.0, "4.0", 2.0, 5.0, 6.0]}, id="text among the values"),
    ],
)
def test_a_matrix_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StageUnreadableError, match="fitted value m is not a matrix"):
        matrix(STAGE, {"m": SPARSE | change}, "m")


@given(st.sampled_from(["Indexer", "Regression", "model"]), st.integers(0, 5_000), st.binary(max_size=4))
@examples(40)
def test_changed_bytes_are_refused_or_read_as_they_are(stage: str, at: int, junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = saved(Path(folder))
        file = next((model / "metadata").iterdir()) if stage == "model" else metadata(model, stage)
        whole = file.read_bytes()
        at %= len(whole)
        file.write_bytes(whole[:at] + junk + whole[at + max(len(junk), 1) :])
        try:
            stages = read_stages(model)
        except StageUnreadableError:
            return
        # A changed text may be another valid text; a changed list of stages may be shorter, and never longer.
        assert len(stages) <= len(STAGES)
        assert all(stage.folder.is_relative_to(model) for stage in stages)
