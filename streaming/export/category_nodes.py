"""Nodes of the stages between categories and numbers: StringIndexer, OneHotEncoder, IndexToString."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from streaming.export.context import StageContext
from streaming.export.graph import ML
from streaming.scoring.compiled.indexing import index_labels


def string_indexer(context: StageContext) -> None:
    """``StringIndexerModel``: a category's position among the labels; all others have the next number."""
    keep = context.scope.handling("error", "keep") == "keep"
    for (source, target), texts in zip(context.scope.pairs(), context.stage.row()["labelsArray"], strict=True):
        if not texts:
            raise context.refused(f"it has learnt no category of {source}")
        if pa.types.is_floating(context.scope.any(source).arrow):
            raise context.refused(f"it indexes {source}, which holds real numbers")
        is_text = context.scope.any(source).family == "text"
        index = _index_of_text(context, source, texts) if is_text else _index_of_whole(context, source, texts)
        if not keep:
            context.reject(context.graph.add("Equal", index, np.array(len(texts))))
        context.put_choice(target, index)


def _index_of_text(context: StageContext, source: str, texts: list[str]) -> str:
    keys = {"keys_strings": texts, "values_int64s": range(len(texts)), "default_int64": len(texts)}
    return context.graph.add("LabelEncoder", context.tensor(source), domain=ML, **keys)


def _index_of_whole(context: StageContext, source: str, texts: list[str]) -> str:
    """A label is met as text, so one that is not spelt as Java spells whole numbers and booleans is never met."""
    graph, number = context.graph, context.number(source)
    is_boolean = pa.types.is_boolean(context.scope.any(source).arrow)
    spelt = {"false": 0, "true": 1} if is_boolean else {text: int(text) for text in texts if _is_whole(text)}
    labels = {spelt[text]: position for position, text in enumerate(texts) if text in spelt}
    whole = graph.to_whole(graph.add("Where", number.nulls, 0.0, number.values) if number.nulls else number.values)
    keys = {"keys_int64s": list(labels), "values_int64s": list(labels.values()), "default_int64": len(texts)}
    index = graph.add("LabelEncoder", whole, domain=ML, **keys) if labels else _all(context, whole, len(texts))
    return graph.add("Where", number.nulls, np.array(len(texts)), index) if number.nulls else index


def _is_whole(text: str) -> bool:
    try:
        return str(int(text)) == text and -(2**63) <= int(text) < 2**63
    except ValueError:
        return False


def _all(context: StageContext, like: str, value: int) -> str:
    return context.graph.add("Add", context.graph.add("Mul", like, np.array(0)), np.array(value))


def one_hot_encoder(context: StageContext) -> None:
    """``OneHotEncoderModel``: 1 at the category's position; what ``keep`` keeps comes after the last category."""
    graph, keep = context.graph, context.scope.handling("error", "keep") == "keep"
    counts, drop = context.stage.row()["categorySizes"], context.stage.flag("dropLast")
    pairs = context.scope.pairs()
    for values, (_, target), count in zip(
        [context.not_null(source) for source, _ in pairs], pairs, counts, strict=True
    ):
        context.reject(graph.add("Less", values, 0.0))
        inside = graph.add("Less", values, float(count))
        if not keep:
            context.reject(graph.add("Not", inside))
        category = graph.add("Where", inside, values, float(count))
        context.reject(graph.add("Not", graph.add("Equal", category, graph.add("Floor", category))))
        positions = np.arange(count + keep - drop, dtype=np.float64)
        context.put(target, graph.to_real(graph.add("Equal", graph.to_column(category), positions)))


def index_to_string(context: StageContext) -> None:
    """``IndexToString``: a position among the labels to its label."""
    graph, labels = context.graph, index_labels(context.scope)
    values = context.not_null(context.stage.text("inputCol"))
    index = graph.to_whole(graph.add("Where", graph.add("IsNaN", values), 0.0, values))
    inside = graph.add(
        "And",
        graph.add("GreaterOrEqual", index, np.array(0)),
        graph.add("Less", index, np.array(len(labels))),
    )
    context.reject(graph.add("Not", inside))
    safe = graph.add("Where", inside, index, np.array(0))
    context.put(context.stage.text("outputCol"), graph.add("Gather", np.array(labels, object), safe))
