"""The pipeline: indexers and one-hot encoder, imputer, assembler, classifier.

A category never seen at training is kept as an own value, and a missing number takes the training median, so that a new
destination or an hour without weather is scored and not thrown out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.errors import IllegalArgumentException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.base import Estimator, Transformer
from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.ml.feature import Imputer, OneHotEncoder, StringIndexer, VectorAssembler
from pyspark.ml.param import Param
from pyspark.sql import DataFrame

from streaming.errors import ConfigurationError
from streaming.settings import TrainSettings
from streaming.training.dataset import LABEL, Dataset

Classifier = LogisticRegression | GBTClassifier | RandomForestClassifier
CLASSIFIERS: Mapping[str, type[Classifier]] = {
    "logistic_regression": LogisticRegression,
    "gradient_boosted_trees": GBTClassifier,
    "random_forest": RandomForestClassifier,
}
DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "logistic_regression": {"maxIter": 20, "regParam": 0.001, "tol": 1e-4},
    "gradient_boosted_trees": {"maxIter": 20, "maxDepth": 5, "stepSize": 0.2},
    "random_forest": {"numTrees": 30, "maxDepth": 10},
}


def fitted(dataset: Dataset, settings: TrainSettings, rows: DataFrame) -> PipelineModel:
    """Return the pipeline, fitted on some rows of the dataset.

    Raises:
        ConfigurationError: as :func:`build_pipeline`; or Spark cannot train so, as with a depth below zero or too few
            bins for a column's categories.
    """
    try:
        return build_pipeline(dataset, settings).fit(rows)
    except IllegalArgumentException as error:
        raise ConfigurationError(f"Spark cannot train {settings.algorithm} by train.parameters: {error}") from error


def build_pipeline(dataset: Dataset, settings: TrainSettings) -> Pipeline:
    """Return the unfitted pipeline for the dataset's columns.

    Raises:
        ConfigurationError: ``train.parameters`` names what the classifier does not have, or a value it refuses.
    """
    indexed = [f"{name}_index" for name in dataset.categorical]
    encoded = [f"{name}_onehot" for name in dataset.categorical]
    optional = {c.name for c in dataset.signature.columns if not c.required}
    filled = [name for name in dataset.numeric if name in optional]
    whole = [name for name in dataset.numeric if name not in optional]
    imputed = [f"{name}_filled" for name in filled]
    stages: list[Estimator[Any] | Transformer] = []
    if indexed:
        stages.append(StringIndexer(inputCols=[*dataset.categorical], outputCols=indexed, handleInvalid="keep"))
        # The last index is "unseen"; dropping it makes an unseen category all zeros.
        stages.append(OneHotEncoder(inputCols=indexed, outputCols=encoded, dropLast=True))
    if filled:
        stages.append(Imputer(inputCols=filled, outputCols=imputed, strategy="median"))
    stages.append(VectorAssembler(inputCols=[*encoded, *whole, *imputed], outputCol="features"))
    stages.append(build_classifier(settings))
    return Pipeline(stages=stages)


def build_classifier(settings: TrainSettings) -> Classifier:
    """Return the classifier with the defaults, the user's parameters and the seed; raises as above."""
    require_parameters(settings)
    classifier = CLASSIFIERS[settings.algorithm](labelCol=LABEL, featuresCol="features")
    for name, value in classifier_parameters(settings).items():
        classifier.set(classifier.getParam(name), value)
    if classifier.hasParam("seed"):
        classifier.set(classifier.getParam("seed"), settings.seed)
    return classifier


def classifier_parameters(settings: TrainSettings) -> dict[str, float]:
    """Return the classifier's parameters: the defaults under the user's own."""
    return {**DEFAULTS[settings.algorithm], **settings.parameters}


def require_parameters(settings: TrainSettings) -> None:
    """Raise as :func:`build_pipeline` for ``train.parameters`` that do not fit; this needs no session."""
    classifier = CLASSIFIERS[settings.algorithm]
    # A class has its parameters as attributes, which belong to nobody until there is an instance.
    members = {name: getattr(classifier, name) for name in dir(classifier)}
    params = {name: member for name, member in members.items() if isinstance(member, Param)}
    for name, value in settings.parameters.items():
        if name not in params:
            allowed = ", ".join(name for name in sorted(params) if not name.endswith("Col"))
            raise ConfigurationError(
                f"train.parameters.{name} is not a parameter of {classifier.__name__}; use {allowed}"
            )
        try:
            params[name].typeConverter(value)
        except TypeError as error:
            raise ConfigurationError(f"train.parameters.{name} is {value}, which Spark refuses: {error}") from error
