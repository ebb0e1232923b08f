"""The drift job's state, kept next to its checkpoint on any file system that Spark can write to."""

from __future__ import annotations

import json
from typing import Any

from pyspark.sql import SparkSession

from streaming.spark.hadoop_files import HadoopFileStore

_KEPT = 3


class HadoopStateStore:
    """Implements :class:`streaming.drift.monitor.StateStore`: a new file each time, the newest few kept.

    A file that a crash left half written is no JSON, and the one before it counts.
    """

    def __init__(self, session: SparkSession, location: str) -> None:
        self._files = HadoopFileStore(session)
        self._folder = f"{location.rstrip('/')}/penstock-drift"
        self._names = sorted(self._files.names(self._folder))

    def save(self, batch: int, text: str) -> None:
        """Write the state after ``batch``; raises ``OSError``."""
        before = self._names[-1] if self._names else ""
        again = int(before[13:19]) + 1 if before.startswith(f"{batch:012d}-") else 0
        name = f"{batch:012d}-{again:06d}.json"
        self._files.write(f"{self._folder}/{name}", text.encode())
        self._names.append(name)
        for old in self._names[:-_KEPT]:
            self._files.delete(f"{self._folder}/{old}")
        self._names = self._names[-_KEPT:]

    def load(self) -> tuple[int, str] | None:
        """Return the newest whole state and its batch; raises ``OSError``."""
        for name in reversed(self._names):
            text = self._files.read(f"{self._folder}/{name}").decode("utf-8", "replace")
            if _whole(text):
                return int(name[:12]), text
        return None


def _whole(text: str) -> bool:
    try:
        state: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(state, dict)
