"""Records for Spark's own sink are the records that the transactional writer sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from pyspark.sql import DataFrame, SparkSession

from schemas import dead_letter
from streaming.clock import instant, system_clock
from streaming.delivery.marks import Writer
from streaming.delivery.write_order import Limits, WritePlan
from streaming.engines.arms import CombinedArms
from streaming.engines.live_plan import check_live
from streaming.engines.task import stamps_of
from streaming.errors import CandidateRefusedError
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.served import ServedModel
from streaming.outputs.envelope import Stamp, envelop
from streaming.outputs.headers import Headers
from streaming.outputs.records import records
from streaming.outputs.spark_rows import native_records, now
from streaming.outputs.targets import Target, Targets
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from streaming.scoring.pipeline import SparkPipeline
from tests.support.engine import event
from tests.support.models import Shelf, Unlucky, fit_pipeline, renumbered, retyped, spark_pipeline
from tests.support.records import SCHEMA
from tests.support.seeds import with_seeds

PARTITION = 3
PARENT = [("traceparent", b"00-1-2-01"), ("own", None)]
VALUES = {
    "valid": (b"k", event(1), None),
    "with a trace": (b"k", event(2, gust=3.5), [*PARENT, ("tracestate", b"a=1")]),
    "with half a trace": (None, event(3), PARENT),
    "with a state alone": (b"k", event(4), [("tracestate", b"a=1")]),
    "without a key": (None, event(5), None),
    "no json": (b"k", b"{", PARENT),
    "no value": (b"k", None, None),
    "a key twice": (b"k", event(8)[:-1] + b', "distance": 1}', None),
    "a wrong field": (b"k", event(6, distance="far"), None),
    "an unseen category": (b"k", event(7, carrier="ZZ"), None),
    "too large for a dead letter": (b"k", b"x" * 3_000, None),
    "headers too large for a dead letter": (b"k", b"{", [("own", b"x" * 3_000), *PARENT]),
    "a key too large for a dead letter": (b"k" * 3_000, b"{", PARENT),
    "key and headers too large for a dead letter": (b"k" * 700, b"x" * 3_000, [("own", b"x" * 900)]),
    "no text": (None, b"\xff", PARENT),
    "in a registry's framing": (None, b"\0\0\0\0\7" + event(8), PARENT),
    "in a registry's framing, no text": (None, b"\0\0\0\0\xc8" + event(9), PARENT),
}


@pytest.fixture(scope="module")
def model(shelf: Shelf) -> ServedModel:
    return shelf.model(fit_pipeline)


def frame_of(spark: SparkSession) -> DataFrame:
    moment = datetime(2013, 7, 1)  # noqa: DTZ001 - naive, in the session's UTC
    rows = [(key, value, headers, PARTITION, at, moment) for at, (key, value, headers) in enumerate(VALUES.values())]
    return spark.createDataFrame(rows, SCHEMA)


def as_written(headers: Headers) -> Headers:
    return [(key, value.encode() if isinstance(value, str) else value) for key, value in headers]


@pytest.mark.parametrize("profiled", with_seeds({"without bins": False, "with bins": True}, {"with bins"}))
def test_every_record_is_the_writers_own(spark: SparkSession, model: ServedModel, profiled: bool) -> None:
    if profiled:
        columns = ColumnProfile("distance", "numeric", {}, edges=(2.0, 50.0)), ColumnProfile("gust", "numeric", {})
        profile = ReferenceProfile(columns, rows=3)
        model = replace(model, scorer=replace(spark_pipeline(model), profile=profile))
    stamp = Stamp("features", model.version, "champion", "2026-01-01T00:00:00.000Z")
    assert_as_written(envelop(model.score(frame_of(spark).coalesce(1)), stamp), [stamp])


@pytest.mark.long
def test_every_record_of_two_arms_is_the_writers_own(spark: SparkSession, model: ServedModel) -> None:
    candidate = renumbered(model, 2)
    intervals = ALL_CHAMPION.changed_to({CANDIDATE: 0.5})
    arms = PlannedArms(
        (PlannedArm(model.version), PlannedArm(candidate.version, CANDIDATE)),
        ArmAssignment("tiny-2", intervals),
        WeightEpoch("tiny-2", 1),
    )
    both, stamps = CombinedArms()([model, candidate], arms), stamps_of(arms, "features", "2026-01-01T00:00:00.000Z")
    rows = envelop(both.score(frame_of(spark).coalesce(1)), stamps[0], others=stamps[1:]).cache()
    assert {row["arm"] for row in rows.where("reason is null").collect()} == {0, 1}
    assert {row["arm"] for row in rows.where("reason is not null").collect()} == {0, 1}
    assert_as_written(rows, stamps)


def assert_as_written(rows: DataFrame, stamps: Sequence[Stamp]) -> None:
    """See that Spark's sink would send what the transactional writer sends of the same rows."""
    targets = Targets(Target("out", 2, 1 << 20), Target("dlq", 2, 2_000), Target("progress", 1, 1 << 20))
    writer = Writer("app", "features", "id", 1)
    plan = WritePlan({}, writer, "1.1", stamps[0], {}, targets, Limits(1, 1), others=tuple(stamps[1:]))
    (batch,) = rows.cache().toArrow().combine_chunks().to_batches()
    needed = list(records(batch, 0, plan, PARTITION, 0))
    actual = native_records(rows, stamps, "app", targets).collect()
    for name, want, have in zip(VALUES, needed, actual, strict=True):
        headers = [(header["key"], header["value"] and bytes(header["value"])) for header in have["headers"]]
        rejected = dict(headers).get(dead_letter.REJECTED_AT)
        expected = [
            (k, rejected if k == dead_letter.REJECTED_AT else v)
            for k, v in as_written(want[5])
            if k != dead_letter.STREAM_TIME  # a row that is written by itself has no rows beside it
        ]
        assert headers == expected, name
        value, key = have["value"] and bytes(have["value"]), have["key"] and bytes(have["key"])
        assert (have["topic"], have["partition"], key, value) == want[:4], name


@pytest.mark.parametrize("compacted", [False, True])
def test_a_prediction_without_a_key_is_no_record_of_a_compacted_topic(
    spark: SparkSession, model: ServedModel, compacted: bool
) -> None:
    to = Target("out", 2, 1 << 20, compacted)
    stamp = Stamp("features", model.version, "champion", "2026-01-01T00:00:00.000Z")
    rows = envelop(model.score(frame_of(spark)), stamp, to).collect()
    unkeyed = {name: row for name, row in zip(VALUES, rows, strict=True) if row["key"] is None}
    assert {name: row["reason"] for name, row in unkeyed.items()} == {
        "with half a trace": "NO_KEY" if compacted else None,
        "without a key": "NO_KEY" if compacted else None,
        "no text": "INVALID_UTF8",
        "in a registry's framing": "MALFORMED_JSON",
        "in a registry's framing, no text": "INVALID_UTF8",
    }
    assert (bytes(unkeyed["without a key"]["value"]) == event(5)) == compacted, "a dead letter has the event's bytes"
    assert sum(row["reason"] == "NO_KEY" for row in rows) == (2 if compacted else 0)


def test_each_row_reads_the_clock(spark: SparkSession) -> None:
    before = system_clock()
    (row,) = spark.range(1).select(now().alias("at")).collect()
    assert before.replace(microsecond=0) <= instant(row["at"]) <= system_clock()


@pytest.mark.long
def test_a_pipeline_in_the_jvm_can_be_served_live(spark: SparkSession, model: ServedModel) -> None:
    check_live(spark, model)


def test_a_pipeline_that_needs_python_is_refused_with_the_reason(spark: SparkSession, model: ServedModel) -> None:
    with pytest.raises(CandidateRefusedError, match=r"NOT_LIVE.*runs Python.*engine.kind exact"):
        check_live(spark, retyped(model, Unlucky))


@pytest.mark.long
def test_a_pipeline_that_shuffles_is_refused_with_the_reason(spark: SparkSession, model: ServedModel) -> None:
    with pytest.raises(CandidateRefusedError, match=r"NOT_LIVE.*ShuffleExchangeExec"):
        check_live(spark, retyped(model, Shuffled))


@dataclass(frozen=True)
class Shuffled(SparkPipeline):
    """A real pipeline that spreads its rows first."""

    def transform(self, frame: DataFrame) -> DataFrame:
        return super().transform(frame.repartition(2))
