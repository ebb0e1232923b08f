"""Stages and models evaluated without Spark answer as Spark does, to the bit where the arithmetic permits.

Two kinds of difference are allowed, each where a case says ``ulps``. Spark adds up a dot product of dense vectors in
the lanes of the machine's vector unit, so its order depends on the machine. Java's ``exp``, ``log`` and ``pow`` may
differ in the last bit from the C library's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyspark.ml import Pipeline
from pyspark.ml.classification import (
    DecisionTreeClassifier,
    FMClassifier,
    GBTClassifier,
    LinearSVC,
    LogisticRegression,
    MultilayerPerceptronClassifier,
    NaiveBayes,
    OneVsRest,
    RandomForestClassifier,
)
from pyspark.ml.clustering import BisectingKMeans, GaussianMixture, KMeans
from pyspark.ml.evaluation import RegressionEvaluator
from pyspark.ml.feature import (
    PCA,
    Binarizer,
    Bucketizer,
    ElementwiseProduct,
    Imputer,
    IndexToString,
    Interaction,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialExpansion,
    QuantileDiscretizer,
    RobustScaler,
    StandardScaler,
    StringIndexer,
    VectorAssembler,
    VectorIndexer,
    VectorSlicer,
)
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import (
    DecisionTreeRegressor,
    FMRegressor,
    GBTRegressor,
    GeneralizedLinearRegression,
    IsotonicRegression,
    LinearRegression,
    RandomForestRegressor,
)
from pyspark.ml.tuning import ParamGridBuilder, TrainValidationSplit
from pyspark.sql import DataFrame, SparkSession

from streaming.scoring.compiled.program import compile_pipeline
from streaming.scoring.compiled.scope import Columns
from tests.support.seeds import with_seeds

SCHEMA = "a double, b double, c double, n long, m long, word string, other string"
LABELS = ", late double, kind double, amount double, which string"
INFINITY = float("inf")
Row = tuple[float | None, float, float, int, int, str | None, str]


def clean_rows() -> list[Row]:
    """Rows that every stage takes; ``c`` has no variance."""
    random = np.random.default_rng(17)
    rows: list[Row] = []
    for i in range(120):
        a, b = float(random.normal(2.0, 3.0)), float(random.exponential(5.0))
        rows.append((a, b, 3.0, int(random.integers(0, 50)), i % 4, "xyzzy"[i % 5], ("UA", "AA", "DL", "")[i % 3]))
    return [
        *rows,
        (0.0, 0.0, 3.0, 0, 0, "x", "UA"),
        (-0.0, 1e-300, 3.0, 1, 1, "y", "AA"),
        (2.5, 7.0, 3.0, 2, 2, "z", "DL"),
    ]


DIRTY: list[Row] = [
    (None, 1.0, 3.0, 5, 1, "x", "UA"),
    (float("nan"), 1.0, 3.0, 5, 1, "x", "UA"),
    (1.0, 1.0, 3.0, 5, 1, "never seen", "UA"),
    (1.0, 1.0, 3.0, 5, 1, None, "AA"),
    (INFINITY, 2.0, 3.0, 5, 2, "y", "AA"),
]
"""A null, a NaN, a category that training never saw, a category that is null, and an infinity."""


@pytest.fixture(scope="module")
def training(spark: SparkSession) -> DataFrame:
    return training_frame(spark)


def training_frame(spark: SparkSession) -> DataFrame:
    """Return the clean rows with something to learn from each."""
    rows = [
        (*row, float((row[0] or 0.0) > 1.5 or row[5] == "z"), float(i % 3), 2.0 + row[1] + 0.5 * row[3], f"w{i % 2}")
        for i, row in enumerate(clean_rows())
    ]
    return spark.createDataFrame(rows, SCHEMA + LABELS).coalesce(1).cache()


def vector(*names: str, into: str = "v", invalid: str = "error") -> VectorAssembler:
    return VectorAssembler(inputCols=list(names), outputCol=into, handleInvalid=invalid)


def numbers() -> list[Any]:
    return [vector("a", "b", "c", "n", "m", into="features")]


def filled() -> list[Any]:
    """Numbers alone, of which none is missing."""
    return [Imputer(inputCols=["a", "b"], outputCols=["a_f", "b_f"]), vector("a_f", "b_f", "c", "n", into="features")]


def mixed() -> list[Any]:
    """Text as one-hot and numbers, as most pipelines have them."""
    return [
        StringIndexer(inputCols=["word", "other"], outputCols=["word_i", "other_i"], handleInvalid="keep"),
        OneHotEncoder(inputCols=["word_i", "other_i"], outputCols=["word_v", "other_v"], handleInvalid="keep"),
        Imputer(inputCols=["a", "b"], outputCols=["a_f", "b_f"]),
        vector("word_v", "other_v", "a_f", "b_f", "n", into="features"),
    ]


def indexed() -> list[Any]:
    """Text as categories of a tree's splits."""
    return [
        StringIndexer(inputCols=["word", "other"], outputCols=["word_i", "other_i"], handleInvalid="keep"),
        Imputer(inputCols=["a"], outputCols=["a_f"]),
        vector("word_i", "other_i", "a_f", "b", "n", into="features"),
    ]


@dataclass(frozen=True)
class Case:
    """Stages, and by how many units in the last place their numbers may differ."""

    stages: Callable[[], Sequence[Any]]
    outputs: tuple[str, ...] = ()
    """The columns to compare; those of a model where none is named."""
    ulps: int = 0
    dirty: bool = False
    """Whether the stages take the rows of ``DIRTY`` too."""


def predicted(
    model: Callable[[], Any], before: Callable[[], list[Any]] = mixed, *, ulps: int = 0, dirty: bool = True
) -> Case:
    """A model over whole rows."""
    return Case(lambda: [*before(), model()], (), ulps, dirty)


def changed(
    stage: Callable[[], Any], before: Callable[[], list[Any]] = lambda: [vector("a", "b", "c", "n")], *, ulps: int = 0
) -> Case:
    """One stage from the vector ``v`` to ``out``."""
    return Case(lambda: [*before(), stage()], ("out",), ulps)


PREDICTED = ("rawPrediction", "probability", "prediction", "eta")
BOTH: dict[str, Any] = {"inputCol": "v", "outputCol": "out"}
ADDED = 2
"""Dot products: Spark's order of adding depends on the machine."""
LAYERS = 50
"""Sums of sums of either sign, so that the last bits of the first may weigh more in the second."""
DECOMPOSED = 5_000
"""A covariance is taken apart by LAPACK here and there, of which each is right to some bits (1e-12 of the value)."""

STAGES = {
    "indexes text, keeping": Case(
        lambda: [StringIndexer(inputCols=["word", "other"], outputCols=["x", "y"], handleInvalid="keep")],
        ("x", "y"),
        dirty=True,
    ),
    "indexes text by the alphabet": Case(
        lambda: [StringIndexer(inputCol="other", outputCol="x", stringOrderType="alphabetDesc")], ("x",)
    ),
    "indexes whole numbers": Case(lambda: [StringIndexer(inputCol="m", outputCol="x")], ("x",)),
    "encodes all categories and the unseen": Case(
        lambda: [*mixed()[:1], OneHotEncoder(inputCol="word_i", outputCol="x", dropLast=False, handleInvalid="keep")],
        ("x",),
        dirty=True,
    ),
    "encodes all but the last": Case(
        lambda: [*mixed()[:1], OneHotEncoder(inputCols=["word_i", "m"], outputCols=["x", "y"])], ("x", "y"), dirty=True
    ),
    "encodes all": Case(lambda: [OneHotEncoder(inputCol="m", outputCol="x", dropLast=False)], ("x",)),
    "fills holes in place": Case(
        lambda: [Imputer(inputCols=["a", "b"], outputCols=["a", "b_f"])], ("a", "b_f"), dirty=True
    ),
    "fills a number that stands for a hole": Case(
        lambda: [Imputer(inputCols=["m", "n"], outputCols=["x", "y"], missingValue=1.0)], ("x", "y"), dirty=True
    ),
    "assembles holes": Case(lambda: [*mixed()[:1], vector("word_i", "a", "m", invalid="keep")], ("v",), dirty=True),
    "scales to one deviation": changed(lambda: StandardScaler(**BOTH)),
    "scales around the mean": changed(lambda: StandardScaler(withMean=True, **BOTH)),
    "moves to the mean": changed(lambda: StandardScaler(withMean=True, withStd=False, **BOTH)),
    "scales to a range": changed(lambda: MinMaxScaler(min=-1.0, max=3.0, **BOTH)),
    "scales by the largest": changed(lambda: MaxAbsScaler(**BOTH)),
    "scales by quantiles": changed(lambda: RobustScaler(withCentering=True, **BOTH)),
    "normalizes by 1": changed(lambda: Normalizer(p=1.0, **BOTH)),
    "normalizes by 2": changed(lambda: Normalizer(**BOTH)),
    "normalizes by 3": changed(lambda: Normalizer(p=3.0, **BOTH), ulps=2),
    "normalizes by the largest": changed(lambda: Normalizer(p=INFINITY, **BOTH)),
    "weighs elements": changed(lambda: ElementwiseProduct(scalingVec=Vectors.dense([2.0, 0.3, 0.0, -1.5]), **BOTH)),
    "takes elements": changed(lambda: VectorSlicer(indices=[3, 0], **BOTH)),
    "takes elements by name": Case(
        lambda: [
            *mixed()[:1],
            OneHotEncoder(inputCols=["word_i", "m"], outputCols=["w", "m_v"], dropLast=False, handleInvalid="keep"),
            Normalizer(inputCol="w", outputCol="plain"),
            vector("w", "a", "m_v", "plain", "word_i", into="inner", invalid="keep"),
            vector("inner", "b"),
            VectorSlicer(
                inputCol="v",
                outputCol="some",
                indices=[0],
                names=[
                    *(f"inner_w_{name}" for name in ("z", "x", "__unknown", "invalidValues")),
                    *("inner_a", "inner_m_v_2", "inner_m_v_invalidValues"),
                    *("inner_plain_1", "inner_word_i", "b"),
                ],
            ),
            VectorSlicer(inputCol="some", outputCol="out", names=["b", "inner_w_x"]),
        ],
        ("some", "out"),
        dirty=True,
    ),
    "names categories": Case(
        lambda: [*mixed()[:1], IndexToString(inputCol="word_i", outputCol="out")], ("out",), dirty=True
    ),
    "expands to the second degree": changed(lambda: PolynomialExpansion(**BOTH)),
    "expands to the third degree": changed(lambda: PolynomialExpansion(degree=3, **BOTH)),
    "projects to components": changed(lambda: PCA(k=2, **BOTH), ulps=ADDED),
    "indexes elements": changed(lambda: VectorIndexer(maxCategories=5, **BOTH), lambda: [vector("m", "a", "c")]),
    "indexes elements of which few are not zero": changed(
        lambda: VectorIndexer(maxCategories=5, handleInvalid="keep", **BOTH),
        lambda: [
            *mixed()[:2],
            Binarizer(inputCol="b", outputCol="z", threshold=0.5),
            vector("word_v", "other_v", "z"),
        ],
    ),
    "multiplies columns": Case(
        lambda: [
            *mixed()[:1],
            OneHotEncoder(inputCols=["word_i"], outputCols=["w"]),
            Interaction(inputCols=["a", "w", "b"], outputCol="out"),
        ],
        ("out",),
    ),
    "finds buckets, keeping": Case(
        lambda: [
            Bucketizer(
                inputCols=["a", "b"],
                outputCols=["x", "y"],
                splitsArray=[[-INFINITY, -1.0, 0.0, 2.5, INFINITY], [0.0, 1.0, 7.0, INFINITY]],
                handleInvalid="keep",
            )
        ],
        ("x", "y"),
        dirty=True,
    ),
    "finds buckets by quantiles": Case(
        lambda: [QuantileDiscretizer(inputCol="b", outputCol="x", numBuckets=4)], ("x",)
    ),
    "tells high from low": Case(
        lambda: [Binarizer(inputCols=["a", "b"], outputCols=["x", "y"], thresholds=[2.5, 1.0])], ("x", "y"), dirty=True
    ),
    "tells high from low in a vector": changed(lambda: Binarizer(threshold=-0.5, **BOTH)),
}
MODELS = {
    "logistic": predicted(lambda: LogisticRegression(labelCol="late", maxIter=8), ulps=ADDED),
    "logistic with a threshold": predicted(
        lambda: LogisticRegression(labelCol="late", maxIter=4, threshold=0.3), ulps=ADDED
    ),
    "logistic with two thresholds": predicted(
        lambda: LogisticRegression(labelCol="late", maxIter=4, thresholds=[0.4, 0.6]), ulps=ADDED
    ),
    "logistic with few weights": predicted(
        lambda: LogisticRegression(labelCol="late", maxIter=8, regParam=0.1, elasticNetParam=1.0), ulps=ADDED
    ),
    "multinomial": predicted(lambda: LogisticRegression(labelCol="kind", maxIter=4), ulps=ADDED),
    "multinomial with thresholds": predicted(
        lambda: LogisticRegression(labelCol="kind", maxIter=4, thresholds=[0.2, 0.5, 0.3]), ulps=ADDED
    ),
    "linear": predicted(lambda: LinearRegression(labelCol="amount", regParam=0.1), ulps=ADDED),
    "support vectors": predicted(lambda: LinearSVC(labelCol="late", maxIter=4, threshold=0.1), ulps=ADDED),
    "naive Bayes": predicted(
        lambda: NaiveBayes(labelCol="kind"), lambda: [vector("b", "n", "m", into="features")], ulps=ADDED, dirty=False
    ),
    "naive Bayes, complement": predicted(
        lambda: NaiveBayes(labelCol="kind", modelType="complement"),
        lambda: [vector("b", "n", "m", into="features")],
        # A sum less a number near to it, so that the last bits of both weigh more.
        ulps=8,
        dirty=False,
    ),
    "naive Bayes, Bernoulli": predicted(
        lambda: NaiveBayes(labelCol="kind", modelType="bernoulli"),
        lambda: [*mixed()[:2], vector("word_v", "other_v", into="features")],
        ulps=ADDED,
    ),
    "naive Bayes, Gaussian": predicted(
        lambda: NaiveBayes(labelCol="kind", modelType="gaussian", thresholds=[0.5, 0.2, 0.3]),
        lambda: [vector("a", "b", "n", into="features")],
        ulps=ADDED,
        dirty=False,
    ),
    "k-means": predicted(lambda: KMeans(k=4, seed=1, maxIter=4)),
    "k-means by angles": predicted(lambda: KMeans(k=3, seed=1, maxIter=4, distanceMeasure="cosine")),
    "tree": predicted(lambda: DecisionTreeClassifier(labelCol="late"), indexed),
    "tree over encoded text": predicted(lambda: DecisionTreeClassifier(labelCol="kind").setThresholds([0.5, 0.2, 0.3])),
    "forest": predicted(lambda: RandomForestClassifier(labelCol="late", numTrees=4, maxDepth=4, seed=1), indexed),
    "forest over encoded text": predicted(
        lambda: RandomForestClassifier(labelCol="kind", numTrees=4, maxDepth=4, seed=1)
    ),
    "boosted trees": predicted(
        lambda: GBTClassifier(labelCol="late", maxIter=4, maxDepth=4, seed=1), indexed, ulps=ADDED
    ),
    "tree of numbers": predicted(lambda: DecisionTreeRegressor(labelCol="amount"), indexed),
    "forest of numbers": predicted(
        lambda: RandomForestRegressor(labelCol="amount", numTrees=4, maxDepth=4, seed=1), indexed
    ),
    "boosted trees of numbers": predicted(
        lambda: GBTRegressor(labelCol="amount", maxIter=4, maxDepth=4, seed=1), indexed, ulps=ADDED
    ),
    "perceptron": predicted(
        lambda: MultilayerPerceptronClassifier(labelCol="kind", layers=[4, 5, 4, 3], maxIter=5, seed=1),
        filled,
        ulps=LAYERS,
    ),
    "one against the rest": predicted(
        lambda: OneVsRest(labelCol="kind", classifier=LogisticRegression(maxIter=4)), ulps=ADDED
    ),
    "one forest against the rest": predicted(
        lambda: OneVsRest(labelCol="kind", classifier=RandomForestClassifier(numTrees=3, maxDepth=3, seed=1)), indexed
    ),
    "isotonic": predicted(lambda: IsotonicRegression(featuresCol="b", labelCol="amount"), list),
    "isotonic, falling, over an element": predicted(
        lambda: IsotonicRegression(labelCol="amount", featureIndex=1, isotonic=False), filled
    ),
    "factorization machine": predicted(
        lambda: FMClassifier(labelCol="late", factorSize=3, maxIter=4, stepSize=0.1, seed=1), filled, ulps=LAYERS
    ),
    "factorization machine of numbers": predicted(
        lambda: FMRegressor(labelCol="amount", factorSize=3, maxIter=4, stepSize=0.1, fitLinear=False, seed=1),
        mixed,
        ulps=LAYERS,
    ),
    "bisecting k-means": predicted(lambda: BisectingKMeans(k=5, seed=1, maxIter=4)),
    "bisecting k-means by angles": predicted(lambda: BisectingKMeans(k=3, seed=1, maxIter=4, distanceMeasure="cosine")),
    "mixture of normal distributions": predicted(
        lambda: GaussianMixture(k=3, seed=1, maxIter=4), filled, ulps=DECOMPOSED, dirty=False
    ),
    "tuned": predicted(
        lambda: TrainValidationSplit(
            estimator=LinearRegression(labelCol="amount"),
            estimatorParamMaps=ParamGridBuilder().addGrid(LinearRegression.regParam, [0.1]).build(),
            evaluator=RegressionEvaluator(labelCol="amount"),
            seed=1,
        ),
        ulps=ADDED,
    ),
    "nested": Case(
        lambda: [
            Pipeline(stages=[Pipeline(stages=indexed())]),
            DecisionTreeClassifier(labelCol="late"),
            IndexToString(inputCol="prediction", outputCol="answer", labels=["on time", "late"]),
        ],
        ("probability", "prediction", "answer"),
        dirty=True,
    ),
}


def generalized(label: str, family: str, link: str) -> Case:
    parameters: dict[str, Any] = {"labelCol": label, "family": family, "link": link, "maxIter": 4, "regParam": 0.1}
    return predicted(
        lambda: GeneralizedLinearRegression(linkPredictionCol="eta", **parameters), numbers, ulps=ADDED, dirty=False
    )


GENERALIZED = {
    f"generalized linear, {family} and {link}": generalized(label, family, link)
    for label, family, link in [
        ("amount", "gaussian", "log"),
        ("late", "binomial", "logit"),
        ("late", "binomial", "cloglog"),
        ("amount", "poisson", "sqrt"),
        ("amount", "gamma", "inverse"),
    ]
}
CASES = {**STAGES, **MODELS, **GENERALIZED}


SEEDS = {
    "indexes text, keeping",
    "encodes all but the last",
    "names categories",
    "fills holes in place",
    "boosted trees",
    "naive Bayes",
}
"""What ``make test`` tries; ``make test-long`` tries the others."""


@pytest.mark.parametrize("case", with_seeds(CASES, SEEDS))
def test_a_compiled_pipeline_answers_as_spark_does(
    spark: SparkSession, training: DataFrame, tmp_path: Path, case: Case
) -> None:
    model = Pipeline(stages=list(case.stages())).fit(training)
    model.write().save(f"file://{tmp_path}/model")
    rows = [*clean_rows(), *(DIRTY if case.dirty else [])]
    answers = model.transform(spark.createDataFrame(rows, SCHEMA).coalesce(1))
    outputs = case.outputs or [name for name in PREDICTED if name in answers.columns]
    expected = [list(column) for column in zip(*answers.select(*outputs).collect(), strict=True)]
    columns = compile_pipeline(tmp_path / "model", EVENTS).run(batch(rows))
    for name, values in zip(outputs, expected, strict=True):
        compare(name, columns, values, case.ulps)


EVENTS = pa.schema(
    [(name, pa.float64()) for name in "abc"]
    + [(name, pa.int64()) for name in "nm"]
    + [(name, pa.string()) for name in ("word", "other")]
)


def batch(rows: Sequence[Row]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, EVENTS, strict=True)], EVENTS
    )


def compare(name: str, columns: Columns, expected: list[Any], ulps: int) -> None:
    """Hold a column against Spark's. Zeros of either sign are the same: Spark's depend on how sparse a row is."""
    if isinstance(expected[0], str):
        assert columns.text(name).to_pylist() == expected
        return
    if hasattr(expected[0], "toArray"):
        answer, needed = columns.vector(name), np.array([value.toArray() for value in expected])
    else:
        numbers = columns.number(name)
        assert numbers.nulls.tolist() == [value is None for value in expected], name
        answer = np.where(numbers.nulls, 0.0, numbers.values)
        needed = np.array([0.0 if value is None else value for value in expected], np.float64)
    assert answer.shape == needed.shape, name
    worst = distance(answer, needed)
    assert worst <= ulps, f"{name} is {worst} units in the last place away"


def distance(answer: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Return the largest difference in units in the last place; infinite where one of two numbers is not finite."""
    same = (answer == expected) | (np.isnan(answer) & np.isnan(expected))
    finite = np.isfinite(answer) & np.isfinite(expected)
    with np.errstate(invalid="ignore"):
        units = np.where(finite, np.abs(answer - expected) / np.spacing(np.abs(expected)), INFINITY)
    return float(np.max(np.where(same, 0.0, units), initial=0.0))
