"""A loaded version: a PipelineModel in the JVM, how its events are read, and where its result stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import Column, DataFrame, SparkSession

from streaming.errors import CandidateRefusedError
from streaming.events.decode import JsonDecoder
from streaming.models.profile import ReferenceProfile
from streaming.refusal_codes import RefusalCode
from streaming.scoring.layout import python_stage_refused
from streaming.scoring.results import Selections, as_read, result_selections
from streaming.scoring.sizes import Sizes
from streaming.scoring.stages import Outputs, overwritten
from streaming.spark.jvm import detach
from streaming.spark.ml import load_pipeline, transformed


@dataclass(frozen=True)
class SparkPipeline:
    """A loaded version: how its events are read, what runs, and where its result stands."""

    session: SparkSession
    stages: tuple[Any, ...]
    """The JVM's stages in order, nested pipelines opened."""
    decoder: JsonDecoder
    outputs: Outputs
    profile: ReferenceProfile | None = None
    sizes: Sizes = ()
    is_proven: bool = False
    """True where the pipeline was seen not to throw on the decoder's safe row."""

    def transform(self, frame: DataFrame) -> DataFrame:
        """Append the pipeline's columns; lazy, one output row per input row."""
        return transformed(frame, self.stages, self.sizes)

    @cached_property
    def as_read(self) -> list[Column]:
        """Copies of the features that a stage overwrites, to be selected before :meth:`transform`."""
        return as_read(self._overwritten)

    @cached_property
    def results(self) -> Selections:
        """What follows :meth:`transform`, made once."""
        return result_selections(self.outputs, self.decoder.signature.names, self._overwritten, self.profile)

    @cached_property
    def _overwritten(self) -> frozenset[str]:
        return overwritten(self.stages, self.decoder.signature)

    def release(self) -> None:
        """Drop the JVM's references, so that the model's broadcasts can be collected."""
        detach(self.session, self.stages)


def load_model(session: SparkSession, uri: str, *, saved_by_python: bool = False) -> Any:
    """Load a saved PipelineModel as a JVM object; pyspark saves nested pipelines in a way that only it reads.

    Raises:
        CandidateRefusedError: the files are not what Spark's loader expects, or a stage is a Python class.
    """
    try:
        return load_pipeline(session, uri, saved_by_python=saved_by_python)
    except Py4JJavaError as problem:
        cause = problem.java_exception.toString().splitlines()[0]
        raise CandidateRefusedError(RefusalCode.CORRUPT_FILES, f"Spark cannot load the pipeline: {cause}") from problem
    except (AttributeError, ImportError) as problem:
        raise python_stage_refused(f"that gives the error {str(problem)!r}") from problem
