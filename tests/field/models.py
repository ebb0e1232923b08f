"""Registers the cases' models at the tracking server: ``python -m tests.field.models``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema
from pyspark.ml import Pipeline, Transformer
from pyspark.ml.clustering import BisectingKMeans
from pyspark.ml.feature import (
    Bucketizer,
    Imputer,
    OneHotEncoder,
    PolynomialExpansion,
    StringIndexer,
    VectorAssembler,
    VectorIndexer,
)
from pyspark.ml.regression import DecisionTreeRegressor, LinearRegression
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

STORES = ["007", "007", "007", "12", "12", "A"]
WORTH = {"007": 0, "12": 1, "A": 2}
STORE, KM, N = ColSpec("string", "store"), ColSpec("double", "km"), ColSpec("long", "n")


class AddOne(Transformer, DefaultParamsReadable["AddOne"], DefaultParamsWritable):
    """A Python stage of somebody's own."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        return dataset.withColumn("y", F.col("x") + 1)


def register(name: str, alias: str, data: DataFrame, stages: Sequence[Any], columns: Sequence[ColSpec]) -> None:
    """Fit the stages, log and register the pipeline, and point the alias at it."""
    model = Pipeline(stages=list(stages)).fit(data)
    signature = ModelSignature(inputs=Schema(list(columns)))
    with mlflow.start_run():
        logged = mlflow.spark.log_model(
            model, artifact_path="model", signature=signature, pip_requirements=["pyspark==4.2.0"]
        )
    version = mlflow.register_model(logged.model_uri, name).version
    mlflow.MlflowClient().set_registered_model_alias(name, alias, version)


def assembler(*columns: str, output: str = "features") -> VectorAssembler:
    """Return a stage that puts the columns into one vector."""
    return VectorAssembler(inputCols=list(columns), outputCol=output)


def shops(spark: SparkSession) -> None:
    """The prediction is km + 1000 n + 1000000 i, where i is 0 for store 007, 1 for 12, 2 for A, 3 for any other."""
    numbers = [(STORES[i % 6], i * 7 % 50 + 0.25, i % 10) for i in range(600)]
    data = spark.createDataFrame(
        [(store, km, n, km + 1e3 * n + 1e6 * WORTH[store]) for store, km, n in numbers],
        "store string, km double, n long, label double",
    )
    indexer = StringIndexer(inputCol="store", outputCol="i", handleInvalid="keep")
    line = LinearRegression(solver="normal", standardization=False)
    register("shop", "champion", data, [indexer, assembler("i", "km", "n"), line], [STORE, KM, N])
    stages = [indexer, Imputer(inputCols=["km"], outputCols=["km_filled"]), assembler("i", "km_filled", "n"), line]
    register("shop", "opt", data, stages, [STORE, ColSpec("double", "km", required=False), N])


def numbers(spark: SparkSession) -> None:
    """Pipelines over numbers whose stages ask something of the loader."""
    data = spark.createDataFrame(
        [(float(i), float(i % 5), 2.0 * i) for i in range(50)], "km double, n double, label double"
    )
    filled = [Imputer(inputCols=["km"], outputCols=["km"]), assembler("km", "n"), LinearRegression()]
    optional = ColSpec("double", "km", required=False)
    register("filled", "champion", data, filled, [optional, ColSpec("double", "n")])
    data = spark.createDataFrame(
        [(1 + i % 3, float(1 + i % 3), float(i % 7)) for i in range(60)], "n long, x double, label double"
    )
    tree = DecisionTreeRegressor(featuresCol="features")
    splits = [0.5, 1.5, 9.0]
    whole = Bucketizer(inputCol="n", outputCol="b", splits=splits)
    many = Bucketizer(inputCols=["x"], outputCols=["b"], splitsArray=[splits])
    indexed = [assembler("x", output="f"), VectorIndexer(inputCol="f", outputCol="features", maxCategories=4), tree]
    x = ColSpec("double", "x")
    register("bounds", "whole", data, [whole, assembler("b"), tree], [ColSpec("long", "n")])
    register("bounds", "many", data, [many, assembler("b"), tree], [x])
    register("bounds", "indexed", data, indexed, [x])
    register("own", "champion", data, [AddOne(), assembler("y"), LinearRegression()], [x])


def vectors(spark: SparkSession) -> None:
    """Pipelines whose vectors' sizes are known from rows alone, or whose values throw."""
    data = spark.createDataFrame(
        [(float(i % 7), float(i % 3), float(i)) for i in range(200)], "a double, b double, label double"
    )
    expansion = PolynomialExpansion(inputCol="v", outputCol="p")
    both = [ColSpec("double", "a"), ColSpec("double", "b")]
    stages = [assembler("a", "b", output="v"), expansion, assembler("p", "a"), LinearRegression()]
    register("expanded", "champion", data, stages, both)
    register("clusters", "champion", data, [assembler("a", "b"), BisectingKMeans(k=3, seed=1)], both)
    data = spark.createDataFrame([(i % 4, float(i % 9), float(i)) for i in range(100)], "c int, x double, label double")
    hot = [OneHotEncoder(inputCols=["c"], outputCols=["v"]), assembler("v", "x"), LinearRegression()]
    register("hot", "champion", data, hot, [ColSpec("integer", "c"), ColSpec("double", "x")])


if __name__ == "__main__":
    session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    for registers in (shops, numbers, vectors):
        registers(session)
    session.stop()
