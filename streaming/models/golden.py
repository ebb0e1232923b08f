"""Golden rows: a few events with the output the model gave for them when it was trained.

A candidate that does not reproduce them on the serving cluster is refused. The file is ``penstock/golden.json`` beside
the version's ``MLmodel``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

PATH = "penstock/golden.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class GoldenRow:
    """One event's features, and what came out: ``probability`` is empty where the model gives none."""

    features: dict[str, Any]
    prediction: float
    probability: tuple[float, ...] = ()


@dataclass(frozen=True)
class GoldenRows:
    """The rows of one version; ``tolerance`` is the largest absolute difference that still counts as equal."""

    rows: tuple[GoldenRow, ...]
    tolerance: float = 1e-6

    def to_json(self) -> str:
        """Return the file's text."""
        rows = [{"features": r.features, "prediction": r.prediction, "probability": r.probability} for r in self.rows]
        return json.dumps({"schema_version": SCHEMA_VERSION, "tolerance": self.tolerance, "rows": rows}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> GoldenRows:
        """Read the file's text; raises ``ValueError`` or ``KeyError`` if it is not one of ours."""
        data = json.loads(text)
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"golden rows of schema version {data['schema_version']}, expected {SCHEMA_VERSION}")
        rows = tuple(GoldenRow(r["features"], r["prediction"], tuple(r["probability"])) for r in data["rows"])
        return cls(rows, data["tolerance"])
