"""Exported models beside compiled ones, over pipelines that are written without Spark."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from streaming.export.agreement import Agreement, AllowedGap, OnnxSession, agreement, compiled_answers
from streaming.export.form import onnx_form
from streaming.scoring.compiled.scorer import load_scorer
from tests.support.saved import Stage

EVENTS = pa.schema(
    [
        ("a", pa.float64()),
        ("b", pa.float64()),
        ("small", pa.float32()),
        ("n", pa.int64()),
        ("flag", pa.bool_()),
        ("word", pa.string()),
    ]
)
NAN = float("nan")
EXACT = AllowedGap(1e-12, 1e-12)


def dense(*values: float) -> dict[str, Any]:
    """Return a vector as Spark saves it."""
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def by_row(rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return a matrix as Spark saves it."""
    values = [float(value) for row in rows for value in row]
    shape = {"numRows": len(rows), "numCols": len(rows[0])}
    return {"type": 1, **shape, "colPtrs": None, "rowIndices": None, "values": values, "isTransposed": True}


def assembled(*names: str, into: str = "v", invalid: str = "keep") -> Stage:
    """Return a stage that puts columns one behind the other."""
    return ("feature.VectorAssembler", {"handleInvalid": invalid, "inputCols": list(names), "outputCol": into})


def edge_batch() -> pa.RecordBatch:
    """Return events of ``EVENTS`` with nulls, both zeros, bounds of the tests' buckets, and categories never seen."""
    numbers = [None, 0.0, -0.0, 0.1, 1.0, -1.0, 2.5, 2.4999999999999996, 1e6, 1.7976931348623157e308, 5e-324]
    small, whole, flags = [None, 0.1, -2.5, 16777217.0], [None, 0, 1, 7, -3], [None, True, False]
    others: list[list[Any]] = [small, whole, flags, [None, "", "x", "y", "never seen"]]
    pairs = list(itertools.product(numbers, [1.0, -0.5, None, 0.0]))
    rows = [
        (a, b, *(values[(position + shift) % len(values)] for shift, values in enumerate(others)))
        for position, (a, b) in enumerate(pairs * 3)
    ]
    columns = zip(*rows, strict=True)
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, EVENTS, strict=True)], schema=EVENTS)


def agreement_of(model: Path) -> Agreement:
    """Return how far the ONNX form of a saved pipeline agrees with its compiled form on :func:`edge_batch`."""
    scorer, events = load_scorer(model, EVENTS), edge_batch()
    answers = OnnxSession(onnx_form(scorer, np.float64)).answers(events)
    return agreement(events, answers, compiled_answers(scorer, events), EXACT)
