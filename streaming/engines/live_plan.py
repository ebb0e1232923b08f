"""Admission to the live engine: a version's whole plan must consist of operators that Spark's real-time mode takes.

Spark checks this, too, but only when the query starts. The version that serves would have to make room first.
"""

from __future__ import annotations

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.engines.live_arms import LiveArms
from streaming.engines.real_time import Route, outputs
from streaming.errors import CandidateRefusedError
from streaming.models.package import SPARK_FLAVOR
from streaming.models.served import ServedModel
from streaming.outputs.targets import Target, Targets
from streaming.refusal_codes import RefusalCode
from streaming.spark.plan_nodes import operators
from streaming.spark.real_time_operators import allowed_operators

_ANYWHERE = Target("any", 1, 2**31 - 1)
_ROUTE = Route(
    application="any", topic="any", targets=Targets(_ANYWHERE, _ANYWHERE, _ANYWHERE), options={}, checkpoint_seconds=0.0
)
_RECORD = (
    "key binary, value binary, headers array<struct<key:string,value:binary>>, partition int, offset bigint,"
    " timestamp timestamp"
)


def check_live(session: SparkSession, model: ServedModel) -> None:
    """Plan the query over a table in the stream's place, and compare the operators with Spark's list.

    Raises:
        CandidateRefusedError: ``NOT_LIVE``; one of them needs Python, or is not on the list.
    """
    if model.package.flavor != SPARK_FLAVOR:
        raise CandidateRefusedError(
            RefusalCode.NOT_LIVE,
            f"a version of the flavor {model.package.flavor} is scored in Python, and Spark's real-time mode runs no"
            " Python. Serve it with engine.kind exact, or log a pipeline of Spark ML",
        )
    if not model.scorer.is_proven:
        raise CandidateRefusedError(
            RefusalCode.NOT_LIVE,
            "the pipeline throws on the event that was made up to try it with, and no other is known. In a stream it"
            " would throw on each rejected event, for which a good one stands in. Log the version with an input_example"
            " or golden rows, or publish an event first, or serve it with engine.kind exact",
        )
    _check_lazy(session, model)
    # Read from something that varies; of constants, the optimizer would leave no plan to look at.
    scored = outputs(_records(session.range(1), "id"), LiveArms.only(model), _ROUTE)
    allowed = allowed_operators(session)
    for name in operators(scored):
        if name not in allowed:
            kind = name.rsplit(".", 1)[-1]
            why = "it runs Python" if "python" in name.lower() or "Python" in kind else "Spark's real-time mode has not"
            raise CandidateRefusedError(
                RefusalCode.NOT_LIVE,
                f"the pipeline's plan has {kind}: {why}. Serve this version with engine.kind exact, or leave the stage"
                " that needs it out",
            )


def _check_lazy(session: SparkSession, model: ServedModel) -> None:
    """Plan over a stream that is never started, where a stage cannot look at rows; over a table it could."""
    stream = session.readStream.format("rate").load()
    try:
        outputs(_records(stream, "value"), LiveArms.only(model), _ROUTE)
    except (PySparkException, Py4JJavaError) as problem:
        cause = next(iter(str(problem).splitlines()), "")
        raise CandidateRefusedError(
            RefusalCode.NOT_LIVE,
            f"the pipeline cannot be planned over a stream: {cause}. Perhaps a stage looks at a row when it is planned,"
            " as a VectorAssembler does for a vector of unknown size. Serve this version with engine.kind exact, or put"
            " a VectorSizeHint before that stage",
        ) from problem


def _records(rows: DataFrame, column: str) -> DataFrame:
    """Return rows with the columns of Kafka's source, made of any column."""
    return rows.select(F.from_json(F.col(column).cast("string"), _RECORD).alias("record")).select("record.*")
