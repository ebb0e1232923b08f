"""Refusing a pipeline whose plan would move, lose or invent rows.

Exactly-once needs one output per input in the input's partition and order, so a scoring plan is projections only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame

from streaming.errors import CandidateRefusedError
from streaming.refusal_codes import RefusalCode

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
    plan = scored._jdf.queryExecution().analyzed()
    for node in nodes(plan):
        # Node names carry details for some leaves ("Range (0, 1)"), so the class's name is taken.
        name = str(node.getClass().getSimpleName())
        if name not in ROWWISE:
            raise CandidateRefusedError(
                RefusalCode.UNSAFE_PLAN,
                f"the pipeline's plan has {name}: {WHY.get(name, 'it is not a projection of one row')}",
            )


def nodes(plan: Any) -> Iterator[Any]:
    """Yield a plan's nodes, logical or physical, each before its children."""
    yield plan
    children = plan.children()
    for position in range(children.size()):
        yield from nodes(children.apply(position))
