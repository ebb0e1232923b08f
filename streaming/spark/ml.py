"""Pipelines in the JVM. Calling their stages there costs one call each instead of dozens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

Metadata = Mapping[str, Any]
"""Column to the metadata that it is to have; they are the JVM's objects."""


def load_pipeline(session: SparkSession, uri: str, *, saved_by_python: bool) -> Any:
    """Load a saved PipelineModel as a JVM object; pyspark saves nested pipelines in a way that only it reads.

    Raises:
        Py4JJavaError: the files are not what Spark's loader expects.
        AttributeError: a stage is a Python class, which the JVM cannot have.
        ImportError: likewise.
    """
    if saved_by_python:
        return PipelineModel.load(uri)._to_java()
    jvm: Any = session._jvm
    return jvm.org.apache.spark.ml.PipelineModel.load(uri)


def transformed(frame: DataFrame, stages: Sequence[Any], metadata: Sequence[Metadata] = ()) -> DataFrame:
    """Append the stages' columns, stage by stage, as pyspark does it; lazy.

    The JVM's PipelineModel first checks the columns of all stages together, and so refuses a stage that writes into its
    input column.

    Args:
        frame: what the first stage reads.
        stages: the JVM's, in order.
        metadata: for each stage what its columns are to have in place of what it says; empty: none has any.
    """
    java = frame._jdf
    for position, stage in enumerate(stages):
        java = _with_metadata(stage.transform(java), metadata[position] if metadata else {})
    return DataFrame(java, frame.sparkSession)


def with_metadata(frame: DataFrame, metadata: Metadata) -> DataFrame:
    """Return the frame with other metadata for some of its columns."""
    return DataFrame(_with_metadata(frame._jdf, metadata), frame.sparkSession)


def _with_metadata(java: Any, metadata: Metadata) -> Any:
    for name, replaced in metadata.items():
        java = java.withMetadata(name, replaced)
    return java


def vector_metadata(frame: DataFrame, name: str, size: int) -> Any:
    """Return a vector column's metadata with its size added."""
    jvm: Any = frame.sparkSession._jvm
    before = frame._jdf.schema().apply(name).metadata()
    return jvm.org.apache.spark.ml.attribute.AttributeGroup(name, size).toMetadata(before)
