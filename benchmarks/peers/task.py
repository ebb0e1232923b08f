"""What a peer's process is told, as one JSON argument. It is read in their environments: standard library alone."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """Where one run of a peer reads, what it scores with, where it writes and how surely.

    Attributes:
        bootstrap: The broker, ``host:port``.
        source: The topic it reads, from the earliest offset.
        sink: The topic it writes.
        model: A folder with ``model.onnx``, ``mlflow/`` and ``features.json``.
        folder: Its own, for checkpoints and state.
        name: The system's, for ids of groups and transactions: each run has fresh topics, so nothing is left over.
        exactly_once: Whether its outputs are to be transactional.
    """

    bootstrap: str
    source: str
    sink: str
    model: str
    folder: str
    name: str
    exactly_once: bool

    @property
    def onnx(self) -> Path:
        return Path(self.model) / "model.onnx"

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def given_task() -> Task:
    """Return the task this process was started with."""
    return Task(**json.loads(sys.argv[1]))
