"""The report's files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from streaming.backtest.comparison import compare
from streaming.backtest.options import Names
from streaming.backtest.paired import pair
from streaming.backtest.report import write_report


def side(scores: list[float], version: int) -> pa.Table:
    return pa.table(
        {
            "partition": [0] * len(scores),
            "offset": list(range(len(scores))),
            "event_id": [f"e{place}" for place in range(len(scores))],
            "prediction": [float(score > 0.5) for score in scores],
            "probability": [[1 - score, score] for score in scores],
            "model_version": [version] * len(scores),
        }
    )


def test_both_files_are_written_and_the_json_has_no_nan(tmp_path: Path) -> None:
    comparison = compare(pair(side([0.1, 0.9], 1), side([0.2, 0.4], 2)), Names("v1", "v2", "features"))
    machines, people = write_report(comparison, tmp_path / "report")
    found = json.loads(machines.read_text(), parse_constant=pytest.fail)
    assert (found["format"], found["verdict"]["word"]) == ("penstock.backtest.v1", "not told")
    assert people.read_text().startswith("<!doctype html>")
