"""The executor's clock as a column, which SQL has not: ``current_timestamp()`` stands still during a batch."""

from __future__ import annotations

from typing import Any

from pyspark import SparkContext
from pyspark.sql import Column
from pyspark.sql.classic.column import Column as JvmColumn
from pyspark.sql.classic.column import _to_seq

_INVOKE = "org.apache.spark.sql.catalyst.expressions.objects.StaticInvoke"
_UTILS = "org.apache.spark.sql.classic.ExpressionUtils"


def clock_millis() -> Column:
    """Return the milliseconds since 1970, read anew for each row.

    SQL's ``reflect`` would do, but Spark cannot compile it, nor then what stands in the same projection.
    """
    context: Any = SparkContext._active_spark_context
    jvm = context._jvm
    system = jvm.java.lang.Class.forName("java.lang.System")
    long = jvm.org.apache.spark.sql.types.DataTypes.LongType
    nothing = _to_seq(context, ())
    none = jvm.scala.Option.empty()
    call = getattr(jvm, _INVOKE)(system, long, "currentTimeMillis", nothing, nothing, True, False, False, none)
    return JvmColumn(getattr(jvm, _UTILS).column(call))
