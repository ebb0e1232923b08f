"""MLflow's input example, in the shapes that it is logged in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streaming.models.cache import CachedModel
from streaming.models.examples import read_examples
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelVersion
from streaming.settings import ModelSettings
from tests.support.versions import SPARK, version_files

INFO = {"artifact_path": "input_example.json", "type": "dataframe", "pandas_orient": "split"}


def examples(tmp_path: Path, text: str, info: Any = INFO) -> tuple[dict[str, Any], ...]:
    (tmp_path / "input_example.json").write_text(text)
    return read_examples(tmp_path, {"saved_input_example_info": info})


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param('{"columns": ["x", "w"], "data": [[1.5, "a"], [NaN, null]]}',
                     ({"x": 1.5, "w": "a"}, {"x": None, "w": None}), id="a data frame"),
        pytest.param('{"x": 1.0}', ({"x": 1.0},), id="a row"),
        pytest.param('[{"x": 1.0}, {"x": 2}]', ({"x": 1.0}, {"x": 2}), id="a list of rows"),
        pytest.param("[[1.0]]", (), id="an array"),
        pytest.param('{"columns": ["x"], "data": 3}', (), id="a data frame of another shape"),
        pytest.param("{", (), id="no JSON"),
        pytest.param("3", (), id="a number"),
    ],
)  # fmt: skip
def test_the_rows_of_an_example_are_read(text: str, rows: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    assert examples(tmp_path, text) == rows


@pytest.mark.parametrize(
    "info",
    [None, {}, {"artifact_path": None}, {"artifact_path": "../x.json"}, {"artifact_path": "absent.json"}],
    ids=repr,
)
def test_a_version_without_an_example_of_its_own_has_no_rows(info: Any, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"x": 1.0}')
    (tmp_path / "model").mkdir()
    assert examples(tmp_path / "model", '{"x": 1.0}', info) == ()


def test_a_package_has_the_example_that_was_logged_with_it(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model", saved_input_example_info=INFO)
    (root / "input_example.json").write_text(json.dumps({"columns": ["distance"], "data": [[3.0]]}))
    package = PackageReader(ModelSettings(), SPARK).read(
        CachedModel(root, ModelVersion("flights", 3), "0" * 64), ["spark"]
    )
    assert package.examples == ({"distance": 3.0},)
