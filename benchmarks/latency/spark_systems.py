"""Spark's own micro-batch as systems of the benchmark: as a user writes it, and tuned for latency."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.latency.system import System, Wiring
from jobs.wiring.jars import jars
from streaming.local.processes import ManagedProcess

HOME = Path(".penstock")


@dataclass(frozen=True)
class SparkSystem:
    """``benchmarks.latency.spark_job`` in one of its variants."""

    variant: str
    delivery: str = "at-least-once"

    @property
    def name(self) -> str:
        """``spark-default`` or ``spark-tuned``."""
        return f"spark-{self.variant}"

    @property
    def version(self) -> str:
        """PySpark's."""
        return f"pyspark {version('pyspark')}"

    def start(self, wiring: Wiring) -> ManagedProcess:
        """Start the query in a process of its own."""
        connector = ",".join(jars(HOME).connector_jars())
        module = f"benchmarks.latency.spark_{self.variant}"
        command = [sys.executable, "-m", module, connector, wiring.bootstrap, wiring.source, wiring.sink]
        command += [str(wiring.model.absolute()), str(wiring.folder.absolute() / "checkpoint"), wiring.workload]
        environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
        log = wiring.folder / f"{self.name}.log"
        return ManagedProcess(self.name, command, log=log, environment=environment, grace=5.0)


def systems() -> list[System]:
    """Return both."""
    return [SparkSystem("default"), SparkSystem("tuned")]
