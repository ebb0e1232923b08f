"""One try at a stretch of records: as it is, and if the pipeline throws, once more without the rows it throws on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from streaming.engines.causes import is_broker_trouble, root_cause
from streaming.engines.isolate import Poison
from streaming.errors import ScoringError, TooManyThrowingRowsError
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.scoring.pipeline import SparkPipeline

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")


def attempt(
    run: Callable[[SparkPipeline], T],
    pipeline: SparkPipeline,
    version: ModelVersion | PlannedArms,
    find: Callable[[], Poison],
) -> T:
    """Return what ``run`` returns; rows that ``find`` names become dead letters.

    ``version`` is what scores, for messages.

    Raises:
        TooManyThrowingRowsError: ``find`` says so; trying again would find the same.
        ScoringError: it throws also without them; the fault is the version's.
    """
    try:
        return run(pipeline)
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
        cause = root_cause(problem)
    poison = _search(version, find, cause)
    guarded = replace(pipeline, decoder=replace(pipeline.decoder, poison=poison))
    try:
        return run(guarded)
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
        raise ScoringError(f"{version} throws with {len(poison)} rows kept from it: {root_cause(problem)}") from problem


def _search(version: ModelVersion | PlannedArms, find: Callable[[], Poison], cause: str) -> Poison:
    """Return the rows to keep from the pipeline, and say in one line how many there are and what it throws."""
    began = time.monotonic()
    try:
        poison = find()
    except TooManyThrowingRowsError as problem:
        raise TooManyThrowingRowsError(f"{version} {problem}: {cause}") from None
    _log.warning(
        "pipeline throws on rows",
        model=str(version),
        rows=len(poison),
        cause=cause,
        seconds=round(time.monotonic() - began, 3),
    )
    return poison
