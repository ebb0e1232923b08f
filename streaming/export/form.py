"""A compiled pipeline drawn as an ONNX model: one graph from the events' columns to the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper

from streaming.errors import ExportRefusedError
from streaming.export import (
    category_nodes,
    distance_nodes,
    linear_nodes,
    number_nodes,
    tree_nodes,
    vector_nodes,
)
from streaming.export.class_nodes import largest
from streaming.export.context import NumberTensor, StageContext, any_row
from streaming.export.graph import IR_VERSION, ML, ML_OPSET, OPSET, Graph
from streaming.models.arrow_types import vector_size
from streaming.scoring.compiled.classes import named
from streaming.scoring.compiled.one_vs_rest import RAW, class_models
from streaming.scoring.compiled.program import built, event_kinds
from streaming.scoring.compiled.scope import Scope
from streaming.scoring.compiled.scorer import CompiledScorer
from streaming.scoring.edges import learnt
from streaming.version import __version__

AnswerName = Literal["prediction", "probability", "label", "rejected"]
REALS: dict[str, type[np.float64] | type[np.float32]] = {"float64": np.float64, "float32": np.float32}
"""A precision's name to the type of the graph's real numbers."""


def one_vs_rest(context: StageContext) -> None:
    """``OneVsRestModel``: the raw number that each classifier has for its own class."""
    graph, stage, raws = context.graph, context.stage, []
    for model in class_models(stage, stage.text("featuresCol")):
        inner = StageContext(Scope(model, context.scope.kinds), graph, dict(context.tensors), context.rejections)
        add_nodes(inner)
        raws.append(graph.to_column(graph.element(inner.tensor(RAW), 1)))
    raw = graph.add("Concat", *raws, axis=1)
    context.put(stage.text("rawPredictionCol"), raw)
    if prediction := named(context.scope, "predictionCol"):
        context.put_choice(prediction, largest(graph, raw))


NODES: Mapping[str, Callable[[StageContext], None]] = {
    f"org.apache.spark.ml.{name}": add
    for name, add in {
        "feature.Binarizer": number_nodes.binarizer,
        "feature.Bucketizer": number_nodes.bucketizer,
        "feature.ElementwiseProduct": vector_nodes.elementwise_product,
        "feature.ImputerModel": number_nodes.imputer,
        "feature.IndexToString": category_nodes.index_to_string,
        "feature.MaxAbsScalerModel": vector_nodes.max_abs_scaler,
        "feature.MinMaxScalerModel": vector_nodes.min_max_scaler,
        "feature.Normalizer": vector_nodes.normalizer,
        "feature.OneHotEncoderModel": category_nodes.one_hot_encoder,
        "feature.PCAModel": vector_nodes.principal_components,
        "feature.RobustScalerModel": vector_nodes.robust_scaler,
        "feature.StandardScalerModel": vector_nodes.standard_scaler,
        "feature.StringIndexerModel": category_nodes.string_indexer,
        "feature.VectorAssembler": number_nodes.vector_assembler,
        "feature.VectorSlicer": vector_nodes.vector_slicer,
        "classification.DecisionTreeClassificationModel": tree_nodes.tree_classifier,
        "classification.FMClassificationModel": linear_nodes.factorization_classifier,
        "classification.GBTClassificationModel": tree_nodes.boosted_classifier,
        "classification.LinearSVCModel": linear_nodes.linear_svc,
        "classification.LogisticRegressionModel": linear_nodes.logistic_regression,
        "classification.MultilayerPerceptronClassificationModel": linear_nodes.multilayer_perceptron,
        "classification.NaiveBayesModel": distance_nodes.naive_bayes,
        "classification.OneVsRestModel": one_vs_rest,
        "classification.RandomForestClassificationModel": tree_nodes.tree_classifier,
        "clustering.KMeansModel": distance_nodes.k_means,
        "regression.DecisionTreeRegressionModel": tree_nodes.tree_regression,
        "regression.FMRegressionModel": linear_nodes.factorization_regression,
        "regression.GBTRegressionModel": tree_nodes.boosted_regression,
        "regression.GeneralizedLinearRegressionModel": linear_nodes.generalized_linear_regression,
        "regression.LinearRegressionModel": linear_nodes.linear_regression,
        "regression.RandomForestRegressionModel": tree_nodes.tree_regression,
    }.items()
}
"""A saved stage's class to what adds its nodes."""


def add_nodes(context: StageContext) -> None:
    """Add a stage's nodes to the graph.

    Raises:
        ExportRefusedError: the stage has no ONNX form.
    """
    add = NODES.get(context.stage.kind)
    if add is None:
        raise context.refused("this class has none")
    add(context)


@dataclass(frozen=True)
class OnnxForm:
    """An ONNX model of a version.

    Attributes:
        model: takes a tensor (n) of each column of the events: texts, or doubles with NaN for null; a tensor
            (n, length) of doubles of a column of lists.
        outputs: what the model answers to the name of its tensor: ``prediction`` (n) as a double, ``rejected`` (n) as a
            boolean, and where the pipeline has them ``probability`` (n, classes) as doubles and ``label`` (n) as text.
        missing_text: stands for a null in a column of text.
    """

    model: onnx.ModelProto
    outputs: Mapping[AnswerName, str]
    missing_text: str


def onnx_form(scorer: CompiledScorer, real: type[np.float64] | type[np.float32]) -> OnnxForm:
    """Return a compiled pipeline as an ONNX model that computes in real numbers of a type.

    Raises:
        ExportRefusedError: a stage has no ONNX form; the first such is named.
    """
    program, graph = scorer.program, Graph(real)
    rejections: list[str] = []
    tensors = {field.name.lower(): _input(graph, field, rejections) for field in program.schema}
    kinds = event_kinds(program.schema)
    for stage in program.stages:
        context = StageContext(Scope(stage, kinds), graph, tensors, rejections)
        add_nodes(context)
        built(stage, kinds)
    answers = _answers(scorer, context)
    outputs: dict[AnswerName, str] = {answer: _free_name(answer, program.schema.names) for answer in answers}
    for answer, tensor in answers.items():
        graph.nodes.append(helper.make_node("Identity", [tensor], [outputs[answer]]))
    return OnnxForm(_model(graph, outputs, scorer), outputs, _missing_text(scorer))


def _input(graph: Graph, field: pa.Field, rejections: list[str]) -> NumberTensor | str:
    if vector_size(field) is not None:
        # No number of an event is NaN, so it stands for a list that is null, on which Spark's stages throw.
        rejections.append(graph.any_of(graph.add("IsNaN", field.name)))
        return graph.to_real(field.name)
    if pa.types.is_list(field.type):
        raise ExportRefusedError(f"the model has the column {field.name}, a list that no stage reads as a vector")
    if pa.types.is_string(field.type):
        return str(field.name)
    # A float of an event is read as the float next to it, and not as the double.
    read = graph.add("Cast", field.name, to=TensorProto.FLOAT) if pa.types.is_float32(field.type) else field.name
    return NumberTensor(graph.to_real(read), graph.add("IsNaN", field.name))


def _answers(scorer: CompiledScorer, context: StageContext) -> dict[AnswerName, str]:
    graph = context.graph
    prediction = graph.add("Cast", context.with_nan(scorer.prediction), to=TensorProto.DOUBLE)
    answers: dict[AnswerName, str] = {"prediction": prediction}
    if scorer.probability:
        answers["probability"] = graph.add("Cast", context.tensor(scorer.probability), to=TensorProto.DOUBLE)
    if scorer.label:
        answers["label"] = context.tensor(scorer.label)
    nobody = graph.add("And", graph.add("IsNaN", prediction), np.array(False))
    answers["rejected"] = any_row(graph, [nobody, *context.rejections])
    return answers


_TYPES: dict[AnswerName, int] = {
    "prediction": TensorProto.DOUBLE,
    "probability": TensorProto.DOUBLE,
    "label": TensorProto.STRING,
    "rejected": TensorProto.BOOL,
}


def _model(graph: Graph, outputs: Mapping[AnswerName, str], scorer: CompiledScorer) -> onnx.ModelProto:
    inputs = [_input_info(field) for field in scorer.program.schema]
    classes = scorer.program.kinds[scorer.probability.lower()].size if scorer.probability else 0
    results = [
        helper.make_tensor_value_info(name, _TYPES[answer], ["n", classes] if answer == "probability" else ["n"])
        for answer, name in outputs.items()
    ]
    drawn = helper.make_graph(graph.nodes, "penstock", inputs, results, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(ML, ML_OPSET)]
    model = helper.make_model(drawn, opset_imports=opsets, ir_version=IR_VERSION, producer_name="penstock")
    model.producer_version = __version__
    return model


def _input_info(field: pa.Field) -> onnx.ValueInfoProto:
    size = vector_size(field)
    kind = TensorProto.STRING if pa.types.is_string(field.type) else TensorProto.DOUBLE
    return helper.make_tensor_value_info(field.name, kind, ["n"] if size is None else ["n", size])


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _missing_text(scorer: CompiledScorer) -> str:
    """Return a text that no stage has learnt: the rules for it are those for a null."""
    return _free_name("__missing__", learnt(scorer.program.stages)[1])
