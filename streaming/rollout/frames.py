"""The assignment in Spark's own expressions; :mod:`streaming.rollout.assignment` has it for one event and in Arrow."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

from streaming.rollout.assignment import ArmAssignment

_HEX_DIGITS = 8
"""Of four bytes, which a point is."""


def arm_number(assignment: ArmAssignment, arms: Sequence[str], key: Column, event_id: Column) -> Column:
    """Return the position in ``arms`` of each row's arm, as a byte.

    Args:
        assignment: says which points are whose.
        arms: the arms' names, among them all that the assignment names.
        key: the Kafka keys, binary.
        event_id: the events' ids, strings, for rows without a key. A row that has neither is of the first arm.
    """
    identity = F.coalesce(key, event_id.cast("binary"))
    digest = F.sha2(F.concat(F.lit(assignment.prefix), identity), 256)
    point = F.conv(F.substring(digest, 1, _HEX_DIGITS), 16, 10).cast("long")
    number = F.when(point.isNull(), F.lit(0))
    for span in assignment.intervals.spans:
        number = number.when(point < span.end, F.lit(arms.index(span.arm)))
    return number.cast("byte")
