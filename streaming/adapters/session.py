"""The Spark session: ours when the job is started by ``penstock``, the cluster's under ``spark-submit``."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import SparkSession

from streaming.secret_keys import KEY_PATTERN
from streaming.spark.codegen_stages import FLAG

RUNTIME = {
    "spark.sql.session.timeZone": "UTC",  # event times are written with a Z
    # Rows on their way to Python are bounded by their number alone: a bound in bytes is looked at after each row, in
    # each column, and took a quarter of the time in which a batch was scored.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "1000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
    # A strict decoder makes long methods, and HotSpot never compiles one of over 8,000 bytes: whole-stage code of that
    # size ran at half the speed of the same expressions in smaller methods. See streaming/spark/codegen_stages.py.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Source as text is two thirds of a task's plan, which is packed and unpacked for each task of each batch. What is
    # broadcast comes to an executor once.
    "spark.sql.codegen.broadcastCleanedSourceThreshold": "1000",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # the default has no zone, and overflows in 2262
    "spark.sql.streaming.stopTimeout": "30s",
    # Otherwise the listing of every folder that was ever read is kept, fifteen for each version that is loaded.
    "spark.sql.hive.filesourcePartitionFileCacheSize": "0",
    "spark.sql.streaming.pollingDelay": "1ms",  # between two looks for new events
    # A batch of one stage has nothing to adapt, and planning it twice takes time.
    "spark.sql.adaptive.streaming.stateless.enabled": "false",
    # The marks are the truth, not the checkpoint, which need not be proof against bit rot.
    "spark.sql.streaming.checkpoint.fileChecksum.enabled": "false",
    # Otherwise what asks for one field of a parsed event parses it again, for that field alone.
    "spark.sql.optimizer.enableJsonExpressionOptimization": "false",
    "spark.sql.json.enablePartialResults": "true",  # a mistyped column must not hide the others
}
"""Settings the engines rely on. They belong to the session, so they hold under spark-submit too."""

BUILD = {
    # Otherwise every expression that Python makes looks up the line of code it was made on: half of a small batch,
    # and all source files that were ever on the stack are kept in memory.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    # Over TCP, the last small piece of what a task sends its Python worker waits 40 ms for a delayed acknowledgement.
    "spark.python.unix.domain.socket.enabled": str(hasattr(socket, "AF_UNIX")).lower(),
    # The plan of each job's tasks is broadcast, through a buffer of this size. G1 puts the default's 4 MB beside its
    # regions, and began a concurrent collection every second for it.
    "spark.broadcast.blockSize": "256k",
}
"""Like :data:`RUNTIME`, but fixed once the session is there."""

LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
"""A local session talks to nobody but itself."""

COLLECTOR = "-XX:+UseParallelGC"
"""A batch allocates 30 MB, nearly all of it garbage when it is over. G1 kept the young generation small and collected
it every second, for 20 ms; and what it does at each write of a reference costs more than its short pauses are worth."""

_LOG4J = Path(__file__).with_name("log4j2.properties")

REDACTION = {
    # Of a key or a value, in Spark's user interface and event log. Spark's own expression knows no Azure keys, no JAAS
    # and no passwords in URLs.
    "spark.redaction.regex": rf"(?i){KEY_PATTERN}|://[^/\s:@]*:[^/\s@]+@",
    "spark.sql.redaction.options.regex": f"(?i)url|{KEY_PATTERN}",
}
"""What Spark is to mask in what it shows of its settings, and of the options of sources and sinks."""

STARTUP = {
    **REDACTION,
    "spark.driver.extraJavaOptions": " ".join(
        (f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}", "-Dnetlib.allowNativeBlas=false", FLAG, COLLECTOR)
    ),
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    # A job that runs for months would otherwise keep what its user interface shows.
    "spark.sql.ui.retainedExecutions": "20",
    "spark.ui.retainedJobs": "20",
    "spark.ui.retainedStages": "20",
    "spark.ui.retainedTasks": "50",
    "spark.sql.streaming.numRecentProgressUpdates": "20",
    "spark.driver.memory": "2g",
    "spark.sql.streaming.minBatchesToRetain": "20",
    "spark.cleaner.periodicGC.interval": "5min",
}
"""Defaults for a session that Penstock starts itself."""


@dataclass(frozen=True)
class SessionPlan:
    """How to come by a session.

    ``submitted``: a spark-submit started this process, so the JVM runs already and its master and jars are fixed.
    ``master``: ``None`` means ``local[N,4]``, where the 4 lets a failed task be tried again.
    ``jars``: the Kafka connector's, for a session started here; under spark-submit they come by ``--jars`` or
    ``--packages``, because one added now would be too late for the driver's class path.
    ``java_options``: of the JVM of a session started here, before ``spark.driver.extraJavaOptions``.
    """

    application: str
    submitted: bool = False
    master: str | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    jars: tuple[Path, ...] = ()
    java_options: str = ""


def start_session(plan: SessionPlan) -> SparkSession:
    """Return the active session, or start one by ``plan``. The user's ``spark.*`` settings win over our defaults."""
    builder = SparkSession.builder.appName(plan.application)
    settings = {**BUILD, **plan.conf}
    if not plan.submitted:
        master = plan.master or f"local[{os.cpu_count() or 2},4]"
        builder = builder.master(master)
        loopback = LOOPBACK if master.startswith("local") else {}
        of_plan = {
            "spark.jars": ",".join(str(jar) for jar in plan.jars),
            "spark.driver.defaultJavaOptions": plan.java_options,
        }
        settings = {**STARTUP, **loopback, **of_plan, **settings}
    for key, value in settings.items():
        builder = builder.config(key, value)
    started = builder.getOrCreate()
    for key, value in RUNTIME.items():
        started.conf.set(key, value)
    started.sparkContext.setLogLevel("ERROR")
    return started


def is_local(started: SparkSession) -> bool:
    """Return whether executors share the driver's file system because they are the driver."""
    master = str(started.sparkContext.master)
    return master == "local" or master.startswith("local[")
