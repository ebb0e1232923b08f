"""What a version is tried on before it serves, and what happens where nothing is known to be good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import Row, SparkSession
from structlog.testing import capture_logs

from streaming.engines.known_good import KnownGoodRows
from streaming.engines.live_plan import check_live
from streaming.errors import CandidateRefusedError, ScoringError
from streaming.events import columns as c
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.topic_schema import EventSample
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import EventSettings
from tests.support.engine import event
from tests.support.models import UNGUARDED, fit_unguarded, package
from tests.support.records import records_frame, verdict_text


@pytest.fixture(scope="module")
def model(spark: SparkSession) -> PipelineModel:
    return fit_unguarded(spark)


@pytest.fixture(scope="module")
def saved(model: PipelineModel, tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return package(model, tmp_path_factory.mktemp("model"), signature=UNGUARDED)


@dataclass(frozen=True)
class Recent:
    """The topic's last events."""

    values: tuple[bytes, ...] = ()

    def recent(self, count: int, /) -> Sequence[bytes]:
        return self.values[:count]


def loaded(spark: SparkSession, made: ModelPackage, sample: EventSample) -> ServedModel:
    loader = SparkPipelineLoader(spark, EventSettings(), 1 << 20, sample=sample)
    return loader.load(made, f"file://{made.pipeline_dir}")


@pytest.mark.parametrize(
    ("examples", "recent"),
    [
        pytest.param(({"x": "text"}, {"x": 4.0}), (), id="MLflow's input example", marks=pytest.mark.long),
        pytest.param((), (b"{", event(1, x="text"), event(2, x=4.0)), id="events of the topic"),
        pytest.param(
            ({"x": 99.0},),
            (event(1, x=99.0), event(2, x=4.0)),
            id="events, where the example is no good",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_version_is_proven_by(
    examples: tuple[dict[str, Any], ...], recent: tuple[bytes, ...], saved: ModelPackage, spark: SparkSession
) -> None:
    model = loaded(spark, replace(saved, examples=examples), Recent(recent))
    assert (model.scorer.is_proven, model.decoder.safe_row) == (True, {"x": 4.0})
    check_live(spark, model)


@pytest.mark.parametrize(
    ("examples", "recent", "says"),
    [
        pytest.param(({"x": 99.0},), (), "throws on the input example", id="an example", marks=pytest.mark.long),
        pytest.param((), (event(1, x=99.0), event(2, x=0.1)), "throws on recent events", id="all events"),
    ],
)
def test_a_version_that_throws_on_real_events_is_refused_with_the_words_of_the_pipeline(
    examples: tuple[dict[str, Any], ...], recent: tuple[bytes, ...], says: str, saved: ModelPackage, spark: SparkSession
) -> None:
    with pytest.raises(CandidateRefusedError, match=f"TRIAL_FAILED.*{says}.*99.0 out of Bucketizer bounds"):
        loaded(spark, replace(saved, examples=examples), Recent(recent))


@pytest.fixture(scope="module")
def unproven(saved: ModelPackage, spark: SparkSession) -> ServedModel:
    with capture_logs() as logs:
        version = loaded(spark, saved, Recent())
    (warning,) = logs
    assert warning["log_level"] == "warning"
    assert "made up" in warning["event"]
    assert "out of Bucketizer bounds" in warning["cause"]
    return version


def test_an_unproven_version_is_not_served_live(unproven: ServedModel, spark: SparkSession) -> None:
    with pytest.raises(CandidateRefusedError, match=r"NOT_LIVE.*made up.*input_example"):
        check_live(spark, unproven)


def scored(spark: SparkSession, good_rows: KnownGoodRows, version: ServedModel, values: Iterable[bytes]) -> list[Row]:
    frame = records_frame(spark, values)
    return good_rows(version, lambda: version.decoder(frame)).score(frame).collect()


def rejects_without_asking(spark: SparkSession, good_rows: KnownGoodRows, unproven: ServedModel) -> None:
    none = scored(spark, good_rows, unproven, [b"{", event(1, x="text")])
    assert [verdict_text(row) for row in none] == ["MALFORMED_JSON", "WRONG_TYPE:x"]


def answers_as_the_pipeline(
    spark: SparkSession, good_rows: KnownGoodRows, unproven: ServedModel, model: PipelineModel
) -> None:
    rows = scored(spark, good_rows, unproven, [b"{", event(1, x=2.0), event(2, x=None), event(3, x="text")])
    assert [verdict_text(row) for row in rows] == ["MALFORMED_JSON", None, None, "WRONG_TYPE:x"]
    expected = model.transform(spark.createDataFrame([(2.0,), (None,)], "x double")).collect()
    answers = [(row["prediction"], list(row["probability"])) for row in expected]
    assert [(row[c.PREDICTION], row[c.PROBABILITY]) for row in rows[1:3]] == answers


def test_an_unproven_version_answers_from_the_first_valid_event_on(
    unproven: ServedModel, model: PipelineModel, spark: SparkSession
) -> None:
    good_rows = KnownGoodRows()
    rejects_without_asking(spark, good_rows, unproven)
    answers_as_the_pipeline(spark, good_rows, unproven, model)


@pytest.mark.long
def test_an_unproven_version_takes_the_first_valid_event_for_a_good_row(
    unproven: ServedModel, model: PipelineModel, spark: SparkSession
) -> None:
    good_rows = KnownGoodRows()
    rejects_without_asking(spark, good_rows, unproven)
    throwing = scored(spark, good_rows, unproven, [b"{", event(1, x=99.0)])
    assert [verdict_text(row) for row in throwing] == ["MALFORMED_JSON", "SCORING_FAILED"]
    answers_as_the_pipeline(spark, good_rows, unproven, model)
    again = scored(spark, good_rows, unproven, [b"{", b"["])
    assert [verdict_text(row) for row in again] == ["MALFORMED_JSON"] * 2


@pytest.mark.long
def test_a_version_that_throws_on_all_of_the_first_events_is_at_fault(
    unproven: ServedModel, spark: SparkSession
) -> None:
    with pytest.raises(ScoringError, match=r"each of the first 10 valid events.*out of Bucketizer bounds"):
        scored(spark, KnownGoodRows(), unproven, [event(i, x=99.0) for i in range(11)])


@pytest.mark.long
def test_a_batch_of_files_is_scored_by_an_unproven_version(
    unproven: ServedModel, spark: SparkSession, tmp_path: Path
) -> None:
    from tests.spark.test_batch import Bench

    bench = Bench(spark, unproven, tmp_path, format="json")
    lines = [b"{", event(1, x=2.0), event(2, x=99.0), event(3, x=7.5)]
    (bench.inputs / "a.json").write_bytes(b"".join(line + b"\n" for line in lines))
    counts = bench.score()
    assert (counts.rows, counts.scored) == (4, 2)
    assert counts.rejected == {"MALFORMED_JSON": 1, "SCORING_FAILED": 1}
