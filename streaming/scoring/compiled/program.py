"""A saved pipeline put together as a list of numpy steps: nothing about it is looked up again when events come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from streaming.errors import ScoringError, StageNotCompiledError
from streaming.models.arrow_types import vector_size
from streaming.scoring.compiled import (
    bayes,
    clusters,
    factors,
    indexing,
    isotonic,
    linear,
    numbers,
    perceptron,
    term_vectors,
    tokens,
    trees,
    vectors,
)
from streaming.scoring.compiled.one_vs_rest import one_vs_rest
from streaming.scoring.compiled.saved import SavedStage, read_stages
from streaming.scoring.compiled.scope import Apply, Columns, Scope
from streaming.scoring.compiled.values import Kind, read_column

BUILDERS: Mapping[str, Callable[[Scope], Apply]] = {
    f"org.apache.spark.ml.{name}": build
    for name, build in {
        "feature.Binarizer": numbers.binarizer,
        "feature.Bucketizer": numbers.bucketizer,
        "feature.CountVectorizerModel": term_vectors.count_vectorizer,
        "feature.ElementwiseProduct": vectors.elementwise_product,
        "feature.HashingTF": term_vectors.hashing_tf,
        "feature.IDFModel": term_vectors.inverse_document_frequency,
        "feature.ImputerModel": numbers.imputer,
        "feature.IndexToString": indexing.index_to_string,
        "feature.Interaction": vectors.interaction,
        "feature.MaxAbsScalerModel": vectors.max_abs_scaler,
        "feature.MinMaxScalerModel": vectors.min_max_scaler,
        "feature.NGram": tokens.n_gram,
        "feature.Normalizer": vectors.normalizer,
        "feature.OneHotEncoderModel": indexing.one_hot_encoder,
        "feature.PCAModel": vectors.principal_components,
        "feature.PolynomialExpansion": vectors.polynomial_expansion,
        "feature.RegexTokenizer": tokens.regex_tokenizer,
        "feature.RobustScalerModel": vectors.robust_scaler,
        "feature.StandardScalerModel": vectors.standard_scaler,
        "feature.StopWordsRemover": tokens.stop_words_remover,
        "feature.StringIndexerModel": indexing.string_indexer,
        "feature.Tokenizer": tokens.tokenizer,
        "feature.VectorAssembler": numbers.vector_assembler,
        "feature.VectorIndexerModel": indexing.vector_indexer,
        "feature.VectorSlicer": vectors.vector_slicer,
        "classification.DecisionTreeClassificationModel": trees.tree_classifier,
        "classification.FMClassificationModel": factors.factorization_classifier,
        "classification.GBTClassificationModel": trees.boosted_classifier,
        "classification.LinearSVCModel": linear.linear_svc,
        "classification.LogisticRegressionModel": linear.logistic_regression,
        "classification.MultilayerPerceptronClassificationModel": perceptron.multilayer_perceptron,
        "classification.NaiveBayesModel": bayes.naive_bayes,
        "classification.OneVsRestModel": lambda scope: one_vs_rest(scope, built),
        "classification.RandomForestClassificationModel": trees.tree_classifier,
        "clustering.BisectingKMeansModel": clusters.bisecting_k_means,
        "clustering.GaussianMixtureModel": clusters.gaussian_mixture,
        "clustering.KMeansModel": bayes.k_means,
        "regression.DecisionTreeRegressionModel": trees.tree_regression,
        "regression.FMRegressionModel": factors.factorization_regression,
        "regression.GBTRegressionModel": trees.boosted_regression,
        "regression.GeneralizedLinearRegressionModel": linear.generalized_linear_regression,
        "regression.IsotonicRegressionModel": isotonic.isotonic_regression,
        "regression.LinearRegressionModel": linear.linear_regression,
        "regression.RandomForestRegressionModel": trees.tree_regression,
    }.items()
}
"""A saved stage's class to what makes its step."""


@dataclass(frozen=True)
class Program:
    """A compiled pipeline: a step for each stage, in order over the columns of ``schema``.

    ``before`` is what is known of the columns before each stage, and ``kinds`` of those at the end.
    """

    schema: pa.Schema
    stages: tuple[SavedStage, ...]
    steps: tuple[Apply, ...]
    before: tuple[Mapping[str, Kind], ...]
    kinds: Mapping[str, Kind]

    def run(self, events: pa.RecordBatch) -> Columns:
        """Return all columns after the last stage.

        Raises:
            ScoringError: a stage throws on a row, or a column is missing or of another type.
        """
        return self.completed(read_events(events, self.schema))

    def completed(self, columns: Columns) -> Columns:
        """Add to the columns of events those of all stages, and return them; raises ``ScoringError`` as :meth:`run`."""
        # An overflow or a NaN is a value of its own, in Java as here; what may not pass is found out by its value.
        with np.errstate(all="ignore"):
            for step in self.steps:
                step(columns)
        return columns


def read_events(events: pa.RecordBatch, schema: pa.Schema) -> Columns:
    """Return events as the first stage takes them.

    Raises:
        ScoringError: a column is missing or of another type, or a vector is null or of another size.
    """
    read = {field.name: read_column(_column(events, field), vector_size(field)) for field in schema}
    return Columns(read, events.num_rows)


def _column(events: pa.RecordBatch, field: pa.Field) -> pa.Array:
    position = events.schema.get_field_index(field.name)
    if position < 0 or events.schema.field(position).type != field.type:
        raise ScoringError(f"a batch of events has no column {field.name} of type {field.type}, which the model reads")
    return events.column(position)


def compile_pipeline(folder: Path, schema: pa.Schema) -> Program:
    """Return a saved pipeline as a program over events of ``schema``: strings, booleans, int32, int64, floats, lists.

    Raises:
        StageNotCompiledError: a stage has no compiled form; the first such is named.
        StageUnreadableError: files are damaged, or laid out in an unknown way.
    """
    stages = read_stages(folder)
    kinds = event_kinds(schema)
    steps, before = [], []
    for stage in stages:
        before.append(dict(kinds))
        steps.append(built(stage, kinds))
    return Program(schema=schema, stages=stages, steps=tuple(steps), before=tuple(before), kinds=kinds)


def event_kinds(schema: pa.Schema) -> dict[str, Kind]:
    """Return what is known of the events' columns, by their names in lower case."""
    return {field.name.lower(): _event_kind(field) for field in schema}


def _event_kind(field: pa.Field) -> Kind:
    if pa.types.is_list(field.type):
        size = vector_size(field)
        return Kind("array", field.type) if size is None else Kind("vector", pa.float64(), size)
    return Kind("text" if pa.types.is_string(field.type) else "number", field.type)


def built(stage: SavedStage, kinds: dict[str, Kind]) -> Apply:
    """Return a stage's step, and note in ``kinds`` what it writes.

    Raises:
        StageNotCompiledError: it has no compiled form over these columns.
        StageUnreadableError: its files are damaged, or laid out in an unknown way.
    """
    build = BUILDERS.get(stage.kind)
    if build is None:
        raise StageNotCompiledError(stage.uid, stage.kind, "this class has no compiled form")
    return build(Scope(stage, kinds))
