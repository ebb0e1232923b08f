"""Python's garbage collector in a job that runs for months."""

from __future__ import annotations

import gc


def freeze_startup_objects() -> None:
    """Exclude the objects of start-up from garbage collection. Call this once, after everything is imported.

    A full collection waits until a quarter more objects are there than after the last. The modules of Spark and MLflow
    are some 200,000, so it came every thirty swaps, and until then a replaced version's proxies kept their objects in
    the JVM, and each download its threads and sockets. Without the modules a full collection comes soon and is quick.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # counts what is left, nearly nothing
