"""What a version's files may look like, and what each refusal says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from streaming.errors import CandidateRefusedError
from streaming.models.cache import CachedModel
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.reader import PackageReader
from streaming.models.ref import ModelVersion
from streaming.models.signature import Column
from streaming.settings import ModelSettings
from tests.support.versions import SPARK, version_files

VERSION = ModelVersion("flights", 3)


def read(root: Path, settings: ModelSettings | None = None, served: Sequence[str] = ("spark",)) -> ModelPackage:
    return PackageReader(settings or ModelSettings(), SPARK).read(CachedModel(root, VERSION, "0" * 64), served)


def test_a_whole_version_is_described(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model")
    golden = GoldenRows((GoldenRow({"distance": 1.0}, 1.0, (0.2, 0.8)),))
    profile = ReferenceProfile((ColumnProfile("distance", "numeric", {0: 3, 1: 4}, edges=(10.0,)),), 7)
    (root / "penstock").mkdir()
    (root / "penstock" / "golden.json").write_text(golden.to_json())
    (root / "penstock" / "profile.json").write_text(profile.to_json())
    package = read(root)
    assert package.pipeline_dir == (root / "sparkml").resolve()
    assert package.signature.names == ("distance",)
    assert package.golden == golden
    assert package.profile == profile
    assert package.pyspark_version == SPARK


def test_golden_rows_and_profile_are_optional(tmp_path: Path) -> None:
    package = read(version_files(tmp_path / "model"))
    assert package.golden is None
    assert package.profile is None


def test_a_model_without_signature_serves_with_columns_from_the_settings(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model", signature=None)
    assert read(root, ModelSettings(features={"gust": "double?"})).signature.names == ("gust",)


def tensor(shape: list[int], dtype: str, **more: Any) -> dict[str, Any]:
    """A tensor of a signature, as MLflow writes it."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}, **more}


@pytest.mark.parametrize(
    ("entries", "columns"),
    [
        pytest.param(
            [tensor([-1, 4], "float32")],
            [Column(name="inputs", type="float", length=4)],
            id="a tensor without a name",
        ),
        pytest.param(
            [tensor([-1, 2], "int64", name="x"), tensor([-1], "float64", name="y")],
            [Column(name="x", type="long", length=2), Column("y", "double")],
            id="tensors with names",
        ),
        pytest.param(
            [
                {"type": "sparkml_vector", "name": "v", "required": True},
                {"type": "array", "items": {"type": "float"}, "name": "a", "required": False},
                {"type": "string", "name": "s", "required": True},
            ],
            [
                Column(name="v", type="double", length=3, is_vector=True),
                Column(name="a", type="float", required=False, length=2),
                Column("s", "string"),
            ],
            id="a vector and an array, which the input example measures",
        ),
    ],
)
def test_lists_of_numbers_are_columns_of_a_length(
    tmp_path: Path, entries: list[dict[str, Any]], columns: list[Column]
) -> None:
    example = {"columns": ["v", "a", "s"], "data": [[[1, 2, 3], [1, 2], "x"], [[1.0, 2.0, 3.0], None, "y"]]}
    changes: dict[str, Any] = {"saved_input_example_info": {"artifact_path": "example.json"}}
    root = version_files(tmp_path / "model", signature={"inputs": json.dumps(entries)}, **changes)
    (root / "example.json").write_text(json.dumps(example))
    assert read(root).signature.columns == tuple(columns)


def test_lists_of_other_lengths_in_the_golden_rows_and_the_example_measure_nothing(tmp_path: Path) -> None:
    entries = [{"type": "sparkml_vector", "name": "v", "required": True}]
    root = version_files(tmp_path / "model", signature={"inputs": json.dumps(entries)})
    (root / "penstock").mkdir()
    golden = GoldenRows((GoldenRow({"v": [1.0]}, 1.0), GoldenRow({"v": [1.0, 2.0]}, 1.0)))
    (root / "penstock" / "golden.json").write_text(golden.to_json())
    with pytest.raises(CandidateRefusedError, match="does not say how many numbers the column 'v' has"):
        read(root)


def test_a_profile_of_lists_is_refused(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model", signature={"inputs": json.dumps([tensor([-1, 2], "float64", name="x")])})
    (root / "penstock").mkdir()
    columns = (ColumnProfile("x", "numeric", {0: 3}), ColumnProfile("prediction", "numeric", {0: 3}))
    (root / "penstock" / "profile.json").write_text(ReferenceProfile(columns, 3).to_json())
    with pytest.raises(CandidateRefusedError, match=r"MALFORMED: .* has bins of x, a list of numbers"):
        read(root)


def spark_flavor(**changes: Any) -> dict[str, Any]:
    return {"spark": {"model_data": "sparkml", "pyspark_version": SPARK, **changes}}


@pytest.mark.parametrize(
    ("changes", "reason", "says"),
    [
        pytest.param({"signature": None}, "MISSING_SIGNATURE", "model.features", id="no signature"),
        pytest.param({"signature": {"inputs": None}}, "MISSING_SIGNATURE", "infer_signature", id="outputs only"),
        pytest.param({"signature": {"inputs": "[{"}}, "MALFORMED", "signature", id="signature is not JSON"),
        pytest.param({"signature": {"inputs": '{"a": 1}'}}, "MALFORMED", "signature", id="signature is no list"),
        pytest.param(
            {"signature": {"inputs": json.dumps([{"type": "tensor", "tensor-spec": {}}])}},
            "SIGNATURE_UNSUPPORTED",
            "'inputs' has the shape None and the type None; an event can carry numbers",
            id="a tensor without a shape",
        ),
        *(
            pytest.param(
                {"signature": {"inputs": json.dumps([tensor(shape, dtype)])}},
                "SIGNATURE_UNSUPPORTED",
                says,
                id=f"a tensor of {dtype}, {shape}",
            )
            for shape, dtype, says in [
                ([-1, 28, 28], "float32", "has the shape [-1, 28, 28] and the type float32"),
                ([-1, 3], "bool", "has the shape [-1, 3] and the type bool"),
                ([3], "float64", "has the shape [3] and the type float64"),
                ([-1, -1], "float64", "has -1 numbers; an event can carry 1 to 100000"),
            ]
        ),
        pytest.param(
            {"signature": {"inputs": json.dumps([{"type": "sparkml_vector", "name": "features", "required": True}])}},
            "SIGNATURE_UNSUPPORTED",
            "does not say how many numbers the column 'features' has; log the version with an input_example",
            id="a vector of unknown length",
        ),
        pytest.param(
            {"signature": {"inputs": json.dumps([{"type": "array", "items": {"type": "string"}, "name": "words"}])}},
            "SIGNATURE_UNSUPPORTED",
            "'words' is an array of string; an event can carry arrays of double, float, long, integer",
            id="an array of text",
        ),
        pytest.param(
            {"flavors": {"sklearn": {}}}, "FLAVOR_UNSUPPORTED", "it has: sklearn; served: spark", id="another flavor"
        ),
        pytest.param({"flavors": None}, "FLAVOR_UNSUPPORTED", "it has: none; served: spark", id="no flavors"),
        pytest.param({"flavors": spark_flavor(code="code")}, "NEEDS_CODE", "code_paths", id="spark flavor with code"),
        pytest.param(
            {"flavors": {**spark_flavor(), "python_function": {"code": "code"}}},
            "NEEDS_CODE",
            "python_function",
            id="pyfunc flavor with code",
        ),
        pytest.param({"flavors": spark_flavor(pyspark_version="5.0.1")}, "SPARK_TOO_NEW", "5.0.1", id="newer major"),
        pytest.param({"flavors": spark_flavor(pyspark_version="dev")}, "MALFORMED", "dev", id="unreadable version"),
        pytest.param({"flavors": spark_flavor(model_data=None)}, "MALFORMED", "model_data", id="no model_data"),
        pytest.param({"flavors": spark_flavor(model_data="../other")}, "MALFORMED", "outside", id="climbs out"),
        pytest.param({"flavors": spark_flavor(model_data="/etc")}, "MALFORMED", "outside", id="absolute path"),
        pytest.param({"flavors": spark_flavor(model_data=".")}, "MALFORMED", "outside", id="the root itself"),
        pytest.param({"flavors": spark_flavor(model_data="lost")}, "MALFORMED", "lost/metadata", id="files missing"),
    ],
)
def test_a_version_that_cannot_serve_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], reason: str, says: str
) -> None:
    with pytest.raises(CandidateRefusedError) as refusal:
        read(version_files(tmp_path / "model", **changes))
    assert refusal.value.reason.name == reason
    assert says in refusal.value.detail


@pytest.mark.parametrize(
    ("served", "flavor", "folder"),
    [
        pytest.param(["spark"], "spark", "sparkml", id="the only one that is served"),
        pytest.param(["spark", "sklearn"], "spark", "sparkml", id="the first of both that are"),
        pytest.param(["sklearn", "spark"], "sklearn", "", id="the first of both, in the other order"),
        pytest.param(["onnx", "sklearn"], "sklearn", "", id="the only one that it has"),
    ],
)
def test_a_version_in_several_flavors_is_loaded_by_the_first_that_is_served(
    tmp_path: Path, served: list[str], flavor: str, folder: str
) -> None:
    root = version_files(tmp_path / "model", flavors={**spark_flavor(), "sklearn": {"pickled_model": "model.pkl"}})
    package = read(root, served=served)
    assert (package.flavor, package.pipeline_dir) == (flavor, (root / folder).resolve())


def test_a_flavor_that_is_not_served_is_refused_with_the_names_of_those_that_are(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model", flavors={"xgboost": {}, "python_function": {}})
    with pytest.raises(CandidateRefusedError, match="it has: python_function, xgboost; served: spark, onnx"):
        read(root, served=["spark", "onnx"])


def test_a_description_with_a_section_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model")
    with (root / "MLmodel").open("a") as description:
        description.write("signature: {inputs: null}\n")
    with pytest.raises(CandidateRefusedError, match=r"MLmodel cannot be read: the key signature .* in lines \d and \d"):
        read(root)


@pytest.mark.parametrize(
    "version", ["3.5.1", "4.2.0", "4.9.9", None], ids=["older", "same", "newer minor", "not recorded"]
)
def test_spark_of_the_same_major_or_an_older_one_is_accepted(tmp_path: Path, version: str | None) -> None:
    assert (
        read(version_files(tmp_path / "model", flavors=spark_flavor(pyspark_version=version))).pyspark_version
        == version
    )


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model")
    version_files(tmp_path / "other")
    (root / "linked").symlink_to(tmp_path / "other" / "sparkml")
    (root / "MLmodel").write_text((root / "MLmodel").read_text().replace("model_data: sparkml", "model_data: linked"))
    with pytest.raises(CandidateRefusedError, match="outside"):
        read(root)


@pytest.mark.parametrize("text", ["", "[1]", "flavors: {", "!!python/object:os.system {}", "\x00"], ids=repr)
def test_an_mlmodel_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    root = version_files(tmp_path / "model")
    (root / "MLmodel").write_text(text)
    with pytest.raises(CandidateRefusedError, match="MALFORMED"):
        read(root)


def test_a_missing_mlmodel_file_is_refused(tmp_path: Path) -> None:
    root = version_files(tmp_path / "model")
    (root / "MLmodel").unlink()
    with pytest.raises(CandidateRefusedError, match=r"MALFORMED.*log the model again"):
        read(root)


@pytest.mark.parametrize("name", ["golden.json", "profile.json"])
@pytest.mark.parametrize("text", ["{", "{}", "[]", "null", '{"schema_version": 9}', '{"schema_version": 1}'], ids=repr)
def test_a_broken_companion_file_is_refused(tmp_path: Path, name: str, text: str) -> None:
    root = version_files(tmp_path / "model")
    (root / "penstock").mkdir()
    (root / "penstock" / name).write_text(text)
    with pytest.raises(CandidateRefusedError, match=f"MALFORMED: {name}"):
        read(root)
