"""A verb's Spark session: spark-submit's, or one of its own whose JVM writes to a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.configuration.paths import require_writable
from jobs.process.quiet import stderr_to
from jobs.wiring.class_archive import archive_options
from streaming.adapters.session import SessionPlan, start_session
from streaming.settings import Settings


def submitted() -> bool:
    """Return whether spark-submit started this process, so that the JVM and its log are not ours."""
    return "PYSPARK_GATEWAY_PORT" in os.environ


def prepare_environment(settings: Settings) -> bool:
    """Set the variables that Spark reads, unless they are set; return :func:`submitted`."""
    # Spark's workers would otherwise take whichever python3 is first on the path, without pyarrow.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if not submitted() and (settings.spark.master or "local").startswith("local"):
        # The only way to tell Spark's user interface, if it is switched on, not to listen on all addresses.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    return submitted()


def require_log(log: Path) -> None:
    """Raise ``ConfigurationError`` if our own JVM could not write its log; see :func:`session`."""
    if not submitted():
        require_writable(log.parent, "the folder of Spark's log")


@contextmanager
def session(
    settings: Settings, name: str, log: Path, jars: Callable[[], Iterable[str]] = tuple
) -> Iterator[SparkSession]:
    """Yield the session and stop it at the end.

    Args:
        settings: say where Spark runs.
        name: the application's.
        log: where our own JVM's output goes.
        jars: gives what our own JVM needs beside Spark's; it may take its time, and is not asked under spark-submit.
    """
    plan = SessionPlan(name, prepare_environment(settings), settings.spark.master, settings.spark.conf)
    if plan.submitted:
        spark = start_session(plan)
    else:
        own = replace(plan, java_options=archive_options(), jars=tuple(map(Path, jars())))
        with stderr_to(log):
            spark = start_session(own)
    try:
        yield spark
    finally:
        spark.stop()
