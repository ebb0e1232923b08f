"""A PipelineModel in the JVM. Calling it from the JVM's side costs one call a batch instead of dozens per stage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from streaming.errors import CandidateRefusedError
from streaming.events.decode import Decoder
from streaming.models.profile import ReferenceProfile
from streaming.scoring.layout import python_stage_refused
from streaming.scoring.results import Selections, result_selections
from streaming.scoring.stages import Outputs


@dataclass(frozen=True)
class SparkPipeline:
    """A loaded version: how its events are read, what runs, and where its result stands."""

    session: SparkSession
    model: Any
    decoder: Decoder
    outputs: Outputs
    profile: ReferenceProfile | None = None

    def transform(self, frame: DataFrame) -> DataFrame:
        """Append the pipeline's columns; lazy, one output row per input row."""
        return DataFrame(self.model.transform(frame._jdf), self.session)

    @cached_property
    def results(self) -> Selections:
        """What follows :meth:`transform`, made once."""
        return result_selections(self.outputs, self.decoder.signature.names, self.profile)

    def release(self) -> None:
        """Drop the JVM's reference, so that the model's broadcasts can be collected."""
        gateway = self.session.sparkContext._gateway
        if gateway is not None:
            gateway.detach(self.model)


def load_model(session: SparkSession, uri: str, *, saved_by_python: bool = False) -> Any:
    """Load a saved PipelineModel as a JVM object; pyspark saves nested pipelines in a way that only it reads.

    Raises:
        CandidateRefusedError: the files are not what Spark's loader expects, or a stage is a Python class.
    """
    jvm: Any = session._jvm
    try:
        if saved_by_python:
            return PipelineModel.load(uri)._to_java()
        return jvm.org.apache.spark.ml.PipelineModel.load(uri)
    except Py4JJavaError as problem:
        cause = problem.java_exception.toString().splitlines()[0]
        raise CandidateRefusedError("CORRUPT_FILES", f"Spark cannot load the pipeline: {cause}") from problem
    except (AttributeError, ImportError) as problem:
        raise python_stage_refused(f"that gives the error {str(problem)!r}") from problem
