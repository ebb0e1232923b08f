"""Small fitted pipelines, saved as MLflow would save them, for tests that need a model but not its quality."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import DCT, Bucketizer, Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from streaming.models.arrow_types import feature_schema
from streaming.models.digest import tree_digest
from streaming.models.package import SPARK_FLAVOR, ModelPackage
from streaming.models.ref import ModelVersion
from streaming.models.served import PipelineLoader, ServedModel
from streaming.models.signature import Column, Signature
from streaming.scoring.arrow_frames import ArrowFrames
from streaming.scoring.compiled.scorer import load_scorer
from streaming.scoring.flavours.loader import NativeLoader
from streaming.scoring.loader import SparkPipelineLoader
from streaming.scoring.pipeline import SparkPipeline
from streaming.settings import EventSettings, ScorerSetting

SIGNATURE = Signature((Column("carrier", "string"), Column("distance", "double"), Column("gust", "double", False)))
UNGUARDED = Signature((Column("x", "double", False),))
"""What the pipeline of :func:`fit_unguarded` reads."""


@cache
def fit_pipeline(spark: SparkSession, handle_invalid: str = "error", slope: float = 1.0) -> PipelineModel:
    """Fit carrier and distance to a late flag; ``slope`` -1 turns the prediction around, to tell versions apart."""
    rows = [("UA" if i % 2 else "AA", float(i), float(i * slope > 50 * slope)) for i in range(100)]
    frame = spark.createDataFrame(rows, "carrier string, distance double, label double")
    return Pipeline(
        stages=[
            StringIndexer(inputCol="carrier", outputCol="carrier_index", handleInvalid=handle_invalid),
            OneHotEncoder(inputCol="carrier_index", outputCol="carrier_vector"),
            VectorAssembler(inputCols=["carrier_vector", "distance"], outputCol="features"),
            LogisticRegression(labelCol="label"),
        ]
    ).fit(frame)


def training(spark: SparkSession) -> DataFrame:
    """What :func:`fit_stages` fits: carriers and distances, and whether a distance is above 50."""
    rows = [("UA" if i % 2 else "AA", float(i), float(i > 50), "late" if i > 50 else "fine") for i in range(100)]
    return spark.createDataFrame(rows, "carrier string, distance double, label double, word string")


def assembler(handle_invalid: str = "error") -> VectorAssembler:
    """The distance alone as a vector."""
    return VectorAssembler(inputCols=["distance"], outputCol="features", handleInvalid=handle_invalid)


def fit_stages(spark: SparkSession, *stages: Any) -> PipelineModel:
    """Fit any stages to :func:`training`."""
    return Pipeline(stages=list(stages)).fit(training(spark))


def with_a_cosine_transform(spark: SparkSession) -> PipelineModel:
    """Fit a pipeline with a stage that has no compiled form."""
    cosines = DCT(inputCol="features", outputCol="frequencies")
    return fit_stages(spark, assembler(), cosines, LogisticRegression(featuresCol="frequencies"))


@cache
def fit_bounded(spark: SparkSession) -> PipelineModel:
    """Fit a pipeline that throws on every distance above 90, in a stage whose input no guard looks at."""
    rows = [(float(i), float(i > 50)) for i in range(90)]
    return Pipeline(
        stages=[
            Imputer(inputCols=["distance"], outputCols=["filled"]),
            Bucketizer(splits=[0.0, 50.0, 90.0], inputCol="filled", outputCol="bucket"),
            VectorAssembler(inputCols=["bucket", "distance"], outputCol="features"),
            LogisticRegression(labelCol="label"),
        ]
    ).fit(spark.createDataFrame(rows, "distance double, label double"))


@cache
def fit_unguarded(spark: SparkSession) -> PipelineModel:
    """Fit a pipeline of ``x`` that throws below 0.5, also on what is made up, and has no guard: its bucketizer's input
    is computed.
    """
    rows = [(1.0 + i % 7, float(i % 2)) for i in range(28)]
    stages: list[Any] = [
        Imputer(inputCols=["x"], outputCols=["filled"]),
        Bucketizer(inputCol="filled", outputCol="b", splits=[0.5, 3.5, 9.0]),
        VectorAssembler(inputCols=["b", "filled"], outputCol="features"),
        LogisticRegression(),
    ]
    return Pipeline(stages=stages).fit(spark.createDataFrame(rows, "x double, label double"))


def package(pipeline: PipelineModel, root: Path, version: int = 1, signature: Signature = SIGNATURE) -> ModelPackage:
    """Save a fitted pipeline below ``root`` and describe it."""
    pipeline.write().overwrite().save(f"file://{root}/sparkml")
    return ModelPackage(
        ModelVersion("tiny", version, f"run{version}"), root, root / "sparkml", tree_digest(root), signature
    )


def load(
    spark: SparkSession, made: ModelPackage, envelope: EventSettings | None = None, scorer: ScorerSetting = "spark"
) -> ServedModel:
    """Load a package through every check that the job makes."""
    loads = SparkPipelineLoader if made.flavor == SPARK_FLAVOR else NativeLoader
    loader: PipelineLoader = loads(spark, envelope or EventSettings(), 1024 * 1024, scorer=scorer)
    return loader.load(made, f"file://{made.pipeline_dir}")


Fit = Callable[[SparkSession], PipelineModel]


@dataclass(frozen=True)
class Shelf:
    """Models that tests share: each way of fitting one is fitted, saved and loaded once. Nobody may release them."""

    spark: SparkSession
    folder: Path
    _packages: dict[Fit, ModelPackage] = field(default_factory=dict)
    _models: dict[Fit, ServedModel] = field(default_factory=dict)

    def package(self, fit: Fit) -> ModelPackage:
        """Return the saved model; its files are everybody's, see :func:`copied`."""
        if fit not in self._packages:
            self._packages[fit] = package(fit(self.spark), self.folder / str(len(self._packages)))
        return self._packages[fit]

    def model(self, fit: Fit) -> ServedModel:
        """Return the loaded model."""
        if fit not in self._models:
            self._models[fit] = load(self.spark, self.package(fit))
        return self._models[fit]


def copied(made: ModelPackage, root: Path) -> ModelPackage:
    """Return the package with files of its own, which may be changed."""
    shutil.copytree(made.root, root, dirs_exist_ok=True)
    return replace(made, root=root, pipeline_dir=root / made.pipeline_dir.name)


def compiled(spark: SparkSession, made: ModelPackage) -> ServedModel:
    """Load a package with the same checks, and have it scored by what its files are compiled to, if that can be.

    What is not a pipeline of Spark's is scored in frames anyway.
    """
    model = load(spark, made)
    if made.flavor != SPARK_FLAVOR:
        return model
    program = load_scorer(made.pipeline_dir, feature_schema(made.signature))
    scorer = ArrowFrames(spark, program, made.signature, made.profile)
    return replace(model, scorer=scorer.tried(model.decoder.safe_row) if model.scorer.is_proven else scorer)


def renumbered(model: ServedModel, version: int) -> ServedModel:
    """Return the same model under another version number."""
    return replace(model, package=replace(model.package, version=replace(model.version, version=version)))


def spark_pipeline(model: ServedModel) -> SparkPipeline:
    """Return a version's scorer, which is a pipeline of Spark's."""
    assert isinstance(model.scorer, SparkPipeline)
    return model.scorer


def retyped(model: ServedModel, kind: type[SparkPipeline]) -> ServedModel:
    """Return the version with its pipeline as another class, which does something else with the same parts."""
    pipeline = spark_pipeline(model)
    return replace(
        model.reference, scorer=kind(**{field.name: getattr(pipeline, field.name) for field in fields(pipeline)})
    )


@dataclass(frozen=True)
class Throws(SparkPipeline):
    """A real pipeline behind an expression of the JVM that throws for every thirteenth distance, as a stage might."""

    def transform(self, frame: DataFrame) -> DataFrame:
        distance = F.col("distance")
        unlucky = F.when((distance > 0) & (distance % 13 == 0), F.raise_error(F.lit("unlucky"))).otherwise(distance)
        return super().transform(frame.withColumn("distance", unlucky.cast("double")))


@dataclass(frozen=True)
class Unlucky(SparkPipeline):
    """A real pipeline behind a function that throws for some distances, as a user's own stage might."""

    def transform(self, frame: DataFrame) -> DataFrame:
        @F.udf(DoubleType())
        def unlucky(distance: float) -> float:
            if distance and distance % 13 == 0:
                raise ValueError("unlucky")
            return distance

        return super().transform(frame.withColumn("distance", unlucky("distance")))
