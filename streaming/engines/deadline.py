"""A bound on the time of a batch's Spark jobs, after which they are cancelled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.errors import PySparkException

from streaming.errors import TooSlowError

_GROUP = "spark.jobGroup.id"
"""The local property that has the query's group of jobs."""
_AGAIN_SECONDS = 0.2


@contextmanager
def deadline(context: SparkContext, seconds: float | None) -> Iterator[None]:
    """Cancel the jobs that this thread runs within the block once ``seconds`` have passed; ``None`` never does.

    What a cancelled task has written of its partition stays; the next attempt reads the mark.

    Raises:
        TooSlowError: they were cancelled.
    """
    group = context.getLocalProperty(_GROUP)
    if seconds is None or group is None:
        yield
        return
    done, cancelled = threading.Event(), threading.Event()

    def cancel() -> None:
        done.wait(seconds)
        # Again and again, as the first time may fall between two jobs.
        while not done.is_set():
            cancelled.set()
            context.cancelJobGroup(group)
            done.wait(_AGAIN_SECONDS)

    watch = threading.Thread(target=cancel, name="batch-deadline", daemon=True)
    watch.start()
    try:
        yield
    except (PySparkException, Py4JJavaError) as problem:
        if not cancelled.is_set():
            raise
        raise TooSlowError(f"the batch took more than {seconds:g} s (fallback.batch_seconds)") from problem
    finally:
        done.set()
        watch.join()
