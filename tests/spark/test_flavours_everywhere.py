"""Other libraries' models where Spark's are used: golden rows, streams and replays, files, and the bins of drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pyspark.sql import SparkSession

from streaming.batch.columns import BatchColumns, BatchStamp
from streaming.batch.files import list_files
from streaming.batch.needs import Needs
from streaming.batch.plan import Unit
from streaming.batch.scorer import BatchOutput, UnitScorer
from streaming.batch.source import BatchSource
from streaming.events import columns as c
from streaming.models.golden import GoldenRow, GoldenRows
from streaming.models.package import ModelPackage
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.ref import ModelVersion
from streaming.models.signature import UNNAMED
from streaming.settings import BatchSettings, EventSettings
from tests.support.flavours import (
    SIGNATURE,
    described,
    event_of,
    tensor_event,
)
from tests.support.libraries import LIBRARIES, MATRIX, POINTS, ROWS, Fitted, rows
from tests.support.models import load
from tests.support.records import records_frame, verdict_text
from tests.support.seeds import with_seeds

PROFILE = ReferenceProfile(
    (
        ColumnProfile("distance", "numeric", {0: 1}, edges=(500.0, 1500.0)),
        ColumnProfile("gust", "numeric", {0: 1}, edges=(20.0,)),
        ColumnProfile("night", "categorical", {0: 1}, categories=("true", "false")),
        ColumnProfile("prediction", "numeric", {0: 1}, edges=(1.0,)),
        ColumnProfile("confidence", "numeric", {0: 1}, edges=(0.5, 0.9)),
    ),
    100,
)


def proven(root: Path, expected: NDArray[np.float64]) -> ModelPackage:
    """Return the version with a golden row and, where its columns are single values, a profile."""
    package = described(root)
    first = POINTS[0].tolist() if package.signature == MATRIX else None
    values = {UNNAMED: first} if first else dict(zip(SIGNATURE.names, plain(rows().iloc[0]), strict=True))
    golden = GoldenRow(values, float(expected[0].argmax()), tuple(expected[0].tolist()))
    profile = ReferenceProfile(PROFILE.columns[3:], 100) if first else PROFILE
    return replace(package, golden=GoldenRows((golden,)), profile=profile)


def plain(row: Any) -> list[Any]:
    """Values as JSON has them."""
    return [None if value != value else value.item() if hasattr(value, "item") else value for value in row]


@pytest.mark.parametrize("fit", with_seeds(LIBRARIES, {"ONNX"}))
def test_streams_replays_and_files_have_the_librarys_own_answers_and_drift_has_their_bins(
    spark: SparkSession, tmp_path: Path, fit: Callable[[Path], Fitted]
) -> None:
    root, expected = fit(tmp_path / "model")
    served = load(spark, proven(root, expected), scorer="auto")
    assert served.choice.kind == "native"
    is_matrix = served.package.signature == MATRIX
    events = (
        [tensor_event(row, number) for number, row in enumerate(POINTS.tolist())]
        if is_matrix
        else [event_of(row, number) for number, row in enumerate(rows().astype(object).to_numpy())]
    )
    by_form = [model.score(records_frame(spark, [*events, b"{"])).collect() for model in (served, served.reference)]
    for *scored, broken in by_form:
        np.testing.assert_allclose([row[c.PROBABILITY] for row in scored], expected, rtol=0, atol=1e-6)
        assert [row[c.PREDICTION] for row in scored] == expected.argmax(axis=1).tolist()
        assert verdict_text(broken) == "MALFORMED_JSON"
    stream, reference = ([(bytes(row[c.BINS]), row[c.PROBABILITY]) for row in scored[:-1]] for scored in by_form)
    assert stream == reference
    assert {len(bins) for bins, _ in stream} == {2 if is_matrix else 5}
    (tmp_path / "in").mkdir()
    table = {UNNAMED: POINTS.tolist()} if is_matrix else {name: plain(rows()[name]) for name in SIGNATURE.names}
    ids = {"event_id": [f"e{number}" for number in range(ROWS)], "event_time": ["2013-01-01T05:15:00Z"] * ROWS}
    pd.DataFrame({**ids, **table}).to_parquet(tmp_path / "in" / "a.parquet")
    from_files = scored_files(spark, served, tmp_path)
    assert [from_files[f"e{number}"] for number in range(ROWS)] == [probability for _, probability in stream]


def scored_files(spark: SparkSession, model: Any, folder: Path) -> dict[str, list[float]]:
    """Score the files as ``penstock batch`` does; return the probabilities by event."""
    listing, envelope, settings = list_files(folder / "in"), EventSettings(), BatchSettings()
    signature = model.package.signature
    source = BatchSource.of(spark, "parquet", listing, Needs.of(signature, envelope, settings.keep), "utf-8")
    scorer = UnitScorer(
        source=source,
        model=model,
        envelope=envelope,
        columns=BatchColumns.of(source, signature, settings, envelope),
        output=BatchOutput("parquet"),
        max_poison_rows=5,
    )
    stamp = BatchStamp("b1", 0, ModelVersion("tiny", 1), datetime(2024, 5, 1, tzinfo=timezone.utc))
    counts = scorer.score(Unit(0, listing.digested()), folder, stamp)
    assert (counts.rows, counts.scored, counts.rejected) == (ROWS, ROWS, {})
    written = spark.read.parquet(str(folder / "scored")).collect()
    return {row["event_id"]: row["probability"] for row in written}
