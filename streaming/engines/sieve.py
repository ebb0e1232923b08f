"""Finding the rows on which a pipeline throws by one Spark job in which nothing throws.

Spark fails a whole task for one row, tries it again, logs a stack trace each time, and does not say which row it was.
Its own ``TryEval``, which stands behind functions such as ``try_to_number``, makes a null of whatever an expression
throws. So each expression of the pipeline's plan is put into one, and a flag beside it says whether it threw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from streaming.engines.session_settings import settings_meanwhile
from streaming.events import columns as c

_THREW = c.PREFIX + "threw"
_SETTINGS = {
    # Else what two expressions share is computed before both, outside of the try.
    "spark.sql.subexpressionElimination.enabled": "false",
    # Else the search's own condition is moved below the projections, with all of the pipeline inside it.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.PushDownPredicates",
}


def throwing_rows(decoded: DataFrame, score: Callable[[DataFrame], DataFrame], most: int) -> list[tuple[int, int]]:
    """Return partition and offset of up to ``most`` rows on which ``score`` throws an exception.

    Args:
        decoded: Rows as a decoder gives them.
        score: Puts projections over a frame, and nothing else.
        most: After so many the search ends.

    Raises:
        PySparkException: Something throws outside of the JVM's expressions, or what it throws is no exception.
    """
    steps = list(_used(_steps(score(decoded), decoded)))
    with settings_meanwhile(decoded.sparkSession, _SETTINGS):
        rows = _flagged(decoded, steps).where(_THREW).select(c.PARTITION, c.OFFSET).limit(most).collect()
    return sorted((row[c.PARTITION], row[c.OFFSET]) for row in rows)


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


def _flagged(decoded: DataFrame, steps: list[list[Any]]) -> DataFrame:
    """Return the steps over ``decoded`` once more, with expressions that cannot throw, and the flag at the end."""
    catalyst = _Catalyst(decoded)
    plan = decoded.withColumn(_THREW, F.lit(False))._jdf.queryExecution().analyzed()
    for columns in reversed(steps):
        plan = catalyst.project(columns, plan)
    return catalyst.frame(plan)


class _Catalyst:
    """The few classes of Spark's planner that are needed."""

    def __init__(self, frame: DataFrame) -> None:
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

    def _named(self, flag: Any) -> Any:
        number = self._make.NamedExpression.newExprId()
        return self._make.Alias(
            flag, _THREW, number, self._sequence(), self._jvm.scala.Option.empty(), self._sequence()
        )

    def _sequence(self, *items: Any) -> Any:
        return self._jvm.PythonUtils.toSeq(list(items))
