"""Made-up tables for the workloads without real data: a wide mixed one, and images of 784 points (after Crayfish)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from streaming.clock import isoformat
from streaming.models.signature import Column, Signature

NUMBERS = tuple(f"n{number:02}" for number in range(40))
CATEGORIES = tuple(f"c{number}" for number in range(10))
POINTS = tuple(f"p{number:03}" for number in range(784))
CLASSES = 10
LABEL, TIME = "late", "event_time"
SEED, OTHER_SEED = 2_013, 2_014

MIXED = Signature(
    (
        *(Column(name, "double", required=number % 2 == 0) for number, name in enumerate(NUMBERS)),
        *(Column(name, "string") for name in CATEGORIES),
    )
)
"""Every second number is missing now and then."""
IMAGES = Signature(tuple(Column(name, "double") for name in POINTS))


def mixed(rows: int, seed: int) -> pd.DataFrame:
    """Return numbers, categories of 3 to 48 values, a label that hangs on some of them, and the time."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(0.0, 1.0, (rows, len(NUMBERS))).round(4)
    codes = {name: rng.integers(0, 3 + 5 * at, rows) for at, name in enumerate(CATEGORIES)}
    margin = numbers[:, :8].sum(1) / 2 + (codes["c0"] - 1) + rng.normal(0.0, 1.0, rows)
    numbers[:, 1::2][rng.random((rows, len(NUMBERS) // 2)) < 0.05] = np.nan
    table = pd.DataFrame(numbers, columns=list(NUMBERS))
    for name, values in codes.items():
        table[name] = [f"{name}-{value}" for value in values]
    return _labelled(table, margin > 0)


def images(rows: int, seed: int) -> pd.DataFrame:
    """Return noisy copies of ten random images, which of them each row is, and the time."""
    originals = np.random.default_rng(SEED).random((CLASSES, len(POINTS)))
    rng = np.random.default_rng(seed)
    which = rng.integers(0, CLASSES, rows)
    points = np.clip(originals[which] + rng.normal(0.0, 0.4, (rows, len(POINTS))), 0.0, 1.0).round(4)
    return _labelled(pd.DataFrame(points, columns=list(POINTS)), which)


def bodies(table: pd.DataFrame, signature: Signature) -> Iterator[bytes]:
    """Yield each row as an event without its opening brace and ``event_id``."""
    columns = [TIME, *signature.names]
    for row in pa.Table.from_pandas(table[columns], preserve_index=False).to_pylist():
        text = json.dumps(row | {TIME: isoformat(row[TIME])}, separators=(",", ":"), allow_nan=False)
        yield text[1:].encode()


def written(table: pd.DataFrame, folder: Path) -> str:
    """Write the table with an id and a key for each row, and return the file."""
    path = folder / "training.parquet"
    names = [str(number) for number in range(len(table))]
    table.assign(event_id=names, key=names).to_parquet(path, coerce_timestamps="us")
    return str(path)


def _labelled(table: pd.DataFrame, label: npt.NDArray[Any]) -> pd.DataFrame:
    table[LABEL] = label.astype(float)
    table[TIME] = pd.date_range("2026-01-01", periods=len(table), freq="10s", tz="UTC")
    return table
