"""The sizes of vector columns, put into their metadata where a stage leaves them out.

A VectorAssembler needs the size of each vector that it joins. Where the metadata have none, as after a
PolynomialExpansion, it looks at the first row of the frame, and it does so whenever a plan is made: a job of its own in
each batch, and an error in a stream.
"""

from __future__ import annotations

from typing import Any

from pyspark.ml.linalg import VectorUDT
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from streaming.events.rules import quoted
from streaming.scoring.stages import class_name
from streaming.spark.ml import Metadata, transformed, vector_metadata, with_metadata

Sizes = tuple[Metadata, ...]
"""For each stage, the metadata of the vector columns whose size it leaves out."""

_SPARKS_OWN = "org.apache.spark.ml."
_LOOKING = ("org.apache.spark.ml.feature.VectorAssembler", "org.apache.spark.ml.feature.RFormulaModel")


def measured(stages: tuple[Any, ...], frame: DataFrame) -> Sizes:
    """Transform a row stage by stage, and return the sizes that are left out and that a later stage would look for.

    Args:
        stages: of the pipeline, in order.
        frame: one row or more on which the pipeline does not throw.
    """
    sizes: list[Metadata] = []
    for position, stage in enumerate(stages):
        frame = transformed(frame, [stage])
        sizes.append(_missing(frame) if any(map(_may_look, stages[position + 1 :])) else {})
        frame = with_metadata(frame, sizes[-1])
    return tuple(sizes)


def _may_look(stage: Any) -> bool:
    name = class_name(stage)
    return name in _LOOKING or not name.startswith(_SPARKS_OWN)


def _missing(frame: DataFrame) -> Metadata:
    names = [field.name for field in frame.schema.fields if _lacks_size(field)]
    row = frame.select(*(F.col(quoted(name)) for name in names)).first() if names else None
    vectors = {} if row is None else {name: row[name] for name in names}
    return {name: vector_metadata(frame, name, vector.size) for name, vector in vectors.items() if vector is not None}


def _lacks_size(field: StructField) -> bool:
    attributes = field.metadata.get("ml_attr", {})
    return isinstance(field.dataType, VectorUDT) and not {"attrs", "num_attrs"} & attributes.keys()
