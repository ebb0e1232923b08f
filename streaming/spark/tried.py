"""Projections with expressions that cannot throw, and a flag for each that says whether the original would have.

Spark's own ``TryEval``, which stands behind functions such as ``try_to_number``, makes a null of whatever an expression
throws. So each expression of a plan is put into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

SETTINGS = {
    # Otherwise what two expressions share is computed before both, outside of the try.
    "spark.sql.subexpressionElimination.enabled": "false",
    # Otherwise a condition on the flag is moved below the projections, with all of the pipeline inside it.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.PushDownPredicates",
}
"""What a session needs for as long as such a frame is executed."""


def tried(decoded: DataFrame, scored: DataFrame, flag: str) -> DataFrame:
    """Return the projections that ``scored`` has over ``decoded`` with expressions that cannot throw.

    Args:
        decoded: the rows before.
        scored: those rows under projections, and nothing else.
        flag: the name of a last column, true in the rows in which one of the expressions throws.
    """
    steps = list(_used(_steps(scored, decoded)))
    catalyst = _Catalyst(decoded, flag)
    plan = decoded.withColumn(flag, F.lit(False))._jdf.queryExecution().analyzed()
    for columns in reversed(steps):
        plan = catalyst.project(columns, plan)
    return catalyst.frame(plan)


def _steps(scored: DataFrame, decoded: DataFrame) -> Iterator[list[Any]]:
    """Yield the columns of each projection that ``scored`` has over ``decoded``, from the top."""
    node, below = (frame._jdf.queryExecution().analyzed() for frame in (scored, decoded))
    for _ in range(_depth(node) - _depth(below)):
        if node.getClass().getSimpleName() == "Project":
            yield list(_items(node.projectList()))
        node = node.children().apply(0)


def _depth(node: Any) -> int:
    """Return the number of nodes down to the first that has not exactly one child."""
    depth = 1
    while node.children().size() == 1:
        node = node.children().apply(0)
        depth += 1
    return depth


def _used(steps: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Leave out columns that nothing above reads: Spark does not compute them, so that they cannot throw."""
    read: set[int] | None = None
    for columns in steps:
        used = columns if read is None else [column for column in columns if _number(column) in read]
        read = {_number(name) for column in used for name in _items(column.references().toSeq())}
        yield used


def _number(column: Any) -> int:
    return int(column.exprId().id())


def _items(sequence: Any) -> Iterator[Any]:
    return (sequence.apply(position) for position in range(sequence.size()))


class _Catalyst:
    """The few classes of Spark's planner that are needed."""

    def __init__(self, frame: DataFrame, flag: str) -> None:
        self._flag = flag
        self._session = frame.sparkSession
        self._jvm = cast(Any, frame.sparkSession._jvm)
        self._make = self._jvm.org.apache.spark.sql.catalyst.expressions

    def frame(self, plan: Any) -> DataFrame:
        """Return a plan as a frame."""
        dataset = self._jvm.org.apache.spark.sql.classic.Dataset
        return DataFrame(dataset.ofRows(self._session._jsparkSession, plan), self._session)

    def project(self, columns: list[Any], below: Any) -> Any:
        """Return a projection over ``below`` that throws nothing. Its last column says what threw here or below."""
        safe, threw = [], below.output().last()
        for column in columns:
            computed = column.getClass().getSimpleName() == "Alias"
            if computed:
                threw = self._make.Or(threw, self._threw(column.child()))
            safe.append(column.withNewChildInternal(self._make.TryEval(column.child())) if computed else column)
        node = self._jvm.org.apache.spark.sql.catalyst.plans.logical.Project
        return node(self._sequence(*safe, self._named(threw)), below)

    def _threw(self, expression: Any) -> Any:
        """Return whether an expression throws: a structure around it is null then, and never else."""
        structure = self._make.CreateStruct.apply(self._sequence(expression))
        return self._make.IsNull(self._make.TryEval(structure))

    def _named(self, threw: Any) -> Any:
        number = self._make.NamedExpression.newExprId()
        return self._make.Alias(
            threw, self._flag, number, self._sequence(), self._jvm.scala.Option.empty(), self._sequence()
        )

    def _sequence(self, *items: Any) -> Any:
        return self._jvm.PythonUtils.toSeq(list(items))
