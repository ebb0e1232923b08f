"""The session's JVM: whether it answers, how many tasks it can run, and a thread of it that sleeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pyspark.sql import SparkSession


def heartbeat(session: SparkSession) -> Callable[[], object]:
    """Return a question to the session's JVM that takes no time to answer; it waits for as long as the JVM hangs."""
    # Looked up once: for each part of a class's name, py4j makes the JVM search all of its jars.
    asked: Callable[[], object] = cast(Any, session._jvm).java.lang.System.nanoTime
    return asked


def task_slots(session: SparkSession) -> int:
    """Return how many tasks the cluster can run at the same time."""
    context = cast(Any, session.sparkContext)._jsc.sc()
    return int(context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))


def sleep(session: SparkSession, millis: int) -> None:
    """Hold this thread in the JVM, where the end of its query interrupts it.

    Raises:
        Py4JJavaError: it was interrupted.
    """
    cast(Any, session._jvm).java.lang.Thread.sleep(millis)


def detach(session: SparkSession, objects: tuple[Any, ...]) -> None:
    """Drop the JVM's references to objects that Python holds, so that they can be collected there."""
    gateway = session.sparkContext._gateway
    if gateway is not None:
        for held in objects:
            gateway.detach(held)
