"""Which stages may be loaded: all of Spark's own that fit and transform, whatever else they keep among their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import Model, Pipeline, PipelineModel
from pyspark.ml import classification as classifiers
from pyspark.ml import clustering as clusterers
from pyspark.ml import feature as features
from pyspark.ml import recommendation as recommenders
from pyspark.ml import regression as regressors
from pyspark.sql import DataFrame, SparkSession

from streaming.events import columns as c
from streaming.models.signature import Column, Signature
from streaming.scoring.layout import check_stages
from streaming.scoring.pipeline import load_model
from tests.support.engine import event
from tests.support.models import load, package
from tests.support.records import records_frame

BASES = {
    "AFTSurvivalRegressionModel", "DistributedLDAModel", "LDAModel", "LocalLDAModel", "OneVsRestModel",
}  # fmt: skip
"""Fitted under other names below, or with files of pyspark's own."""


def rows(spark: SparkSession) -> DataFrame:
    made = [(i % 2, float(i % 5), 1.0 + i % 3, f"a b{i % 3}", i % 4, i % 6) for i in range(24)]
    frame = spark.createDataFrame(made, "label int, x double, y double, text string, user int, item int")
    return frame.coalesce(1)


def transformed(frame: DataFrame) -> tuple[list[Any], DataFrame]:
    """Transformers that the estimators need."""
    stages = [
        features.VectorAssembler(inputCols=["x", "y"], outputCol="features"),
        features.Tokenizer(inputCol="text", outputCol="words"),
        features.HashingTF(inputCol="words", outputCol="counts", numFeatures=8),
    ]
    for stage in stages:
        frame = stage.transform(frame)
    return stages, frame


def estimators() -> list[Any]:
    quick: dict[str, Any] = {"maxIter": 1}
    vector: dict[str, Any] = {"inputCol": "features", "outputCol": "_o"}
    margins: list[Any] = [
        classifiers.LinearSVC,
        classifiers.LogisticRegression,
        classifiers.GBTClassifier,
        classifiers.FMClassifier,
    ]
    learned = [
        *(kind(**quick) for kind in margins),
        classifiers.DecisionTreeClassifier(maxDepth=1),
        classifiers.RandomForestClassifier(numTrees=1, maxDepth=1),
        classifiers.NaiveBayes(),
        classifiers.MultilayerPerceptronClassifier(layers=[2, 2], maxIter=1),
        *(kind(**quick) for kind in (
            regressors.GBTRegressor, regressors.GeneralizedLinearRegression, regressors.LinearRegression,
            regressors.FMRegressor, clusterers.KMeans, clusterers.BisectingKMeans, clusterers.GaussianMixture,
        )),
        clusterers.LDA(k=2, maxIter=1, optimizer="em"),
        clusterers.LDA(k=2, maxIter=1),
        regressors.AFTSurvivalRegression(censorCol="label", labelCol="y", maxIter=1),
        regressors.DecisionTreeRegressor(maxDepth=1),
        regressors.RandomForestRegressor(numTrees=1, maxDepth=1),
        regressors.IsotonicRegression(featuresCol="x"),
        recommenders.ALS(userCol="user", itemCol="item", ratingCol="y", maxIter=1, rank=1),
    ]  # fmt: skip
    prepared = [
        features.BucketedRandomProjectionLSH(bucketLength=1.0, **vector),
        features.MinHashLSH(inputCol="counts", outputCol="_o"),
        features.ChiSqSelector(numTopFeatures=1, outputCol="_o"),
        features.CountVectorizer(inputCol="words", outputCol="_o"),
        features.IDF(**vector),
        features.Imputer(inputCols=["x"], outputCols=["_o"]),
        *(kind(**vector) for kind in (features.MaxAbsScaler, features.MinMaxScaler, features.RobustScaler)),
        features.OneHotEncoder(inputCols=["user"], outputCols=["_o"]),
        features.PCA(k=1, **vector),
        features.RFormula(formula="label ~ x + text", featuresCol="_f", labelCol="_l"),
        features.StandardScaler(**vector),
        features.StringIndexer(inputCol="text", outputCol="_o"),
        features.TargetEncoder(inputCols=["user"], outputCols=["_o"]),
        features.UnivariateFeatureSelector(outputCol="_o").setFeatureType("continuous").setLabelType("categorical"),
        features.VarianceThresholdSelector(outputCol="_o"),
        features.VectorIndexer(maxCategories=3, **vector),
        features.Word2Vec(vectorSize=1, minCount=0, maxIter=1, inputCol="words", outputCol="_o"),
    ]
    return [*learned, *prepared]


@pytest.mark.long
def test_every_model_of_pyspark_ml_is_allowed_and_loads(spark: SparkSession, tmp_path: Path) -> None:
    stages, frame = transformed(rows(spark))
    frame.cache()
    fitted = [estimator.fit(frame) for estimator in estimators()]
    model = PipelineModel([*stages, *fitted])
    model.save(f"file://{tmp_path}/m")
    assert "org.apache.spark.mllib.clustering.BisectingKMeansModel" in check_stages(tmp_path / "m")
    assert len(load_model(spark, f"file://{tmp_path}/m").stages()) == len(model.stages)
    names = {type(stage).__name__ for stage in fitted}
    assert all_models() - names <= BASES
    frame.unpersist()


def all_models() -> set[str]:
    """The names of pyspark's models; a new one of a later Spark is missed here."""
    result = set()
    for module in (classifiers, clusterers, features, regressors, recommenders):
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, Model):
                result.add(name)
    return result


@pytest.mark.parametrize("kind", ["KMeans", pytest.param("BisectingKMeans", marks=pytest.mark.long)])
def test_a_clusterer_serves_whatever_it_keeps_among_its_files(kind: str, spark: SparkSession, tmp_path: Path) -> None:
    assembler = features.VectorAssembler(inputCols=["x"], outputCol="features")
    model = Pipeline(stages=[assembler, getattr(clusterers, kind)(k=3, seed=1)]).fit(rows(spark))
    version = load(spark, package(model, tmp_path, signature=Signature((Column("x", "double"),))))
    numbers = [float(i) for i in range(5)]
    results = version.score(records_frame(spark, [event(1, x=x) for x in numbers])).collect()
    expected = model.transform(spark.createDataFrame([(x,) for x in numbers], "x double")).collect()
    assert [row[c.PREDICTION] for row in results] == [float(row["prediction"]) for row in expected]
