"""Which systems are measured."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.latency import penstock_systems, spark_systems
from benchmarks.latency.system import System
from benchmarks.peers import systems as peers


def live_systems(boundary_seconds: float) -> list[System]:
    """Return our engines and Spark's micro-batch; between two boundaries of the live engine are so many seconds."""
    return [*penstock_systems.systems(boundary_seconds), *spark_systems.systems()]


def peer_systems(report: Callable[[str], None]) -> list[System]:
    """Return the peers that are installed here; ``report`` is told which are not."""
    return peers.systems(report)
