"""A unit of files through the scorer: what is written, of which rows, in which format."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from streaming.batch.columns import SCORED, BatchColumns, BatchStamp
from streaming.batch.counts import BatchCounts
from streaming.batch.files import Format, list_files
from streaming.batch.needs import Needs
from streaming.batch.plan import Unit
from streaming.batch.scorer import BatchOutput, UnitScorer
from streaming.batch.sketch import quantiles
from streaming.batch.source import BatchSource
from streaming.errors import ConfigurationError, DataError, ScoringError
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.scoring.pipeline import SparkPipeline
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import BatchSettings, EventSettings
from tests.support import flavours
from tests.support.models import Shelf, Throws, fit_pipeline, load, retyped
from tests.support.seeds import names_with_seeds

MOMENT = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
AT = "2013-01-01T05:15:00Z"
ROWS: list[dict[str, Any]] = [
    {"event_id": "far", "event_time": AT, "carrier": "UA", "distance": 90.0, "gust": None, "note": 'say "hi", é'},
    {"event_id": "near", "event_time": AT, "carrier": "AA", "distance": 1.0, "gust": 2.5, "note": None},
    {"event_id": "unseen", "event_time": AT, "carrier": "ZZ", "distance": 90.0, "gust": None, "note": "x"},
    {"event_id": "absent", "event_time": AT, "carrier": "UA", "distance": None, "gust": None, "note": None},
    {"event_id": None, "event_time": AT, "carrier": "UA", "distance": 7.0, "gust": None, "note": None},
]
SCHEMA = pa.schema([(name, pa.float64() if name in ("distance", "gust") else pa.string()) for name in ROWS[0]])
REASONS = {
    "unseen": ("UNSEEN_CATEGORY", "carrier"),
    "absent": ("MISSING_FIELD", "distance"),
    None: ("MISSING_FIELD", "event_id"),
}


@pytest.fixture(scope="module")
def model(shelf: Shelf) -> ServedModel:
    return shelf.model(fit_pipeline)


@dataclass
class Bench:
    """Scores everything below ``inputs`` as one unit, and reads back what was written."""

    spark: SparkSession
    model: ServedModel
    folder: Path
    format: Format = "parquet"
    out: Format = "parquet"
    keep: Any = ()
    partition_by: tuple[str, ...] = ()
    envelope: EventSettings = field(default_factory=EventSettings)
    most_poison: int = 5
    encoding: str = "utf-8"

    @property
    def inputs(self) -> Path:
        (self.folder / "in").mkdir(exist_ok=True)
        return self.folder / "in"

    def write(self, rows: list[dict[str, Any]], name: str = "a") -> None:
        path = self.inputs / f"{name}.{self.format}"
        path.parent.mkdir(exist_ok=True)
        table = pa.Table.from_pylist(rows, SCHEMA)
        if self.format == "parquet":
            pq.write_table(table, path)
        elif self.format == "csv":
            table.to_pandas().to_csv(path, index=False)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def score(self) -> BatchCounts:
        listing = list_files(self.inputs)
        settings, signature = BatchSettings(keep=self.keep), self.model.package.signature
        needs = Needs.of(signature, self.envelope, settings.keep)
        source = BatchSource.of(self.spark, self.format, listing, needs, self.encoding)
        columns = BatchColumns.of(source, signature, settings, self.envelope)
        output = BatchOutput(self.out, self.partition_by)
        scorer = UnitScorer(source, self.model, self.envelope, columns, output, self.most_poison)
        stamp = BatchStamp("b1", 3, ModelVersion("tiny", 4), MOMENT)
        return scorer.score(Unit(3, listing.digested()), self.folder, stamp)

    def read(self, kind: str) -> list[dict[str, Any]]:
        reader = self.spark.read.options(header="true", escape='"').format(self.out)
        return [row.asDict(recursive=True) for row in reader.load(str(self.folder / kind)).collect()]


@pytest.fixture
def bench(spark: SparkSession, model: ServedModel, tmp_path: Path) -> Bench:
    return Bench(spark, model, tmp_path)


@pytest.mark.long
def test_a_model_of_another_library_scores_files(spark: SparkSession, tmp_path: Path) -> None:
    data = lightgbm.Dataset(np.arange(100.0).reshape(-1, 1), np.arange(100) > 50, feature_name=["distance"])
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, data, num_boost_round=3)
    root = flavours.saved("lightgbm", booster, tmp_path / "model", flavours.DISTANCE)
    bench = Bench(spark, load(spark, flavours.described(root)), tmp_path)
    rows = [("far", 99.0), ("near", 1.0), ("none", None)]
    bench.write([{"event_id": name, "event_time": AT, "distance": distance} for name, distance in rows])
    counts = bench.score()
    assert (counts.rows, counts.scored, counts.rejected) == (3, 2, {"MISSING_FIELD": 1})
    late = dict(zip(["far", "near"], flavours.predicted(booster, pd.DataFrame({"distance": [99.0, 1.0]})), strict=True))
    for row in bench.read("scored"):
        share = late[row["event_id"]]
        assert (row["prediction"], row["probability"]) == (float(share > 0.5), [1 - share, share])


@pytest.mark.parametrize("kind", ["parquet", pytest.param("csv", marks=pytest.mark.long), "json"])
def test_every_row_is_scored_or_rejected_with_its_reason_whatever_the_format(kind: Format, bench: Bench) -> None:
    bench.format, bench.keep = kind, ("note", "gust")
    bench.write(ROWS)
    counts = bench.score()
    assert (counts.rows, counts.scored) == (5, 2)
    assert counts.rejected == {"UNSEEN_CATEGORY": 1, "MISSING_FIELD": 2}
    scored = {row["event_id"]: row for row in bench.read("scored")}
    assert list(scored["far"]) == ["event_id", "note", "gust", *SCORED[1:]]
    far, near = scored["far"], scored["near"]
    assert (far["prediction"], near["prediction"]) == (1.0, 0.0)
    assert (far["note"], near["gust"]) == ('say "hi", é', "2.5" if kind == "csv" else 2.5)
    assert far["confidence"] == max(far["probability"])
    assert (far["risk_category"], near["risk_category"]) == ("high", "low")
    assert (far["model_name"], far["model_version"], far["batch_id"]) == ("tiny", 4, "b1")
    assert far["predicted_at"] == MOMENT.replace(tzinfo=None)
    rejected = bench.read("rejected")
    if kind == "json":
        assert all(isinstance(row["line"], bytes | bytearray) for row in rejected)
        assert [json.loads(row["line"]) for row in rejected] == ROWS[2:]
        rejected = [{**json.loads(row["line"]), **row} for row in rejected]
    else:
        assert [{name: row[name] for name in ROWS[2] if name not in ("distance", "gust")} for row in rejected] == [
            {name: value for name, value in row.items() if name not in ("distance", "gust")} for row in ROWS[2:]
        ]
    assert {row["event_id"]: (row["reason"], row["field"]) for row in rejected} == REASONS
    assert all(row["message"].startswith(f"{row['field']}: ") for row in rejected)


@pytest.fixture(scope="module")
def one_pass(spark: SparkSession, shelf: Shelf) -> ServedModel:
    """The same version, which the compiled form scores."""
    return load(spark, shelf.package(fit_pipeline), scorer="compiled")


@pytest.mark.parametrize("kind", names_with_seeds(("parquet", "csv", "json"), {"json"}))
def test_the_compiled_form_writes_what_sparks_pipeline_writes(
    kind: Format, bench: Bench, one_pass: ServedModel
) -> None:
    bench.format, bench.keep = kind, ("note", "gust")
    bench.write(ROWS)
    expected, rows = bench.score(), bench.read("scored")

    bench.model = one_pass
    counts = bench.score()

    assert (counts.rows, counts.scored, counts.rejected) == (expected.rows, expected.scored, expected.rejected)
    by_id = {row["event_id"]: row for row in bench.read("scored")}
    for row in rows:
        assert by_id[row["event_id"]] == {
            **row,
            "probability": pytest.approx(row["probability"], rel=1e-12),
            "confidence": pytest.approx(row["confidence"], rel=1e-12),
        }


@pytest.mark.parametrize("kind", ["parquet", pytest.param("json", marks=pytest.mark.long)])
def test_where_the_compiled_form_throws_and_spark_does_not_the_unit_is_sparks(
    kind: Format, bench: Bench, one_pass: ServedModel
) -> None:
    # Here, so that it is pickled whole: workers do not import this module.
    class Failing:
        def score(self, _: pa.RecordBatch) -> pa.RecordBatch:
            raise ScoringError("only the compiled form throws this")

    assert isinstance(one_pass.row_pass, JsonRowPass)
    bench.format, bench.model = kind, replace(one_pass, row_pass=replace(one_pass.row_pass, scorer=Failing()))
    bench.write(ROWS[:2])

    counts = bench.score()

    assert (counts.scored, counts.rejected) == (2, {})


@pytest.mark.parametrize("out", ["csv", pytest.param("json", marks=pytest.mark.long)])
def test_rows_are_written_as_text_where_that_is_asked_for(out: Format, bench: Bench) -> None:
    bench.out, bench.keep = out, "all"
    bench.write(ROWS)
    bench.score()
    far = next(row for row in bench.read("scored") if row["event_id"] == "far")
    assert far["note"] == 'say "hi", é'
    probability = json.loads(far["probability"]) if out == "csv" else far["probability"]
    assert math.isclose(sum(probability), 1.0)
    assert len(bench.read("rejected")) == 3


@pytest.mark.long
def test_bytes_are_text_where_the_model_reads_text_and_in_base64_elsewhere(bench: Bench) -> None:
    bench.out, bench.keep = "csv", ("carrier", "blob")
    names = {name: [str(row[name]) for row in ROWS[:2]] for name in ("event_id", "event_time")}
    columns = {"carrier": [b"UA", b"\xff"], "distance": [90.0, 1.0], "blob": [b"\x00\xff", None]}
    pq.write_table(pa.table({**names, **columns}), bench.inputs / "a.parquet")
    assert bench.score().rejected == {"WRONG_TYPE": 1}
    assert [(row["carrier"], row["blob"]) for row in bench.read("scored")] == [("UA", "AP8=")]
    assert [(row["field"], row["carrier"]) for row in bench.read("rejected")] == [("carrier", "/w==")]


def test_columns_of_folders_are_kept_and_made(bench: Bench) -> None:
    bench.keep, bench.partition_by = ("month",), ("risk_category",)
    bench.write(ROWS[:1], "month=1/a")
    bench.write(ROWS[1:2], "month=2/a")
    bench.score()
    assert sorted(path.name for path in (bench.folder / "scored").glob("risk*")) == [
        "risk_category=high",
        "risk_category=low",
    ]
    assert {row["event_id"]: row["month"] for row in bench.read("scored")} == {"far": "1", "near": "2"}
    assert not (bench.folder / "rejected").exists()


@pytest.mark.long
def test_a_malformed_csv_row_is_rejected_with_its_text_and_a_quoted_comma_is_none(bench: Bench) -> None:
    bench.format = "csv"
    header = ",".join(ROWS[0])
    (bench.inputs / "a.csv").write_text(f'{header}\ne1,{AT},UA,90,,"a, ""b"""\ne2,{AT},UA,90\ne3,{AT},UA,90,1,2,3\n')
    counts = bench.score()
    assert (counts.scored, counts.rejected) == (1, {"MALFORMED_ROW": 2})
    assert [row["row_text"] for row in bench.read("rejected")] == [
        f"e2,{AT},UA,90".encode(),
        f"e3,{AT},UA,90,1,2,3".encode(),
    ]


@pytest.mark.long
def test_csv_files_with_their_columns_in_another_order_are_not_mixed_up(bench: Bench) -> None:
    bench.format, bench.keep = "csv", ("note", "gust", "extra")
    bench.write(ROWS[:1])
    turned = [*reversed(ROWS[0]), "extra"]
    values = {**ROWS[1], "extra": "more"}
    (bench.inputs / "b.csv").write_text(
        ",".join(turned) + "\n" + ",".join(str(values[name] or "") for name in turned) + "\n"
    )
    assert bench.score().scored == 2
    scored = {
        row["event_id"]: (row["prediction"], row["note"], row["gust"], row["extra"]) for row in bench.read("scored")
    }
    assert scored == {"far": (1.0, 'say "hi", é', None, None), "near": (0.0, None, "2.5", "more")}


@pytest.mark.long
def test_json_lines_whose_fields_vary_are_read_by_their_names(bench: Bench) -> None:
    bench.format, bench.keep = "json", ("extra", "gust")
    lines = [
        {"event_id": "e1", "event_time": AT, "carrier": "UA", "distance": 90},
        {"extra": "more", "gust": 2.5, "distance": 1.5, "carrier": "AA", "event_time": AT, "event_id": "e2"},
    ]
    (bench.inputs / "a.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert bench.score().scored == 2
    scored = {row["event_id"]: (row["prediction"], row["extra"], row["gust"]) for row in bench.read("scored")}
    assert scored == {"e1": (1.0, None, None), "e2": (0.0, "more", 2.5)}


def test_a_file_that_cannot_be_read_is_named_and_no_fault_of_the_model(bench: Bench) -> None:
    bench.write(ROWS[:1])
    bench.write(ROWS[:1], "b")
    damaged = bytearray((bench.inputs / "b.parquet").read_bytes())
    damaged[4:60] = b"\xff" * 56
    (bench.inputs / "b.parquet").write_bytes(damaged)
    with pytest.raises(DataError, match=r"^/\S+/in/b\.parquet cannot be read"):
        bench.score()


@pytest.mark.parametrize(
    ("keep", "message"),
    [(("nonsense",), "the input does not have"), (("prediction",), "has the name of one that is added")],
    ids=["absent", "taken"],
)
def test_a_column_that_cannot_be_kept_is_refused(keep: tuple[str, ...], message: str, bench: Bench) -> None:
    bench.keep = keep
    table = pa.table({**{name: ["x"] for name in SCHEMA.names}, "prediction": [1.0]})
    pq.write_table(table, bench.inputs / "a.parquet")
    with pytest.raises(ConfigurationError, match=message):
        bench.score()


@pytest.mark.long
def test_a_row_on_which_the_pipeline_throws_is_rejected_and_the_others_are_scored(bench: Bench) -> None:
    bench.model = retyped(bench.model, Throws)
    bench.write([{**ROWS[0], "event_id": f"e{i}", "distance": float(i)} for i in range(1, 30)])
    counts = bench.score()
    assert (counts.rows, counts.scored, counts.rejected) == (29, 27, {"SCORING_FAILED": 2})
    assert [row["distance"] for row in bench.read("rejected")] == [13.0, 26.0]


@pytest.mark.long
def test_a_pipeline_that_throws_on_more_rows_than_are_allowed_stops_the_batch(bench: Bench) -> None:
    bench.model, bench.most_poison = retyped(bench.model, Throws), 1
    bench.write([{**ROWS[0], "event_id": f"e{i}", "distance": float(i)} for i in range(1, 30)])
    with pytest.raises(ScoringError, match=r"more than 1 rows .*: .*unlucky"):
        bench.score()


@dataclass(frozen=True)
class _Blank(SparkPipeline):
    """A real pipeline whose prediction is NaN for some rows, as that of a broken regressor would be."""

    def transform(self, frame: DataFrame) -> DataFrame:
        scored = super().transform(frame)
        blank = F.when(F.col("distance") == 13, F.lit(float("nan"))).otherwise(F.col("prediction"))
        return scored.withColumn("prediction", blank)


def test_a_prediction_that_is_none_is_rejected(bench: Bench) -> None:
    bench.model = retyped(bench.model, _Blank)
    bench.write([{**ROWS[0], "distance": float(i)} for i in range(10, 16)])
    counts = bench.score()
    assert (counts.scored, counts.rejected) == (5, {"INVALID_PREDICTION": 1})
    assert [(row["distance"], row["reason"]) for row in bench.read("rejected")] == [(13.0, "INVALID_PREDICTION")]


def test_the_scores_of_several_units_add_up_to_the_batch_s_quantiles(bench: Bench) -> None:
    sketches: list[str] = []
    for part in (range(50), range(50, 100)):
        bench.write([{**ROWS[0], "distance": float(i)} for i in part])
        sketches += bench.score().sketches
        scores = sorted(row["probability"][1] for row in bench.read("scored"))
    result = quantiles(bench.spark, sketches)
    assert list(result) == ["p01", "p05", "p25", "p50", "p75", "p95", "p99"]
    assert list(result.values()) == sorted(result.values())
    assert result["p95"] in scores
    assert result["p50"] <= min(scores)
    assert quantiles(bench.spark, []) == {}


def test_an_empty_file_is_scored_to_nothing(bench: Bench) -> None:
    bench.write([])
    assert bench.score().rows == 0


def test_rows_without_ids_are_numbered_within_the_batch(bench: Bench) -> None:
    bench.envelope = EventSettings(id=None, time=None)
    bench.write(ROWS[:2])
    bench.score()
    assert [row["event_id"] for row in bench.read("scored")] == ["3-0-0", "3-0-1"]
