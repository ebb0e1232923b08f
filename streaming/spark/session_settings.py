"""A session's settings changed for as long as something is planned or started, which keeps a copy of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import SparkSession

CHECKPOINT_MANAGER = "spark.sql.streaming.checkpointFileManagerClass"
PLAIN_CHECKPOINTS = {
    CHECKPOINT_MANAGER: "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager",
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "fs.file.impl.disable.cache": "true",  # in which the process has had the other for long
}
"""Make a query write its checkpoint by Hadoop's plain file system, which starts no process for it."""


@contextmanager
def settings_meanwhile(session: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Change the session's settings, and put back whatever was there, or nothing, at the end."""
    before = {key: session.conf.get(key, None) for key in settings}
    for key, value in settings.items():
        session.conf.set(key, value)
    try:
        yield
    finally:
        for key, earlier in before.items():
            if earlier is None:
                session.conf.unset(key)
            else:
                session.conf.set(key, earlier)
