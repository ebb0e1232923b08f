"""A frame's plans, node by node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyspark.sql import DataFrame


def nodes(plan: Any) -> Iterator[Any]:
    """Yield a plan's nodes, logical or physical, each before its children."""
    yield plan
    children = plan.children()
    for position in range(children.size()):
        yield from nodes(children.apply(position))


def analysed_kinds(frame: DataFrame) -> Iterator[str]:
    """Yield the kinds of node in a frame's analysed plan, such as ``Project``, from the top."""
    # Node names carry details for some leaves ("Range (0, 1)"), so the class's name is taken.
    return (str(node.getClass().getSimpleName()) for node in nodes(frame._jdf.queryExecution().analyzed()))


def operators(frame: DataFrame) -> Iterator[str]:
    """Yield the full class names of the operators in a frame's physical plan, from the top."""
    return (str(node.getClass().getName()) for node in nodes(frame._jdf.queryExecution().sparkPlan()))


def executed_nodes(frame: DataFrame) -> Iterator[Any]:
    """Yield the nodes that Spark would execute, compiled stages among them, from the top."""
    return nodes(frame._jdf.queryExecution().executedPlan())
