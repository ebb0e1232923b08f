"""Every private symbol of Spark that this package relies on, and which of them are not as expected.

``python -m streaming.spark.symbols`` prints those that moved in the pyspark of the environment it runs in; it needs
nothing else, so that a new release can be asked before anything is changed for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pyspark.sql import SparkSession

from streaming.spark.signatures import members_of

Symbols = Mapping[str, Mapping[str, tuple[str, ...]]]
"""Module of this package to class (or Python module), to the members relied on; see :mod:`.signatures`."""

_SQL = "org.apache.spark.sql"
_EXEC = f"{_SQL}.execution"
_RUN = f"{_EXEC}.streaming.runtime"
_CATALYST = f"{_SQL}.catalyst.expressions"
_KAFKA = f"{_SQL}.kafka010"
_MANGLED = f"{_RUN}.RealTimeModeAllowlist".replace(".", "$")

SYMBOLS: Symbols = {
    "batches": {
        "pyspark.core.context.SparkContext": ("_gateway",),
        "pyspark.sql.streaming.readwriter.DataStreamWriter": ("_spark", "_jwrite"),
        "pyspark.sql.utils.ForeachBatchFunction": (
            "__init__(self, session, func)",
            "call(self, jdf, batch_id)",
            "error",
        ),
        "pyspark.java_gateway": ("ensure_callback_server_started(gw)",),
        "pyspark.sql.dataframe.DataFrame": ("__new__(cls, jdf, sql_ctx)",),
        f"{_SQL}.classic.Dataset": ("sparkSession(): SparkSession",),
        f"{_EXEC}.streaming.sources.PythonForeachBatchHelper": (
            "callForeachBatch(DataStreamWriter, PythonForeachBatchFunction): void",
        ),
    },
    "clock_column": {
        "pyspark.core.context.SparkContext": ("_active_spark_context", "_jvm"),
        "pyspark.sql.classic.column": ("_to_seq(sc, cols, converter)",),
        "pyspark.sql.classic.column.Column": ("__init__(self, jc)",),
        f"{_CATALYST}.objects.StaticInvoke": (
            "new(Class, DataType, String, Seq, Seq, boolean, boolean, boolean, Option)",
        ),
        f"{_SQL}.classic.ExpressionUtils": ("column(Expression): Column",),
    },
    "codegen_stages": {
        "pyspark.sql.session.SparkSession": ("_jvm",),
        f"{_EXEC}.WholeStageCodegenExec": ("new(SparkPlan, int)",),
        f"{_EXEC}.InputAdapter": ("new(SparkPlan)",),
    },
    "exceptions": {"pyspark.errors.exceptions.captured.CapturedException": ("_origin",)},
    "hadoop_files": {
        "pyspark.sql.session.SparkSession": ("_jvm", "_jsc"),
        "pyspark.core.context.SparkContext": ("_jsc",),
    },
    "jvm": {
        "pyspark.sql.session.SparkSession": ("_jvm",),
        "pyspark.core.context.SparkContext": ("_jsc", "_gateway"),
        "org.apache.spark.SparkContext": (
            "maxNumConcurrentTasks(ResourceProfile): int",
            "resourceProfileManager(): ResourceProfileManager",
        ),
        "org.apache.spark.resource.ResourceProfileManager": ("defaultResourceProfile(): ResourceProfile",),
    },
    "kept_plan": {
        "pyspark.sql.session.SparkSession": ("_jvm",),
        "pyspark.sql.classic.dataframe.DataFrame": ("_jdf",),
        f"{_SQL}.classic.Dataset": ("queryExecution(): QueryExecution", "logicalPlan(): LogicalPlan"),
        f"{_EXEC}.QueryExecution": ("executedPlan(): SparkPlan", "toRdd(): RDD"),
        f"{_EXEC}.LogicalRDD": ("rdd(): RDD",),
        f"{_EXEC}.RDDScanExec": (
            "copy(Seq, RDD, String, Partitioning, Seq, Option): RDDScanExec",
            "output(): Seq",
            "name(): String",
            "outputPartitioning(): Partitioning",
            "outputOrdering(): Seq",
            "stream(): Option",
        ),
        f"{_EXEC}.SparkPlan": ("execute(): RDD", "executeTake(int): InternalRow[]"),
        f"{_EXEC}.ProjectExec": ("withNewChildInternal(SparkPlan): ProjectExec",),
        f"{_EXEC}.WholeStageCodegenExec": ("withNewChildInternal(SparkPlan): WholeStageCodegenExec",),
        f"{_EXEC}.InputAdapter": ("withNewChildInternal(SparkPlan): InputAdapter",),
        f"{_EXEC}.python.MapInArrowExec": ("withNewChildInternal(SparkPlan): MapInArrowExec",),
        f"{_EXEC}.CollectMetricsExec": (
            "withNewChildInternal(SparkPlan): CollectMetricsExec",
            "collectedMetrics(): Row",
            "resetMetrics(): void",
        ),
        "org.apache.spark.rdd.RDD": ("partitions(): Partition[]",),
    },
    "ml": {
        "pyspark.sql.session.SparkSession": ("_jvm",),
        "pyspark.sql.classic.dataframe.DataFrame": ("_jdf",),
        "pyspark.sql.dataframe.DataFrame": ("__new__(cls, jdf, sql_ctx)",),
        "pyspark.ml.pipeline.PipelineModel": ("_to_java(self)",),
        f"{_SQL}.classic.Dataset": ("withMetadata(String, Metadata): Dataset",),
        "org.apache.spark.ml.attribute.AttributeGroup": ("new(String, int)", "toMetadata(Metadata): Metadata"),
    },
    "plan_nodes": {
        "pyspark.sql.classic.dataframe.DataFrame": ("_jdf",),
        f"{_SQL}.classic.Dataset": ("queryExecution(): QueryExecution",),
        f"{_EXEC}.QueryExecution": ("analyzed(): LogicalPlan", "sparkPlan(): SparkPlan"),
        f"{_SQL}.catalyst.plans.logical.LogicalPlan": ("children(): Seq",),
        f"{_EXEC}.SparkPlan": ("children(): Seq",),
    },
    "query_run": {
        "pyspark.sql.session.SparkSession": ("_jvm", "_jsparkSession"),
        f"{_SQL}.classic.SparkSession": ("sharedState(): SharedState",),
        f"{_SQL}.internal.SharedState": ("activeStreamingQueries(): ConcurrentHashMap",),
        f"{_RUN}.StreamExecution": ("id(): UUID", "lastExecution(): IncrementalExecution"),
        f"{_RUN}.MicroBatchExecution": ("uniqueSources(): Map", "uniqueSources_$eq(Map): void"),
        f"{_EXEC}.SparkPlan": ("collectLeaves(): Seq", "longMetric(String): SQLMetric"),
        f"{_EXEC}.metric.SQLMetric": ("set(long): void",),
        f"{_EXEC}.datasources.v2.DataSourceRDDPartition": ("inputPartition(): Option",),
        f"{_KAFKA}.KafkaBatchInputPartition": ("offsetRange(): KafkaOffsetRange",),
        f"{_KAFKA}.KafkaOffsetRange": ("partition(): int",),
        f"{_SQL}.connector.read.streaming.ReadLimit": ("maxRows(long): ReadLimit",),
    },
    "real_time_operators": {
        "pyspark.sql.session.SparkSession": ("_jvm",),
        f"{_RUN}.RealTimeModeAllowlist$": (
            "MODULE$: RealTimeModeAllowlist$",
            f"{_MANGLED}$$allowedOperators(): Set",
        ),
    },
    "reports": {
        "pyspark.core.context.SparkContext": ("_jvm",),
        "pyspark.sql.streaming.query.StreamingQuery": ("_jsq",),
        "pyspark.sql.streaming.query.StreamingQueryManager": ("_jlistener",),
        "pyspark.sql.streaming.listener.JStreamingQueryListener": (
            "__init__(self, pylistener)",
            "onQueryProgress(self, jevent)",
            "pylistener",
        ),
        f"{_SQL}.streaming.PythonStreamingQueryListenerWrapper": ("new(PythonStreamingQueryListener)",),
    },
    "session_settings": {
        f"{_EXEC}.streaming.checkpointing.FileSystemBasedCheckpointFileManager": ("new(Path, Configuration)",),
    },
    "signatures": {"pyspark.sql.session.SparkSession": ("_jvm",)},
    "tried": {
        "pyspark.sql.session.SparkSession": ("_jvm", "_jsparkSession"),
        "pyspark.sql.classic.dataframe.DataFrame": ("_jdf",),
        f"{_SQL}.classic.Dataset": ("ofRows(SparkSession, LogicalPlan): Dataset",),
        f"{_CATALYST}.TryEval": ("new(Expression)",),
        f"{_CATALYST}.CreateStruct": ("apply(Seq): CreateNamedStruct",),
        f"{_CATALYST}.IsNull": ("new(Expression)",),
        f"{_CATALYST}.Or": ("new(Expression, Expression)",),
        f"{_CATALYST}.Alias": (
            "new(Expression, String, ExprId, Seq, Option, Seq)",
            "child(): Expression",
            "exprId(): ExprId",
            "references(): AttributeSet",
            "withNewChildInternal(Expression): Alias",
        ),
        f"{_CATALYST}.NamedExpression": ("newExprId(): ExprId",),
        f"{_CATALYST}.ExprId": ("id(): long",),
        f"{_CATALYST}.AttributeSet": ("toSeq(): Seq",),
        f"{_SQL}.catalyst.plans.logical.Project": (
            "new(Seq, LogicalPlan)",
            "projectList(): Seq",
            "children(): Seq",
            "output(): Seq",
        ),
        f"{_SQL}.catalyst.optimizer.PushDownPredicates": (),
        "org.apache.spark.api.python.PythonUtils": ("toSeq(List): Seq",),
    },
    "triggers": {
        "pyspark.sql.session.SparkSession": ("_jvm",),
        "pyspark.sql.streaming.query.StreamingQuery": ("_jsq",),
        f"{_RUN}.StreamingQueryWrapper": ("streamingQuery(): StreamExecution",),
        f"{_RUN}.MicroBatchExecution": ("triggerExecutor(): TriggerExecutor",),
        f"{_RUN}.ProcessingTimeExecutor": ("intervalMs: long", "clock: Clock"),
        "org.apache.spark.util.ManualClock": ("new(long)", "advance(long): void"),
    },
}


NEEDED_BY_ALL = ("exceptions", "hadoop_files", "jvm", "ml", "plan_nodes", "signatures")
"""Modules that load models and check them; nothing public does what they do."""
NEEDED_BY_LIVE = ("real_time_operators",)
NEEDED_BY_KEPT: Symbols = {
    module: symbols for module, symbols in SYMBOLS.items() if module not in (*NEEDED_BY_ALL, *NEEDED_BY_LIVE)
}
"""What only kept plans need, and what makes a query with them cheap."""


@dataclass(frozen=True)
class Moved:
    """A symbol that is not as expected.

    ``module`` of this package relies on ``member`` of ``owner``. ``instead`` are the owner's members of that name:
    empty where there are none, ``None`` where there is no such owner.
    """

    module: str
    owner: str
    member: str
    instead: tuple[str, ...] | None

    def __str__(self) -> str:
        """Say in a line what is expected and what is there."""
        expected = f"{self.module}: {self.owner}" + (f" has no {self.member}" if self.member else "")
        if self.instead is None:
            return f"{self.module}: there is no {self.owner}"
        return f"{expected}, but {' or '.join(self.instead)}" if self.instead else expected


def moved(session: SparkSession, symbols: Symbols = SYMBOLS) -> list[Moved]:
    """Return the symbols that this session's Spark does not have as they are expected; takes about half a second."""
    owners = {owner for by_owner in symbols.values() for owner in by_owner}
    members = {owner: members_of(session, owner) for owner in sorted(owners)}
    return [
        symbol
        for module, by_owner in symbols.items()
        for owner, expected in by_owner.items()
        for symbol in _moved_of(module, owner, expected, members[owner])
    ]


def _moved_of(module: str, owner: str, expected: tuple[str, ...], members: frozenset[str] | None) -> Iterator[Moved]:
    if members is None:
        # The connector comes in jars of its own, which need not be where this is asked.
        if not owner.startswith(_KAFKA):
            yield Moved(module, owner, "", None)
        return
    for member in expected:
        if member not in members:
            alike = sorted(other for other in members if _name(other) == _name(member))
            yield Moved(module, owner, member, tuple(alike))


def _name(member: str) -> str:
    return member.partition("(")[0].partition(":")[0]


def main() -> int:
    """Print what moved in the pyspark of this environment; return 1 if anything did."""
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    lines = [str(symbol) for symbol in moved(session)]
    count = sum(len(members) for by_owner in SYMBOLS.values() for members in by_owner.values())
    print(f"pyspark {session.version}: {len(lines)} of {count} private symbols moved", *lines, sep="\n")
    session.stop()
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
