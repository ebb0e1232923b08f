"""Refusing a pipeline whose plan would move, lose or invent rows.

Exactly-once needs one output per input in the input's partition and order, so a scoring plan is projections only.
"""

from __future__ import annotations

from pyspark.sql import DataFrame

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode
from streaming.spark.plan_nodes import analysed_kinds

ROWWISE = frozenset({"Project", "SubqueryAlias", "View", "LocalRelation", "LogicalRDD", "Range", "OneRowRelation"})
WHY = {
    "Filter": "it drops rows (handleInvalid=skip?); use keep or error",
    "Join": "it joins other data, which shuffles or loses rows",
    "Aggregate": "it groups rows",
    "Sort": "it reorders rows",
    "Window": "it looks at other rows",
}


def check_plan(scored: DataFrame) -> None:
    """Raise ``CandidateRefusedError`` unless the analysed plan is projections over its input."""
    for name in analysed_kinds(scored):
        if name not in ROWWISE:
            raise CandidateRefusedError(
                RefusalCode.UNSAFE_PLAN,
                f"the pipeline's plan has {name}: {WHY.get(name, 'it is not a projection of one row')}",
            )
