"""One try at a stretch of records: as it is, and if the pipeline throws, once more without the rows it throws on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from streaming.engines.isolate import Poison
from streaming.errors import ScoringError, UpstreamError
from streaming.models.ref import ModelVersion
from streaming.scoring.pipeline import SparkPipeline

T = TypeVar("T")
_CLIENTS = ("KafkaException", "org.apache.kafka.")


def attempt(
    run: Callable[[SparkPipeline], T], pipeline: SparkPipeline, version: ModelVersion, find: Callable[[], Poison]
) -> T:
    """Return what ``run`` returns; rows that ``find`` names become dead letters.

    Raises:
        ScoringError: it throws also without them, or too many rows throw; the fault is the version's.
    """
    try:
        return run(pipeline)
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
    poison = find()
    guarded = replace(pipeline, decoder=replace(pipeline.decoder, poison=poison))
    try:
        return run(guarded)
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
        cause = next(iter(str(problem).splitlines()), "")
        raise ScoringError(f"{version} throws with {len(poison)} rows kept from it: {cause}") from problem


def is_broker_trouble(problem: BaseException) -> bool:
    """Whether a Kafka client raised it, ours or Spark's; the model has no part in that, a bisection finds nothing."""
    return isinstance(problem, UpstreamError) or any(name in str(problem) for name in _CLIENTS)
