"""Models that are code: refused unless they are allowed, and then run in a process that may die."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from streaming.errors import CandidateRefusedError, ScoringError
from streaming.models.package import CODE_FLAVOR, ModelPackage
from streaming.models.signature import Signature
from streaming.scoring.code.answers import model_answers, model_input
from streaming.scoring.code.files import packed, unpack
from streaming.scoring.flavours.loader import read_scorer
from streaming.scoring.flavours.scorer import NativeScorer, reading_report
from streaming.settings import ModelSettings
from tests.support.eventually import eventually
from tests.support.flavours import ODD_CODE, answers, batch, described, features, flights, saved, saved_code

SECONDS = 2.0


def distances(*values: float) -> pa.RecordBatch:
    return batch(pd.DataFrame({"distance": values}))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> NativeScorer:
    package = described(saved_code(tmp_path_factory.mktemp("code") / "model", ODD_CODE), code=True)
    scorer, choice = read_scorer(package, SECONDS, lambda _: "mlflow")
    assert (choice.kind, choice.why) == ("pyfunc", "its own code runs in a process of its own, by mlflow")
    return scorer


@pytest.mark.long
@pytest.mark.parametrize(
    ("distance", "says"),
    [
        pytest.param(1.0, "ValueError: a distance of one", id="it raises"),
        pytest.param(2.0, r"the process of the model's code died of it \(exit code 7\)", id="it dies"),
        pytest.param(3.0, r"took longer than 2 s \(model.code_seconds\)", id="it hangs"),
    ],
)
def test_whatever_the_code_does_only_its_batch_fails(odd: NativeScorer, distance: float, says: str) -> None:
    with pytest.raises(ScoringError, match=says):
        odd.score(distances(10.0, distance))
    assert answers(odd, distances(10.0, 0.5))["prediction"] == [20.0, 1.0]


@pytest.mark.long
def test_the_code_runs_in_another_process_which_ends_when_it_is_not_used_any_more(tmp_path: Path) -> None:
    from streaming.scoring.code.process import ModelProcess

    root = saved_code(tmp_path / "model", ODD_CODE)
    process = ModelProcess(packed(root, 1 << 20), CODE_FLAVOR, SECONDS)
    (pid,) = process.answer(distances(4.0)).column(0).to_pylist()
    assert pid != os.getpid()
    assert Path(f"/proc/{int(pid)}").exists()
    del process
    eventually(lambda: not Path(f"/proc/{int(pid)}").exists())


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "reason", "says"),
    [
        pytest.param("import no_such_module", "LIBRARY_MISSING", "needs the module no_such_module, which", id="module"),
        pytest.param("raise ValueError('no')", "CORRUPT_FILES", "the model's code cannot be loaded: ", id="raises"),
        pytest.param("import os; os._exit(3)", "CORRUPT_FILES", "its process died while it was loaded", id="dies"),
    ],
)
def test_code_that_cannot_be_loaded_is_refused_with_the_reason(
    tmp_path: Path, code: str, reason: str, says: str
) -> None:
    root = saved_code(tmp_path / "model", ODD_CODE)
    (root / "model.py").write_text(code)
    scorer, _ = read_scorer(described(root, code=True), SECONDS, lambda _: "mlflow")
    refusal, text = reading_report(scorer.saved)
    assert refusal == reason
    assert says in text


@pytest.mark.long
def test_a_pickled_estimator_gives_its_probabilities(tmp_path: Path) -> None:
    model = DecisionTreeClassifier(max_depth=3).fit(features().fillna(0.0), flights()["kind"])
    root = saved("sklearn", model, tmp_path / "model", serialization_format="cloudpickle")
    package = described(root, code=True)
    scorer, _ = read_scorer(package, SECONDS * 10, lambda _: "mlflow")
    actual = answers(scorer, batch(features().fillna(0.0)))
    assert actual["probability"] == model.predict_proba(features().fillna(0.0)).tolist()
    assert actual["prediction"] == model.predict(features().fillna(0.0)).astype(float).tolist()


def package_of(tmp_path: Path, flavor: str) -> ModelPackage:
    if flavor == "sklearn":
        model = LogisticRegression().fit(features()[["distance"]], flights()["late"])
        signature = Signature.from_config({"distance": "double"})
        return described(saved("sklearn", model, tmp_path / "m", signature, serialization_format="pickle"))
    return described(saved_code(tmp_path / "m", ODD_CODE))


@pytest.mark.parametrize("flavor", ["sklearn", "python_function"])
def test_code_that_is_not_allowed_is_refused_with_the_setting_that_allows_it(tmp_path: Path, flavor: str) -> None:
    with pytest.raises(CandidateRefusedError, match=r"Or set model\.allow_code to true, which runs the version's own"):
        read_scorer(package_of(tmp_path, flavor), None, lambda _: "")


def test_code_beside_a_model_is_run_where_it_is_allowed(tmp_path: Path) -> None:
    root = saved_code(tmp_path / "m", ODD_CODE)
    description = yaml.safe_load((root / "MLmodel").read_text())
    description["flavors"] |= {"sklearn": {"serialization_format": "skops", "pickled_model": "x", "code": "code"}}
    (root / "MLmodel").write_text(yaml.safe_dump(description))
    with pytest.raises(CandidateRefusedError, match=r"NEEDS_CODE: .* without code_paths\. Or set model\.allow_code"):
        described(root)
    assert described(root, code=True).flavor == CODE_FLAVOR


def test_the_scorer_pyfunc_needs_the_setting_that_allows_code() -> None:
    with pytest.raises(ValidationError, match=r"set model\.allow_code to true"):
        ModelSettings(scorer="pyfunc")
    assert ModelSettings(scorer="pyfunc", allow_code=True).scorer == "pyfunc"


FRAME = pd.DataFrame({"prediction": [1, 0], "probability": [[0.25, 0.75], [0.9, 0.1]], "label": ["late", "fine"]})


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        pytest.param(np.array([1, 2]), [(1.0, None, None), (2.0, None, None)], id="an array"),
        pytest.param(np.array([[0.5], [1.5]]), [(0.5, None, None), (1.5, None, None)], id="a column"),
        pytest.param(pd.Series([True, False]), [(1.0, None, None), (0.0, None, None)], id="booleans"),
        pytest.param([3, 4.5], [(3.0, None, None), (4.5, None, None)], id="a list"),
        pytest.param(FRAME, [(1.0, [0.25, 0.75], "late"), (0.0, [0.9, 0.1], "fine")], id="a frame"),
        pytest.param(FRAME[["prediction"]], [(1.0, None, None), (0.0, None, None)], id="a frame of one column"),
    ],
)
def test_what_the_code_returns_becomes_answers(answer: Any, rows: list[tuple[Any, ...]]) -> None:
    made = model_answers(answer, 2)
    assert [tuple(row.values())[:3] for row in made.to_pylist()] == rows


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(np.zeros(3), id="three rows"),
        pytest.param(np.zeros((2, 2)), id="two numbers for each"),
        pytest.param(["late", "fine"], id="texts"),
        pytest.param({"a": 1}, id="an object"),
        pytest.param(FRAME.assign(probability=[0.1, 0.2]), id="a single probability"),
        pytest.param(pd.concat([FRAME, FRAME]), id="a frame of four rows"),
    ],
)
def test_what_says_no_number_for_each_event_is_no_answer(answer: Any) -> None:
    with pytest.raises(ValueError, match=r"the model gives|the column probability"):
        model_answers(answer, 2)


def test_lists_of_numbers_are_arrays_as_mlflow_has_them() -> None:
    points = pa.array([[1.0, 2.0], [3.0, 4.0]])
    alone = model_input(pa.record_batch({"inputs": points}))
    assert alone.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    named = model_input(pa.record_batch({"point": points, "seats": pa.array([1, 2])}))
    assert {name: array.tolist() for name, array in named.items()} == {"point": alone.tolist(), "seats": [1, 2]}


def test_a_folder_travels_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.json").write_text(json.dumps([1]))
    unpack(packed(tmp_path / "a", 100), tmp_path / "copy")
    assert (tmp_path / "copy" / "b" / "c.json").read_text() == "[1]"
    with pytest.raises(CandidateRefusedError, match="MALFORMED"):
        packed(tmp_path / "a", 2)
    (tmp_path / "a" / "link").symlink_to("/etc/passwd")
    with pytest.raises(CandidateRefusedError, match="has a link"):
        packed(tmp_path / "a", 100)
