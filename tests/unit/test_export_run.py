"""A version's export: its variants, the report, the example that needs only the runtime, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from jobs.verbs.export.options import ExportOptions
from jobs.wiring.extras import require_extra
from streaming.errors import ConfigurationError, ExportRefusedError, SetupError, StageNotCompiledError
from streaming.export.agreement import Agreement
from streaming.export.compared_events import compared_events
from streaming.export.exporting import ExportOrder, export, write
from streaming.export.form import onnx_form
from streaming.export.precisions import Precision
from streaming.export.variants import Variant
from streaming.models.arrow_types import feature_batch, feature_schema
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.profile import NULL_BIN, OTHER_BIN, ColumnProfile, ReferenceProfile
from streaming.models.ref import ModelVersion
from streaming.models.signature import Column, Signature
from streaming.scoring.compiled.saved import read_stages
from streaming.scoring.compiled.scorer import load_scorer
from tests.support.exports import assembled, dense
from tests.support.late_flights import EVENTS, FITTED, STAGES
from tests.support.saved import Stage, save_pipeline, write_rows

FLIGHTS = Signature(
    (Column("carrier", "string"), Column("hour", "long"), Column("temp", "double", required=False)),
)
FEW = ExportOrder(likely_events=500)
PROFILE = ReferenceProfile(
    (
        ColumnProfile("carrier", "categorical", {0: 60, 1: 30, OTHER_BIN: 10}, categories=("UA", "AA")),
        ColumnProfile("hour", "numeric", {0: 10, 1: 40, 2: 50}, edges=(5.0, 12.0), centres=(2.0, 9.0, 17.0)),
        ColumnProfile("temp", "numeric", {0: 50, 1: 40, NULL_BIN: 10}, edges=(50.0,), centres=(30.0, 70.0)),
    ),
    100,
)


def package(
    folder: Path,
    stages: Sequence[Stage] = STAGES,
    fitted: dict[str, dict[str, Any]] = FITTED,
    signature: Signature = FLIGHTS,
    events: Iterable[dict[str, Any]] = ({"carrier": "UA", "hour": 0, "temp": 10.0}, {"carrier": "AA", "hour": 20}),
) -> ModelPackage:
    """Return a version of which golden rows are what its compiled form answers."""
    made = ModelPackage(
        version=ModelVersion("flights", 3),
        root=folder,
        pipeline_dir=save_pipeline(folder / "model", stages, fitted),
        digest="0" * 64,
        signature=signature,
    )
    return with_golden(made, events)


def with_golden(made: ModelPackage, events: Iterable[dict[str, Any]]) -> ModelPackage:
    rows = list(events)
    scorer = load_scorer(made.pipeline_dir, feature_schema(made.signature))
    batch = feature_batch(made.signature, rows)
    answers = scorer.score(batch).to_pylist()
    golden = [
        GoldenRow(row, answer["__penstock_prediction"], tuple(answer["__penstock_probability"] or ()))
        for row, answer in zip(rows, answers, strict=True)
    ]
    return replace(made, golden=GoldenRows(tuple(golden)))


def run_with_the_runtime_alone(script: Path, site: Path) -> str:
    """Run a script where nothing but onnxruntime and numpy is installed."""
    site.mkdir()
    for name in ("numpy", "numpy.libs", "onnxruntime"):
        installed = Path(np.__file__).parents[1] / name
        if installed.exists():
            (site / name).symlink_to(installed)
    code = f"import runpy, sys; sys.path.append({str(site)!r}); runpy.run_path({str(script)!r})"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_needs_only_the_runtime_and_answers_as_the_version(tmp_path: Path) -> None:
    made = package(tmp_path)
    write(export(made, FEW, time.perf_counter), tmp_path / "edge")
    printed = run_with_the_runtime_alone(tmp_path / "edge" / "example.py", tmp_path / "site")
    answers = dict(line.split(" ", 1) for line in printed.splitlines())
    assert made.golden is not None
    first = made.golden.rows[0]
    assert json.loads(answers["prediction"]) == [first.prediction]
    assert json.loads(answers["probability"])[0] == pytest.approx(first.probability, abs=1e-15)
    assert answers["label"] == "['on time']"
    assert answers["rejected"] == "[False]"


def test_the_folder_has_both_precisions_and_a_report_of_how_they_agree(tmp_path: Path) -> None:
    made = replace(package(tmp_path), profile=PROFILE)
    write(export(made, ExportOrder(), time.perf_counter), tmp_path / "edge")
    report = json.loads((tmp_path / "edge" / "report.json").read_text())
    double, single = report["variants"]
    assert (double["precision"], single["precision"]) == ("float64", "float32")
    likely = double["likely_events"]
    assert (likely["events"], likely["rejected"], likely["mismatches"]) == (10_000, 0, 0)
    assert likely["largest_difference"] < 1e-12
    assert double["edge_events"]["mismatches"] == 0
    assert 0.0 < single["likely_events"]["largest_difference"] < 1e-5
    assert double["golden_rows"]["rows"] == 2
    assert double["golden_rows"]["largest_difference"] < 1e-15
    for variant in (double, single):
        content = (tmp_path / "edge" / variant["file"]).read_bytes()
        assert (variant["bytes"], variant["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert 0.0 < variant["microseconds_per_row"]["1000"] < variant["microseconds_per_row"]["1"]
    assert single["bytes"] < double["bytes"]
    assert "Spark did not run for this report" in report["reference"]
    assert "eight bits make nothing smaller" in report["left_out"]["int8"]
    assert sorted(path.name for path in (tmp_path / "edge").iterdir()) == [
        "example.py", "model.float32.onnx", "model.onnx", "report.json", "signature.json",
    ]  # fmt: skip


def test_a_column_that_is_named_as_an_answer_keeps_its_name(tmp_path: Path) -> None:
    signature = Signature((Column("prediction", "double"),))
    stages: list[Stage] = [
        assembled("prediction"),
        ("regression.LinearRegressionModel", {"featuresCol": "v", "predictionCol": "p"}),
    ]
    fitted = {"regression.LinearRegressionModel": {"intercept": 1.0, "coefficients": dense(2.0), "scale": 1.0}}
    made = package(tmp_path, stages, fitted, signature, [{"prediction": 4.0}])
    write(export(made, FEW, time.perf_counter), tmp_path / "edge")
    outputs = json.loads((tmp_path / "edge" / "signature.json").read_text())["outputs"]
    session = onnxruntime.InferenceSession(tmp_path / "edge" / "model.onnx")
    assert session.run([outputs["prediction"]], {"prediction": np.array([4.0])})[0].tolist() == [9.0]


BEYOND_SINGLE = 2.0**24
"""From here on, not every whole number is one in single precision."""


def counter(folder: Path) -> ModelPackage:
    """A version that tells 2^24 from the number after it, which are half of its events."""
    leaf = {"leftChild": -1, "rightChild": -1, "impurityStats": [1.0, 1.0]}
    none = {"featureIndex": -1, "leftCategoriesOrThreshold": [], "numCategories": -1}
    split = {"featureIndex": 0, "leftCategoriesOrThreshold": [BEYOND_SINGLE + 0.5], "numCategories": -1}
    nodes = [
        {**leaf, "id": 0, "prediction": 0.0, "leftChild": 1, "rightChild": 2, "split": split},
        {**leaf, "id": 1, "prediction": 1.0, "split": none},
        {**leaf, "id": 2, "prediction": 2.0, "split": none},
    ]
    tree: Stage = ("regression.DecisionTreeRegressionModel", {"featuresCol": "v", "predictionCol": "p"})
    made = ModelPackage(
        ModelVersion("counter", 1), folder, save_pipeline(folder / "model", [assembled("n"), tree], {}), "0" * 64,
        Signature((Column("n", "long"),)),
    )  # fmt: skip
    write_rows(next(made.pipeline_dir.glob("stages/1_*")) / "data", *nodes)
    return with_golden(made, [{"n": int(BEYOND_SINGLE)}, {"n": int(BEYOND_SINGLE) + 1}])


def test_a_variant_that_differs_by_too_much_is_left_out_and_the_report_says_why(tmp_path: Path) -> None:
    made = export(counter(tmp_path), FEW, time.perf_counter)
    assert [variant.precision for variant in made.variants] == ["float64"]
    says = (
        r"more than a share of 0\.001 of its answers to likely events differ from the compiled form's on 2\d\d of 500 "
    )
    assert re.search(says + r"events, such as \{'n': 16777217\}", made.left_out["float32"])


def test_it_is_refused_where_it_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ExportRefusedError, match="the variant in float32 is refused"):
        export(counter(tmp_path), ExportOrder(("float32",), likely_events=500), time.perf_counter)


def test_it_is_written_where_its_differences_are_accepted(tmp_path: Path) -> None:
    write(export(counter(tmp_path), ExportOrder(("float32",), 1.0, 500), time.perf_counter), tmp_path / "edge")
    (variant,) = json.loads((tmp_path / "edge" / "report.json").read_text())["variants"]
    assert 200 < variant["likely_events"]["mismatches"] < 300
    assert not (tmp_path / "edge" / "model.onnx").exists()


def test_eight_bits_are_for_a_network_and_have_a_line_of_their_own(tmp_path: Path) -> None:
    hidden, random = 600, np.random.default_rng(3)
    weights = dense(*random.normal(size=hidden * 2 + hidden + hidden * 2 + 2).tolist())
    kind = "classification.MultilayerPerceptronClassificationModel"
    columns = {"featuresCol": "v", "predictionCol": "p", "probabilityCol": "q", "rawPredictionCol": "r"}
    stages: list[Stage] = [assembled("a", "b"), (kind, {**columns, "layers": [2, hidden, 2]})]
    signature = Signature((Column("a", "double"), Column("b", "double")))
    events = [{"a": a, "b": b} for a, b in itertools.product((-1.0, 0.0, 0.5, 2.0), repeat=2)]
    made = export(
        package(tmp_path, stages, {kind: {"weights": weights}}, signature, events),
        ExportOrder(("float64", "int8"), 1.0, 500),
        time.perf_counter,
    )
    double, small = made.variants
    assert small.precision == "int8"
    assert small.size < double.size / 2.5
    assert small.likely.largest > double.likely.largest


def test_golden_rows_that_spark_answered_otherwise_refuse_the_export(tmp_path: Path) -> None:
    made = package(tmp_path)
    assert made.golden is not None
    row = replace(made.golden.rows[1], probability=(0.5, 0.5))
    with pytest.raises(ExportRefusedError, match=r"the golden rows are .* away from Spark's"):
        export(replace(made, golden=GoldenRows((row,))), FEW, time.perf_counter)


EQUAL = Agreement(events=1_000, rejected=0, mismatches=0, largest=0.0)
DIFFERENT = replace(EQUAL, mismatches=1, example="an event")


@pytest.mark.parametrize(
    ("precision", "likely", "edges", "golden", "objects"),
    [
        pytest.param("float64", EQUAL, EQUAL, 0.0, False, id="equal"),
        pytest.param("float64", DIFFERENT, EQUAL, 0.0, True, id="a likely event in double precision"),
        pytest.param("float64", EQUAL, DIFFERENT, 0.0, True, id="an event at an edge in double precision"),
        pytest.param("float64", EQUAL, EQUAL, float("nan"), True, id="a golden row that is rejected"),
        pytest.param("float64", EQUAL, EQUAL, None, False, id="no golden row"),
        pytest.param("float32", EQUAL, DIFFERENT, 1.0, False, id="an event at an edge in single precision"),
        pytest.param("float32", DIFFERENT, EQUAL, 0.0, False, id="as many as the bound"),
        pytest.param("float32", replace(DIFFERENT, mismatches=2), EQUAL, 0.0, True, id="more than the bound"),
    ],
)
def test_double_precision_may_not_differ_and_single_precision_up_to_a_bound(
    tmp_path: Path, precision: Precision, likely: Agreement, edges: Agreement, golden: float | None, objects: bool
) -> None:
    form = onnx_form(load_scorer(save_pipeline(tmp_path / "model", STAGES, FITTED), EVENTS), np.float64)
    variant = Variant(precision, form, likely, edges, golden, {})
    assert bool(variant.objection(0.001, 1e-6)) == objects


def test_a_version_that_does_not_compile_is_refused_by_its_stage(tmp_path: Path) -> None:
    made = package(tmp_path)
    strange = save_pipeline(tmp_path / "strange", [("feature.DCT", {})], {})
    with pytest.raises(StageNotCompiledError, match="DCT"):
        export(replace(made, pipeline_dir=strange), ExportOrder(), time.perf_counter)


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    made = export(package(tmp_path), FEW, time.perf_counter)
    (tmp_path / "edge").mkdir()
    with pytest.raises(ConfigurationError, match="is there already"):
        write(made, tmp_path / "edge")
    assert list((tmp_path / "edge").iterdir()) == []
    assert list(tmp_path.glob(".edge*")) == []


def test_likely_events_are_drawn_by_the_counts_of_the_profile(tmp_path: Path) -> None:
    made = replace(package(tmp_path), profile=PROFILE)
    stages = read_stages(made.pipeline_dir)
    events = compared_events(made, stages, 2_000).likely
    assert events.equals(compared_events(made, stages, 2_000).likely)
    carriers = events.column("carrier").to_pylist()
    shares = [carriers.count(name) / 2_000 for name in ("UA", "AA")]
    assert shares == pytest.approx([0.6, 0.3], abs=0.05)
    assert events.column("temp").null_count / 2_000 == pytest.approx(0.1, abs=0.03)
    hours = np.array(events.column("hour").to_pylist())
    assert np.mean((hours >= 5) & (hours <= 12)) == pytest.approx(0.45, abs=0.1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda options: replace(options, precisions=["float16"]), "use float64, float32, int8", id="name"),
        pytest.param(lambda options: replace(options, out=options.out.parent), "is there already", id="folder"),
    ],
)
def test_options_that_cannot_be_are_refused(
    tmp_path: Path, change: Callable[[ExportOptions], ExportOptions], says: str
) -> None:
    with pytest.raises(ConfigurationError, match=says):
        change(ExportOptions(tmp_path / "edge")).check()


def test_a_library_that_is_missing_is_named_with_the_line_that_installs_it() -> None:
    require_extra("export", "numpy")
    with pytest.raises(SetupError, match=r'^no_such_library cannot be imported; .*pip install "penstock\[export\]"'):
        require_extra("export", "numpy", "no_such_library")
