"""The rows of a batch that the fallback chain answers, beside those that the planned versions do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import functions as F

from streaming.events import columns as c
from streaming.events.rules import is_at
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.models.served import ServedModel
from streaming.rollout.frames import arm_number
from streaming.scoring.arms import ArmScorer


def with_degraded_rows(
    models: Sequence[ServedModel], arms: PlannedArms, parts: Sequence[DegradedPart], fallbacks: Sequence[ServedModel]
) -> ServedModel:
    """Return what scores a batch by the versions of its arms, and some rows by those of the chain.

    Args:
        models: the version of each arm.
        arms: the plan's arms.
        parts: the rows that the chain answers.
        fallbacks: the version of each part. Their numbers in ``columns.ARM`` follow those of the arms.
    """
    number = F.lit(0).cast("byte")
    if arms.assignment is not None:
        number = arm_number(arms.assignment, [arm.role for arm in arms.arms], F.col(c.KEY), F.col(c.EVENT_ID))
    for position, part in enumerate(parts, len(models)):
        number = F.when(is_at(part.rows), F.lit(position).cast("byte")).otherwise(number)
    references = tuple(model.reference for model in (*models, *fallbacks))
    return replace(references[0], scorer=ArmScorer(references, number))
