"""An attempt at a stretch of records. If the pipeline throws, the rows at fault are left out in a second try."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from streaming.errors import ScoringError, TooManyThrowingRowsError
from streaming.ledger.arms import PlannedArms
from streaming.models.ref import ModelVersion
from streaming.models.seams import Poison
from streaming.models.served import ServedModel
from streaming.spark.causes import is_broker_trouble, root_cause

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")


def attempt(
    run: Callable[[ServedModel], T], model: ServedModel, find: Callable[[], Poison], arms: PlannedArms | None = None
) -> T:
    """Return what ``run`` returns; rows that ``find`` names become dead letters.

    Messages name ``arms`` where several versions score together, else the model's version.

    Raises:
        TooManyThrowingRowsError: ``find`` says so; trying again would find the same.
        ScoringError: it throws also without them; the fault is the version's.
    """
    scoring = arms or model.version
    try:
        return run(model)
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
        cause = root_cause(problem)
    poison = _search(scoring, find, cause)
    try:
        return run(model.rejecting(poison))
    except (PySparkException, Py4JJavaError) as problem:
        if is_broker_trouble(problem):
            raise
        raise ScoringError(f"{scoring} throws with {len(poison)} rows kept from it: {root_cause(problem)}") from problem


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
