"""Each stage that has an ONNX form answers there as its compiled form does, on events at the edges.

That the compiled forms answer as Spark does is tested beside Spark, and so are models that Spark has fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from streaming.errors import ExportRefusedError, ScoringError
from streaming.export.agreement import OnnxSession
from streaming.export.form import onnx_form
from streaming.models.arrow_types import feature_batch, feature_schema
from streaming.models.signature import Column, Signature
from streaming.scoring.compiled.scorer import load_scorer
from tests.support.exports import EVENTS, agreement_of, assembled, by_row, dense
from tests.support.saved import Stage, save_pipeline, write_metadata, write_rows

INFINITY = float("inf")
IN_OUT = {"inputCol": "v", "outputCol": "out"}
MODEL = {"featuresCol": "v", "predictionCol": "p", "probabilityCol": "q", "rawPredictionCol": "r"}
FILLED: Stage = ("feature.ImputerModel", {"inputCols": ["a", "b"], "outputCols": ["a", "b"]})


@dataclass(frozen=True)
class Case:
    """Stages with their fitted values; where they predict nothing, a sum over ``outputs`` elements of ``out`` does."""

    stages: Sequence[Stage]
    fitted: dict[str, Any] = field(default_factory=dict)
    outputs: int = 0
    rejects: bool = False


def stage(*stages: Stage, outputs: int, rejects: bool = False, **fitted: Any) -> Case:
    """Stages of features; the names of fitted classes are those below ``feature``."""
    return Case(stages, {f"feature.{name}": row for name, row in fitted.items()}, outputs, rejects)


def changed(kind: str, parameters: dict[str, Any], row: dict[str, Any] | None = None, outputs: int = 2) -> Case:
    """One stage from a vector of two numbers, of which nulls are filled, to another vector."""
    values = {"feature.ImputerModel": {"a": 1.5, "b": -2.0}}
    made = {f"feature.{kind}": row} if row else {}
    return Case(
        [FILLED, assembled("a", "b"), (f"feature.{kind}", {**IN_OUT, **parameters})], {**values, **made}, outputs
    )


def model(kind: str, row: dict[str, Any], rejects: bool = False, **parameters: Any) -> Case:
    """A model over two numbers, of which nulls are filled."""
    values = {"feature.ImputerModel": {"a": 1.5, "b": -2.0}, kind: row}
    return Case([FILLED, assembled("a", "b"), (kind, {**columns_of(kind), **parameters})], values, rejects=rejects)


def columns_of(kind: str) -> dict[str, Any]:
    return MODEL if kind.startswith("classification") else {"featuresCol": "v", "predictionCol": "p"}


def indexed(source: str, invalid: str) -> Stage:
    return ("feature.StringIndexerModel", {"handleInvalid": invalid, "inputCols": [source], "outputCols": ["i"]})


def buckets(invalid: str, *splits: float) -> Stage:
    values = ["-Inf" if split == -INFINITY else "Inf" if split == INFINITY else split for split in splits]
    return ("feature.Bucketizer", {"handleInvalid": invalid, "inputCol": "a", "outputCol": "i", "splits": values})


def encoded(invalid: str, drop: bool) -> Stage:
    names = {"inputCols": ["i"], "outputCols": ["out"]}
    return ("feature.OneHotEncoderModel", {"handleInvalid": invalid, "dropLast": drop, **names})


MACHINE = {"intercept": 1.0, "linear": dense(1.0, 2.0), "factors": by_row([[1.0, 0.5], [3.0, 1.0]])}
THREE = by_row([[1.0, -2.0], [0.5, 0.25], [-1.0, 3.0]])
LOGISTIC = {
    "numClasses": 2, "numFeatures": 2, "interceptVector": dense(-1.0), "coefficientMatrix": by_row([[2.0, -0.1]]),
    "isMultinomial": False,
}  # fmt: skip
MULTINOMIAL = {
    "numClasses": 3, "numFeatures": 2, "interceptVector": dense(0.1, 0.0, -0.1), "coefficientMatrix": THREE,
    "isMultinomial": True,
}  # fmt: skip
LINE = {"intercept": 1.0, "coefficients": dense(2.0, -0.25), "scale": 1.0}
SVC = {"intercept": 1.0, "coefficients": dense(2.0, -0.25)}
LOGISTIC_KIND = "classification.LogisticRegressionModel"
BAYES = "classification.NaiveBayesModel"
COUNTS = {
    "pi": dense(-0.5, -1.0),
    "theta": by_row([[-1.0, -0.5], [-0.2, -2.0]]),
    "sigma": by_row([[1.0, 2.0], [0.5, 4.0]]),
}

CASES = {
    "text, keeping": stage(
        indexed("word", "keep"),
        assembled("i", into="out"),
        outputs=1,
        StringIndexerModel={"labelsArray": [["x", "", "y"]]},
    ),
    "text, strict": stage(
        indexed("word", "error"),
        assembled("i", into="out"),
        outputs=1,
        rejects=True,
        StringIndexerModel={"labelsArray": [["x", "", "y"]]},
    ),
    "whole numbers": stage(
        indexed("n", "keep"),
        assembled("i", into="out"),
        outputs=1,
        StringIndexerModel={"labelsArray": [["7", "1", "01", "-3"]]},
    ),
    "whole numbers that are spelt otherwise": stage(
        indexed("n", "keep"), assembled("i", into="out"), outputs=1, StringIndexerModel={"labelsArray": [["07", "1.0"]]}
    ),
    "booleans": stage(
        indexed("flag", "keep"),
        assembled("i", into="out"),
        outputs=1,
        StringIndexerModel={"labelsArray": [["true", "false"]]},
    ),
    "labels of categories": Case(
        [
            indexed("word", "keep"),
            ("feature.IndexToString", {"inputCol": "i", "outputCol": "back", "labels": []}),
            ("feature.StringIndexerModel", {"handleInvalid": "error", "inputCols": ["back"], "outputCols": ["j"]}),
            assembled("j", into="out"),
        ],
        {"feature.StringIndexerModel": {"labelsArray": [["x", "y", "__unknown"]]}},
        1,
    ),
    "all categories": stage(
        indexed("word", "keep"),
        encoded("error", drop=False),
        outputs=3,
        StringIndexerModel={"labelsArray": [["x", "y"]]},
        OneHotEncoderModel={"categorySizes": [3]},
    ),
    "all but the last, and the unseen": stage(
        indexed("word", "keep"),
        encoded("keep", drop=True),
        outputs=2,
        StringIndexerModel={"labelsArray": [["x", "y"]]},
        OneHotEncoderModel={"categorySizes": [2]},
    ),
    "a number that is no category": Case(
        [
            (
                "feature.OneHotEncoderModel",
                {"handleInvalid": "error", "dropLast": True, "inputCols": ["a"], "outputCols": ["out"]},
            )
        ],
        {"feature.OneHotEncoderModel": {"categorySizes": [3]}},
        2,
        rejects=True,
    ),
    "holes": stage(FILLED, assembled("a", "b", into="out"), outputs=2, ImputerModel={"a": 1.5, "b": -2.0}),
    "a number that stands for a hole": stage(
        (
            "feature.ImputerModel",
            {"inputCols": ["a", "n", "small"], "outputCols": ["a", "n", "s"], "missingValue": 1.0},
        ),
        assembled("a", "n", "s", into="out"),
        outputs=3,
        ImputerModel={"a": 9.0, "n": 2.7, "small": 0.1},
    ),
    "numbers without a hole": stage(
        assembled("a", "small", "n", "flag", into="out", invalid="error"), outputs=4, rejects=True
    ),
    "buckets, keeping": stage(buckets("keep", -INFINITY, 0.0, 2.5, INFINITY), assembled("i", into="out"), outputs=1),
    "buckets, strict": stage(buckets("error", 0.0, 1.0, 2.5), assembled("i", into="out"), outputs=1, rejects=True),
    "buckets from a negative zero": stage(
        buckets("keep", -0.0, 1.0, 2.5), assembled("i", into="out"), outputs=1, rejects=True
    ),
    "high and low": stage(
        ("feature.Binarizer", {"inputCols": ["a", "b"], "outputCols": ["i", "j"], "thresholds": [0.0, -0.75]}),
        assembled("i", "j", into="out"),
        outputs=2,
    ),
    "high and low in a vector": stage(
        assembled("a", "b"), ("feature.Binarizer", {**IN_OUT, "threshold": 0.0}), outputs=2
    ),
    "high and low in a vector, below zero": stage(
        assembled("a", "b"), ("feature.Binarizer", {**IN_OUT, "threshold": -0.75}), outputs=2
    ),
    "deviations": changed(
        "StandardScalerModel", {"withMean": True, "withStd": True}, {"mean": dense(0.5, 2.0), "std": dense(3.0, 0.0)}
    ),
    "means": changed(
        "StandardScalerModel", {"withMean": True, "withStd": False}, {"mean": dense(0.5, 2.0), "std": dense(3.0, 0.0)}
    ),
    "quantiles": changed(
        "RobustScalerModel",
        {"withCentering": False, "withScaling": True},
        {"median": dense(0.5, 2.0), "range": dense(3.0, 0.0)},
    ),
    "ranges": changed(
        "MinMaxScalerModel",
        {"min": -1.0, "max": 3.0},
        {"originalMin": dense(-1.0, 2.0), "originalMax": dense(7.0, 2.0)},
    ),
    "the largest": changed("MaxAbsScalerModel", {}, {"maxAbs": dense(0.0, 3.0)}),
    "norms of 1": changed("Normalizer", {"p": 1.0}),
    "norms of 2": changed("Normalizer", {"p": 2.0}),
    "norms of 3": changed("Normalizer", {"p": 3.0}),
    "the largest norm": changed("Normalizer", {"p": "Inf"}),
    "weights": changed("ElementwiseProduct", {"scalingVec": dense(2.0, -0.3)}),
    "elements": changed("VectorSlicer", {"indices": [1, 0, 1]}, outputs=3),
    "elements by name": changed("VectorSlicer", {"indices": [1], "names": ["a"]}),
    "components": changed("PCAModel", {}, {"pc": by_row([[0.6, 0.8], [-0.8, 0.6]])}),
    "logistic": model(LOGISTIC_KIND, LOGISTIC, threshold=0.3),
    "logistic with two thresholds": model(LOGISTIC_KIND, LOGISTIC, thresholds=[0.4, 0.6]),
    "logistic without raw numbers": model(LOGISTIC_KIND, LOGISTIC, rawPredictionCol="", threshold=0.3),
    "multinomial": model(LOGISTIC_KIND, MULTINOMIAL),
    "multinomial with a threshold of zero": model(LOGISTIC_KIND, MULTINOMIAL, thresholds=[0.5, 0.0, 0.25]),
    "support vectors": model("classification.LinearSVCModel", SVC, threshold=0.1, probabilityCol=None),
    "linear": model("regression.LinearRegressionModel", LINE),
    "a machine of pairs": model("regression.FMRegressionModel", MACHINE),
    "a machine of two classes": model("classification.FMClassificationModel", MACHINE),
    "a network": model(
        "classification.MultilayerPerceptronClassificationModel",
        {"weights": dense(0.5, -0.5, 0.0, 2.0, -2.0, 1.0, 0.0)},
        layers=[2, 1, 2],
    ),
    "counts": model(BAYES, COUNTS, rejects=True, modelType="multinomial"),
    "counts of the others": model(BAYES, COUNTS, rejects=True, modelType="complement", thresholds=[0.3, 0.7]),
    "what is there": model(BAYES, COUNTS, rejects=True, modelType="bernoulli"),
    "widths": model(BAYES, COUNTS, modelType="gaussian"),
    **{
        f"{family} and {link}": model(
            "regression.GeneralizedLinearRegressionModel", LINE, family=family, link=link, linkPredictionCol="eta"
        )
        for family, link in (
            ("gaussian", "identity"),
            ("gaussian", "log"),
            ("binomial", "logit"),
            ("binomial", "cloglog"),
            ("poisson", "sqrt"),
            ("poisson", "log"),
            ("gamma", "inverse"),
        )
    },
}


def with_prediction(case: Case) -> tuple[list[Stage], dict[str, Any]]:
    """Append a sum over the elements of ``out``, in which each has a weight of its own."""
    if not case.outputs:
        return [*case.stages], case.fitted
    weights = dense(*(0.37 * (position + 1) for position in range(case.outputs)))
    line = ("regression.LinearRegressionModel", {"featuresCol": "out", "predictionCol": "p"})
    row = {"regression.LinearRegressionModel": {"intercept": 0.25, "coefficients": weights, "scale": 1.0}}
    return [*case.stages, line], {**case.fitted, **row}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_a_stage_answers_in_onnx_as_its_compiled_form(tmp_path: Path, case: Case) -> None:
    agreement = agreement_of(save_pipeline(tmp_path / "model", *with_prediction(case)))
    assert agreement.mismatches == 0, agreement
    assert bool(agreement.rejected) == case.rejects
    assert agreement.rejected < agreement.events


CENTRES = [
    {"clusterIdx": 0, "clusterCenter": dense(0.0, 0.0)},
    {"clusterIdx": 1, "clusterCenter": dense(2.0, -0.5)},
    {"clusterIdx": 2, "clusterCenter": dense(-1.0, 1.0)},
]


@pytest.mark.parametrize(
    ("measure", "rejects"),
    [pytest.param("euclidean", False, id="euclidean"), pytest.param("cosine", True, id="cosine")],
)
def test_the_nearest_centre_is_the_same(tmp_path: Path, measure: str, rejects: bool) -> None:
    kind = "clustering.KMeansModel"
    fitted = {"feature.ImputerModel": {"a": 0.0, "b": 0.0}}
    parameters = {"featuresCol": "v", "predictionCol": "p", "distanceMeasure": measure}
    folder = save_pipeline(tmp_path / "model", [FILLED, assembled("a", "b"), (kind, parameters)], fitted)
    write_rows(next(folder.glob("stages/2_*")) / "data", *CENTRES)
    agreement = agreement_of(folder)
    assert agreement.mismatches == 0
    assert bool(agreement.rejected) == rejects


def test_each_of_several_classifiers_has_its_own_class(tmp_path: Path) -> None:
    def save_classifiers(folder: Path) -> None:
        for number, weights in enumerate([(1.0, 0.0), (0.0, 1.0), (-1.0, -1.0)]):
            inner = folder / f"model_{number}"
            write_metadata(inner, LOGISTIC_KIND, {**MODEL, "featuresCol": "other", "threshold": 0.5}, uid="logistic")
            write_rows(inner / "data", {**LOGISTIC, "coefficientMatrix": by_row([weights])})

    rest = {key: value for key, value in MODEL.items() if key != "probabilityCol"}
    stages: list[Stage] = [FILLED, assembled("a", "b"), ("classification.OneVsRestModel", rest)]
    folder = save_pipeline(tmp_path / "model", stages, {"feature.ImputerModel": {"a": 1.5, "b": -2.0}})
    save_classifiers(next(folder.glob("stages/2_*")))
    assert agreement_of(folder).mismatches == 0


def node(number: int, low: int = -1, high: int = -1, split: tuple[int, list[float], int] = (-1, [], -1)) -> Any:
    """A row of Spark's ``NodeData``, whose votes are halves in every second node."""
    element, values, categories = split
    return {
        "id": number,
        "prediction": 0.1 + number,
        "impurityStats": [1.0, 1.0] if number % 2 else [0.1 * number, 0.7],
        "leftChild": low,
        "rightChild": high,
        "split": {"featureIndex": element, "leftCategoriesOrThreshold": values, "numCategories": categories},
    }


LEAF = [node(0)]
BY_NUMBER = [node(0, 1, 2, (0, [2.5], -1)), node(1), node(2, 3, 4, (1, [0.0], -1)), node(3), node(4)]
FEW_LEFT = [node(0, 1, 2, (2, [1.0], 4)), node(1), node(2)]
MANY_LEFT = [node(0, 1, 2, (2, [0.0, 1.0, 3.0], 4)), node(1, 3, 4, (0, [-1.0], -1)), node(2), node(3), node(4)]


@pytest.mark.parametrize(
    "kind",
    [
        "classification.DecisionTreeClassificationModel",
        "classification.RandomForestClassificationModel",
        "classification.GBTClassificationModel",
        "regression.DecisionTreeRegressionModel",
        "regression.RandomForestRegressionModel",
        "regression.GBTRegressionModel",
    ],
)
def test_a_tree_ends_in_the_same_leaf_and_leaves_are_added_in_the_same_order(tmp_path: Path, kind: str) -> None:
    trees = [MANY_LEFT] if "DecisionTree" in kind else [BY_NUMBER, FEW_LEFT, MANY_LEFT, LEAF, BY_NUMBER, FEW_LEFT]
    agreement = agreement_of(save_trees(tmp_path / "model", kind, trees))
    assert agreement.mismatches == 0, agreement
    # The exponential of a boosted classifier is the C library's in one form and ONNX Runtime's in the other.
    assert agreement.largest <= (1e-15 if kind.startswith("classification.GBT") else 0.0)


def save_trees(folder: Path, kind: str, trees: list[list[Any]]) -> Path:
    stages: list[Stage] = [indexed("word", "keep"), assembled("a", "b", "i"), (kind, columns_of(kind))]
    fitted = {"feature.StringIndexerModel": {"labelsArray": [["x", "", "y"]]}}
    saved = save_pipeline(folder, stages, fitted)
    stage = next(saved.glob("stages/2_*"))
    if "DecisionTree" in kind:
        write_rows(stage / "data", *trees[0])
        return saved
    write_rows(stage / "data", *({"treeID": at, "nodeData": node} for at, tree in enumerate(trees) for node in tree))
    write_rows(stage / "treesMetadata", *({"treeID": at, "weights": 0.1 * (at + 1)} for at in range(len(trees))))
    return saved


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        pytest.param("feature.PolynomialExpansion", {**IN_OUT, "degree": 2}, id="a stage of features"),
        pytest.param("regression.IsotonicRegressionModel", {"featureIndex": 0}, id="a model"),
    ],
)
def test_a_stage_without_an_onnx_form_is_refused_by_name(tmp_path: Path, kind: str, parameters: dict[str, Any]) -> None:
    row = {"boundaries": [0.0, 2.0], "predictions": [1.0, 3.0], "isotonic": True}
    case = Case(
        [assembled("a", "b"), (kind, {**columns_of(kind), **parameters})],
        {kind: row},
        outputs=5 * kind.startswith("feature"),
    )
    with pytest.raises(ExportRefusedError, match=rf"the stage .* \(org.apache.spark.ml.{kind}\) has no ONNX form"):
        agreement_of(save_pipeline(tmp_path / "model", *with_prediction(case)))


def test_labels_of_real_numbers_have_no_onnx_form(tmp_path: Path) -> None:
    fitted = {"feature.StringIndexerModel": {"labelsArray": [["1.0", "2.5"]]}}
    case = Case([indexed("a", "keep"), assembled("i", into="out")], fitted, outputs=1)
    with pytest.raises(ExportRefusedError, match="has no ONNX form: it indexes a, which holds real numbers"):
        agreement_of(save_pipeline(tmp_path / "model", *with_prediction(case)))


def test_a_vector_of_the_events_is_a_tensor_of_rows(tmp_path: Path) -> None:
    signature = Signature((Column(name="v", type="double", length=2, is_vector=True),))
    line: Stage = ("regression.LinearRegressionModel", {"featuresCol": "v", "predictionCol": "p"})
    root = save_pipeline(tmp_path / "model", [line], {line[0]: LINE})
    scorer = load_scorer(root, feature_schema(signature))
    events = feature_batch(signature, [{"v": [1.0, 4.0]}, {"v": [0.0, 0.0]}])
    assert scorer.score(events).column(0).to_pylist() == [2.0, 1.0]
    assert scorer.score(events.slice(0, 0)).num_rows == 0
    # The numbers of the last would fit into two rows of two.
    for vectors in ([[1.0]], [None], [[1.0], [1.0, 2.0, 3.0]]):
        with pytest.raises(ScoringError, match=r"a column of vectors|vectors have 1|a vector of the batch"):
            scorer.score(feature_batch(signature, [{"v": vector} for vector in vectors]))
    answers = OnnxSession(onnx_form(scorer, np.float64)).answers(
        feature_batch(signature, [{"v": [1.0, 4.0]}, {"v": None}, {"v": [0.0, 0.0]}])
    )
    assert answers.prediction[[0, 2]].tolist() == [2.0, 1.0]
    assert answers.rejected.tolist() == [False, True, False]


def test_a_list_that_is_no_vector_has_no_onnx_form(tmp_path: Path) -> None:
    root = save_pipeline(tmp_path / "model", *with_prediction(CASES["text, keeping"]))
    schema = EVENTS.append(pa.field("several", pa.list_(pa.float64())))
    with pytest.raises(ExportRefusedError, match="the column several, a list that no stage reads as a vector"):
        onnx_form(load_scorer(root, schema), np.float64)


def test_words_have_no_onnx_form(tmp_path: Path) -> None:
    tokenizer: Stage = ("feature.Tokenizer", {"inputCol": "word", "outputCol": "t"})
    hashes: Stage = ("feature.HashingTF", {"inputCol": "t", "outputCol": "out", "numFeatures": 4, "binary": False})
    with pytest.raises(ExportRefusedError, match=r"the stage Tokenizer_0a1b .* has no ONNX form: this class has none"):
        agreement_of(save_pipeline(tmp_path / "model", *with_prediction(Case([tokenizer, hashes], outputs=4))))
