"""The options of a comparison: the sides' names, and how to compare."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """What people call the sides, and where the events are from."""

    recorded: str
    candidate: str
    source: str


@dataclass(frozen=True)
class Options:
    """How to compare. ``metric`` decides the verdict (by default AUC, accuracy or mean absolute error).

    ``positive`` is the class that AUC, precision and recall are about, by default the second one. ``replicates`` is how
    often the bootstrap draws, 0 by the number of events; ``largest`` how many disagreements to list.
    """

    metric: str = ""
    positive: str = ""
    confidence: float = 0.95
    replicates: int = 0
    seed: int = 1
    largest: int = 20
