"""A version's description may say anything: its model is read from its own files alone, and nothing of it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import pyarrow as pa
import pytest
import yaml

from streaming.errors import CandidateRefusedError
from streaming.scoring.flavours import loader, scorer
from streaming.scoring.flavours.flavour import SavedModel
from streaming.scoring.flavours.table import FLAVOURS
from tests.support.flavours import SIGNATURE, answers, batch, described, features, flights, predicted, saved, scorer_of

EVIL = "open({!r}, 'w').write('it ran')"


@pytest.fixture(scope="module")
def booster() -> lightgbm.Booster:
    data = lightgbm.Dataset(features(), flights()["late"])
    return lightgbm.train({"objective": "binary", "verbose": -1, "num_leaves": 7}, data, num_boost_round=3)


@pytest.fixture
def root(booster: lightgbm.Booster, tmp_path: Path) -> Path:
    return saved("lightgbm", booster, tmp_path / "model")


def edit(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    description = yaml.safe_load((root / "MLmodel").read_text())
    change(description["flavors"])
    (root / "MLmodel").write_text(yaml.safe_dump(description))


def test_a_loader_module_and_code_beside_the_model_are_not_imported(root: Path, booster: lightgbm.Booster) -> None:
    ran = root.parent / "ran"
    (root / "code").mkdir()
    for module in (root / "code" / "evil_loader.py", root / "evil_loader.py"):
        module.write_text(EVIL.format(str(ran)))
    edit(root, lambda flavors: flavors["python_function"].update(loader_module="evil_loader", data="code"))
    path = list(sys.path)
    actual = answers(scorer_of(root), batch())
    assert actual["prediction"] == (predicted(booster) > 0.5).astype(float).tolist()
    assert (ran.exists(), "evil_loader" in sys.modules, sys.path) == (False, False, path)


@pytest.mark.parametrize("flavor", ["lightgbm", "python_function"])
def test_a_version_that_brings_code_is_refused(root: Path, flavor: str) -> None:
    edit(root, lambda flavors: flavors[flavor].update(code="code"))
    with pytest.raises(CandidateRefusedError, match=f"NEEDS_CODE: its {flavor} flavor brings Python code"):
        described(root)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("../outside.lgb", id="beside the version"),
        pytest.param("/etc/hostname", id="an absolute path"),
        pytest.param("penstock/../../outside.lgb", id="by way of a folder"),
        pytest.param("linked.lgb", id="a link that leads out"),
        pytest.param("own.lgb", id="a link to a file of its own"),
        pytest.param("folder/outside.lgb", id="in a folder that is a link"),
        pytest.param("model.lgb\0", id="a null character"),
        pytest.param(".", id="the folder itself"),
        pytest.param(["model.lgb"], id="no text"),
        pytest.param(None, id="no file"),
        pytest.param("lost.lgb", id="a file that is not there"),
    ],
)
def test_a_file_that_is_not_the_versions_own_is_not_read(root: Path, name: object) -> None:
    (root.parent / "outside.lgb").write_bytes((root / "model.lgb").read_bytes())
    (root / "linked.lgb").symlink_to(root.parent / "outside.lgb")
    (root / "own.lgb").symlink_to(root / "model.lgb")
    (root / "folder").symlink_to(root.parent)
    edit(root, lambda flavors: flavors["lightgbm"].update(data=name))
    package = described(root)
    with pytest.raises(CandidateRefusedError, match=r"MALFORMED.*; log the model again"):
        loader.saved_model(package)


def test_a_file_of_a_folder_within_the_version_is_read(root: Path) -> None:
    (root / "data").mkdir()
    (root / "model.lgb").rename(root / "data" / "model.lgb")
    edit(root, lambda flavors: flavors["lightgbm"].update(data="data/model.lgb"))
    assert loader.saved_model(described(root)).content.startswith(b"tree")


def test_a_file_that_is_too_large_is_not_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "MOST_BYTES", 1000)
    with pytest.raises(CandidateRefusedError, match=r"MALFORMED: model\.lgb has more than"):
        loader.saved_model(described(root))


def test_two_versions_of_the_same_files_are_one_model_and_others_are_not(root: Path) -> None:
    model = loader.saved_model(described(root))
    again = loader.saved_model(described(root, version=2))
    assert (model, hash(model)) == (again, hash(again))
    assert replace(model, digest="0" * 64) != model


@pytest.mark.parametrize("flavor", FLAVOURS)
def test_a_missing_library_is_refused_with_the_line_that_installs_it(
    flavor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, FLAVOURS[flavor].library, None)  # so that its import fails
    model = SavedModel(flavor, "", SIGNATURE, "0" * 64, b"")
    (report,) = scorer._report(model, iter([pa.record_batch({"id": [0]})]))
    (answer,) = report.to_pylist()
    assert answer["code"] == "LIBRARY_MISSING"
    assert answer["text"].endswith(f'pip install "penstock[{flavor}]"')
