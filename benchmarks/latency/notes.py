"""What a reader notes of each output: whose it is, when it was handed over, and what it predicts."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.latency.stats import Arrivals

_EVENT_ID = re.compile(rb'"event_id"\s*:\s*"?(\d+)')
_PREDICTION = re.compile(rb'"prediction"\s*:\s*(-?\d[\d.eE+-]*)')


@dataclass
class Notes:
    """What has arrived so far, in columns."""

    ids: array[int] = field(default_factory=lambda: array("q"))
    times: array[int] = field(default_factory=lambda: array("q"))
    predictions: array[float] = field(default_factory=lambda: array("d"))

    def add(self, value: bytes | None, now: int) -> None:
        """Note an output. Two searches in its JSON cost less than parsing it would."""
        text = value or b""
        name, prediction = _EVENT_ID.search(text), _PREDICTION.search(text)
        self.ids.append(int(name[1]) if name else -1)
        self.times.append(now)
        self.predictions.append(float(prediction[1]) if prediction else float("nan"))

    def arrivals(self) -> Arrivals:
        """Return the columns for computing."""
        return Arrivals(
            np.array(self.ids, np.int64), np.array(self.times, np.int64), np.array(self.predictions, np.float64)
        )

    def save(self, path: Path) -> None:
        """Write the columns; the file is there only when it is whole."""
        part, arrivals = path.with_suffix(".part"), self.arrivals()
        with part.open("wb") as out:
            np.savez(out, ids=arrivals.ids, times=arrivals.times, predictions=arrivals.predictions)
        part.rename(path)


def load_notes(path: Path) -> Arrivals:
    """Return what a reader has saved."""
    with np.load(path) as columns:
        return Arrivals(columns["ids"], columns["times"], columns["predictions"])
