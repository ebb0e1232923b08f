"""Made-up sides of a comparison, with as much or as little truth in them as a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.backtest.comparison import Comparison, compare
from streaming.backtest.disagreements import Values, no_values
from streaming.backtest.options import Names, Options
from streaming.backtest.paired import pair
from tests.support.laws import examples

START = datetime(2013, 6, 1, tzinfo=timezone.utc)
unhurried = examples(50)
"""For laws whose first example loads scipy or pyarrow, on a machine that has other things to do."""
NAMES = Names("v1, as served", "v2", "topic features")


def side(scores: Sequence[float], version: int = 1, **columns: Sequence[Any]) -> pa.Table:
    """Two classes by the probability of the second, one event after the other on partition 0; or other columns."""
    made: dict[str, Sequence[Any]] = {
        "partition": [0] * len(scores),
        "offset": range(len(scores)),
        "event_id": [f"e{position}" for position in range(len(scores))],
        "prediction": [float(score > 0.5) for score in scores],
        "probability": [[1 - score, score] for score in scores],
        "model_version": [version] * len(scores),
    }
    return pa.table({name: pa.array(list(values)) for name, values in {**made, **columns}.items()})


def labels(truth: Sequence[Any]) -> pa.Table:
    """Labels of the events of :func:`side`; none where the truth is ``None``."""
    labels = [(f"e{position}", str(value)) for position, value in enumerate(truth) if value is not None]
    return pa.table({"event_id": [name for name, _ in labels], "label": [value for _, value in labels]})


def times(events: int, every: timedelta = timedelta(minutes=30)) -> list[datetime]:
    """When the events happened."""
    return [START + position * every for position in range(events)]


def noisy(truth: Sequence[int], noise: float, seed: int) -> list[float]:
    """Scores that tell the truth through noise: the more of it, the worse the model."""
    drawn = np.random.default_rng(seed).normal(0, noise, len(truth))
    return [float(score) for score in 1 / (1 + np.exp(-(np.asarray(truth) * 2 - 1 + drawn)))]


def a_comparison(events: int = 400, noises: tuple[float, float] = (2.0, 0.7), values: Values = no_values) -> Comparison:
    """A candidate with less noise than what was served, by default, with labels and times."""
    truth = [int(bit) for bit in np.random.default_rng(5).random(events) < 0.4]
    sides = [
        side(noisy(truth, noise, seed), seed, event_time=times(events)) for seed, noise in enumerate(noises, start=1)
    ]
    return compare(pair(*sides), NAMES, labels(truth), values, Options(replicates=200))
