"""The physical limit of Spark's micro-batch between two topics: it copies keys and values, and does nothing else."""

from __future__ import annotations

from benchmarks.peers.spark_stream import read, start_session, write
from benchmarks.peers.task import Task, given_task


def main(task: Task) -> None:
    """Copy until the process is ended."""
    write(read(start_session(task), task).select("key", "value"), task)


if __name__ == "__main__":
    main(given_task())
