"""What the harness asks of anything it measures: a process that reads one topic, scores, and writes another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streaming.local.processes import ManagedProcess


@dataclass(frozen=True)
class Wiring:
    """Where a system reads, what it scores with, and where it writes.

    Attributes:
        bootstrap: The broker, ``host:port``.
        source: The topic it reads, from the earliest offset; two partitions.
        sink: The topic it writes, with as many partitions; a JSON value per event, with ``event_id`` and
            ``prediction``.
        model: A folder: ``pipeline/`` (saved Spark ``PipelineModel``), ``mlflow/`` (the MLflow model), ``model.onnx``,
            ``features.json`` (a list of ``{"name", "type", "required"}``).
        folder: The system's own, empty: logs, checkpoint, state.
        workload: ``flights``, ``mixed``, ``dense`` or ``copy``.
    """

    bootstrap: str
    source: str
    sink: str
    model: Path
    folder: Path
    workload: str


class System(Protocol):
    """One product in one configuration."""

    @property
    def name(self) -> str:
        """As the results show it (``spark-default``, ``quix-eos``)."""
        ...

    @property
    def version(self) -> str:
        """Of the product measured, as it reports it."""
        ...

    @property
    def delivery(self) -> str:
        """``exactly-once`` or ``at-least-once``."""
        ...

    def start(self, wiring: Wiring) -> ManagedProcess:
        """Start it in a process of its own and return at once; the harness waits for its first outputs."""
        ...


def interval_seconds(system: System) -> float:
    """Return the seconds between two pauses of a system that pauses by the clock and says so; 0 for others."""
    return float(getattr(system, "interval_seconds", 0.0))
