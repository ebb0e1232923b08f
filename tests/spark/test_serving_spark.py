"""A version without a compiled form behind HTTP: a session in the server's process answers as the stream would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError
from streaming.models.served import ServedModel
from streaming.outputs.envelope import Stamp, envelop
from streaming.scoring.in_process import InProcessLoader
from streaming.scoring.in_session import SessionLoader
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import EventSettings, ScorerSetting
from tests.support.models import Shelf, fit_pipeline, with_a_cosine_transform
from tests.support.records import records_frame
from tests.support.servers import Request, ServerBench, a_bench

OWN = ("prediction_id", "scored_at")
LIMIT = 1 << 20


def session_loader(spark: SparkSession, setting: ScorerSetting = "auto") -> SessionLoader:
    envelope = EventSettings()
    compiled = InProcessLoader(envelope, LIMIT, singly=True)
    return SessionLoader(compiled, SparkPipelineLoader(spark, envelope, LIMIT), setting)


@pytest.fixture(scope="module")
def model(spark: SparkSession, shelf: Shelf) -> ServedModel:
    made = shelf.package(with_a_cosine_transform)
    return session_loader(spark).load(made, f"file://{made.pipeline_dir}")


@pytest.fixture
def bench(model: ServedModel) -> Iterator[ServerBench]:
    with a_bench(model) as server:
        yield server


def flight(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "event_time": "2013-01-01T05:15:00Z",
        "carrier": "UA",
        "distance": 3.0 * number,
        **changes,
    }


def own_fields(value: bytes) -> dict[str, Any]:
    return {name: field for name, field in msgspec.json.decode(value).items() if name not in OWN}


def test_the_version_says_that_spark_scores_it_why_and_how_long_it_takes(bench: ServerBench) -> None:
    scorer = bench.ask("GET", "/v1/model").json()["scorer"]
    assert scorer["kind"] == "spark"
    assert "DCT" in scorer["why"]
    assert "has no compiled form" in scorer["why"]
    assert "ms when it was loaded" in scorer["why"]


def test_each_answer_is_the_prediction_that_the_streams_frames_would_have(
    spark: SparkSession, model: ServedModel, bench: ServerBench
) -> None:
    bodies = [flight(0), flight(7, distance=None), flight(1), flight(40)]
    values = [json.dumps(body).encode() for body in bodies]
    stamp = Stamp("features", model.version, "champion", "2020-01-01T00:00:00.000Z")
    rows = envelop(model.reference.score(records_frame(spark, values)), stamp).orderBy("offset").collect()
    for row, body in zip(rows, bodies, strict=True):
        answer = bench.score(body)
        if row.reason is None:
            assert own_fields(answer.content) == own_fields(bytes(row.value))
        else:
            assert (answer.status_code, answer.json()["reason"], answer.json()["field"]) == (422, row.reason, row.field)
    assert [row.reason for row in rows] == [None, "MISSING_FIELD", None, None]


def test_requests_at_the_same_moment_share_a_job_of_sparks(bench: ServerBench) -> None:
    requests: list[Request] = [("POST", "/v1/score", {"json": flight(number)}) for number in range(40)]
    answers = bench.ask_at_once(requests)
    assert [answer.json()["event_id"] for answer in answers] == [f"e{number}" for number in range(40)]
    invocation = {"dataframe_records": [{"carrier": "UA", "distance": 99.0}]}
    assert bench.ask("POST", "/invocations", json=invocation).json() == {"predictions": [1.0]}


@pytest.mark.parametrize(
    ("setting", "kind"), [("auto", "compiled"), pytest.param("spark", "spark", marks=pytest.mark.long)]
)
def test_a_version_that_compiles_is_sparks_only_where_that_is_asked_for(
    spark: SparkSession, shelf: Shelf, setting: ScorerSetting, kind: str
) -> None:
    made = shelf.package(fit_pipeline)
    assert session_loader(spark, setting).load(made, f"file://{made.pipeline_dir}").choice.kind == kind


def test_a_version_that_has_to_be_compiled_is_refused_where_it_is_not(spark: SparkSession, shelf: Shelf) -> None:
    made = shelf.package(with_a_cosine_transform)
    with pytest.raises(CandidateRefusedError, match="NOT_COMPILED"):
        session_loader(spark, "compiled").load(made, f"file://{made.pipeline_dir}")
