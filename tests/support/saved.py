"""Pipelines on disk as Spark saves them, written without Spark."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Stage = tuple[str, Mapping[str, Any]]
"""The class's name below ``org.apache.spark.ml``, and its parameters."""


def save_pipeline(folder: Path, stages: Sequence[Stage], fitted: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a ``PipelineModel``; ``fitted`` has the one row of each class that has fitted values."""
    uids = [f"{kind.rsplit('.', 1)[-1]}_{number}a1b" for number, (kind, _) in enumerate(stages)]
    write_metadata(folder, "PipelineModel", {"stageUids": uids}, uid="pipeline")
    digits = len(str(len(stages)))
    for number, ((kind, parameters), uid) in enumerate(zip(stages, uids, strict=True)):
        stage = folder / "stages" / f"{number:0{digits}d}_{uid}"
        write_metadata(stage, kind, parameters, uid=uid)
        if kind in fitted:
            write_rows(stage / "data", fitted[kind])
    return folder


def write_metadata(folder: Path, kind: str, parameters: Mapping[str, Any], *, uid: str) -> None:
    """Write one stage's class and parameters; its defaults have a threshold that no test sets to the same."""
    (folder / "metadata").mkdir(parents=True)
    saved = {
        "class": f"org.apache.spark.ml.{kind}",
        "sparkVersion": "4.2.0",
        "uid": uid,
        "paramMap": parameters,
        "defaultParamMap": {"threshold": 0.9, "missingValue": "NaN"},
    }
    (folder / "metadata" / "part-00000-x.txt").write_text(json.dumps(saved))


def write_rows(folder: Path, *rows: Mapping[str, Any]) -> None:
    """Write fitted values."""
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), folder / "part-00000-x.snappy.parquet")
