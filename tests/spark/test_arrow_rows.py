"""One pass over Arrow batches gives the writer the rows that the frames give it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from streaming.delivery.marks import Writer
from streaming.delivery.write_order import Limits, WritePlan
from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.models.arrow_types import feature_schema
from streaming.models.profile import ColumnProfile, ReferenceProfile
from streaming.models.served import ServedModel
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.arrow_times import written_times
from streaming.outputs.envelope import TIME_FORMAT, Stamp, envelop
from streaming.outputs.records import records
from streaming.outputs.targets import Target, Targets
from streaming.scoring.compiled.scorer import load_scorer
from streaming.scoring.row_pass import JsonRowPass
from streaming.settings import EventSettings
from tests.support.engine import event
from tests.support.malformed import CASES, EPOCHS, with_envelope
from tests.support.models import fit_pipeline, load, package
from tests.support.records import SCHEMA
from tests.support.seeds import names_with_seeds, with_seeds

Record = tuple[bytes | None, bytes | None, Any, int, int, datetime]
MEGABYTE = 1 << 20
PARTITION = 3
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - Spark's timestamps are naive, in the session's UTC
PARENT = ("traceparent", b"00-1-2-01")
HEADERS: tuple[Any, ...] = (
    None,
    [],
    [("own", None), PARENT],
    [PARENT, ("tracestate", b"a=1"), ("traceparent", b"second")],
    [("tracestate", b"a=1")],
    [("traceparent", None), PARENT],
)
KEYS = (b"k", None, b"", b"\xff\xfe", "São".encode(), b"k" * 300)
PROFILE = ReferenceProfile(
    (
        ColumnProfile("distance", "numeric", {}, edges=(2.0, 50.0)),
        ColumnProfile("carrier", "categorical", {}, categories=("AA",), rare=("UA",)),
        ColumnProfile("gust", "numeric", {}, edges=(0.0,)),
        ColumnProfile("prediction", "categorical", {}, categories=("1.0",)),
        ColumnProfile("confidence", "numeric", {}, edges=(0.6, 0.9)),
    ),
    rows=100,
)


@pytest.fixture(scope="module")
def model(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    made = replace(package(fit_pipeline(spark), tmp_path_factory.mktemp("model")), profile=PROFILE)
    return load(spark, made)


def numbered(values: Sequence[bytes | None]) -> list[Record]:
    """Records with these values, and all sorts of keys, headers and timestamps."""
    chance = random.Random(17)
    moments = (0, 1, -1, 1_356_998_400_123_000, 253_402_300_799_999_000, -62_135_596_800_000_000)
    return [
        (
            chance.choice(KEYS),
            value,
            chance.choice(HEADERS),
            PARTITION,
            7 * offset,
            EPOCH + timedelta(microseconds=chance.choice(moments)),
        )
        for offset, value in enumerate(values)
    ]


EVENTS = [
    *(event(number, carrier="UA" if number % 3 else "AA", gust=number - 5.5) for number in range(30)),
    event(1, carrier="ZZ"),
    event(2, carrier=None),
    event(3, distance="far"),
    event(4, distance=1e308),
    event(5, event_id='say "x"\\ \u2028 São 😀'),
    event(6, event_time="2013-01-01T05:15:00.9999Z"),
    event(7, event_time="1969-12-31T23:59:59.9996Z"),
    event(8, event_time="0001-01-01T00:00:00Z", distance="far"),
    event(9, event_time="9999-12-31T23:59:59.999+00:30", distance=None),
    event(10, event_time="0000-12-31T23:59:59Z"),
    event(11, event_id=12),
    b"[1]",
    b"\0\0\0\0\7{}",
]


def by_frames(
    spark: SparkSession, rows: list[Record], model: ServedModel, stamps: Sequence[Stamp], to: Target | None
) -> pa.RecordBatch:
    """What the exact engine gives the writer."""
    scored = model.score(spark.createDataFrame(rows, SCHEMA).coalesce(1))
    if len(stamps) > 1:
        scored = scored.withColumn(c.ARM, (F.col(c.OFFSET) % len(stamps)).cast("byte"))
    (batch,) = envelop(scored, stamps[0], to, others=stamps[1:]).toArrow().combine_chunks().to_batches()
    return batch


def decoder_of(model: ServedModel) -> JsonDecoder:
    assert isinstance(model.decoder, JsonDecoder)
    return model.decoder


def on_arrow(
    spark: SparkSession, rows: list[Record], served: ServedModel, stamps: Sequence[Stamp], to: Target | None
) -> pa.RecordBatch:
    """The same by the row pass that a task runs."""
    (batch,) = spark.createDataFrame(rows, SCHEMA).coalesce(1).toArrow().combine_chunks().to_batches()
    scored = row_pass_of(served).score(batch)
    if len(stamps) > 1:
        arms = pa.array([offset % len(stamps) for offset in scored.column(c.OFFSET).to_pylist()], pa.int8())
        scored = scored.append_column(c.ARM, arms)
    return enveloped_rows(scored, stamps, to)


def row_pass_of(served: ServedModel) -> JsonRowPass:
    decoder, package = decoder_of(served), served.package
    scorer = load_scorer(package.pipeline_dir, feature_schema(package.signature))
    return JsonRowPass(package, decoder.envelope, decoder.max_value_bytes, decoder.guards, scorer)


def differences(ours: pa.RecordBatch, frames: pa.RecordBatch) -> list[str]:
    """Say of each row in which columns the two differ; JSON is compared by value."""
    assert ours.schema.names == frames.schema.names
    assert [field.type for field in ours.schema] == [field.type for field in frames.schema]
    problems = []
    for mine, other in zip(ours.to_pylist(), frames.to_pylist(), strict=True):
        if other["reason"] is None:
            assert alike(mine["value"], other["value"]), (mine["value"], other["value"])
            del mine["value"], other["value"]
        else:
            # No dead letter has these.
            for row in (mine, other):
                del row["subject"], row["bins"]
        differing = [name for name in other if mine[name] != other[name]]
        problems += [f"{other['offset']}: {name} is {mine[name]!r}, not {other[name]!r}" for name in differing]
    return problems


def alike(ours: bytes, other: bytes) -> bool:
    """Whether two predictions are equal, their probabilities as nearly as the arithmetic of both permits."""
    mine, theirs = json.loads(ours), json.loads(other)
    assert list(mine) == list(theirs), "the order of the contract"
    probabilities = [[prediction.pop("confidence"), *prediction.pop("probability")] for prediction in (mine, theirs)]
    return mine == theirs and probabilities[0] == pytest.approx(probabilities[1], rel=1e-12)


def stamped(*versions: int, model: ServedModel) -> list[Stamp]:
    roles = ("champion", 'chall"enger')
    return [
        Stamp("features", replace(model.version, version=version), role, "2026-01-01T00:00:00.000Z")
        for version, role in zip(versions, roles, strict=False)
    ]


def rejected_at(token: str) -> bytes:
    """An event with this token as its time that is rejected for another field."""
    return with_envelope(event_time=token).replace(b'"distance":1', b'"distance":"far"')


IN_MILLISECONDS = [*EVENTS, *(with_envelope(event_time=token) for token in EPOCHS), *map(rejected_at, EPOCHS)]
MALFORMED = [*CASES.values(), b"x" * 2_000]
ENVELOPES: dict[str, tuple[EventSettings, Sequence[bytes | None]]] = {
    "named fields": (EventSettings(), EVENTS),
    "a key in the value": (EventSettings(key="carrier"), EVENTS),
    "neither id nor time": (EventSettings(id=None, time=None), EVENTS),
    "milliseconds": (EventSettings(time_format="epoch_ms"), IN_MILLISECONDS),
    "malformed": (EventSettings(), MALFORMED),
    "malformed without id and time": (EventSettings(id=None, time=None, key="dest"), MALFORMED),
}
SEEDS = {"a key in the value", "neither id nor time", "milliseconds"}
"""What the writer sends, below, are named fields and malformed events."""


@pytest.mark.parametrize("name", names_with_seeds(ENVELOPES, SEEDS))
def test_the_rows_are_those_of_the_frames(name: str, spark: SparkSession, model: ServedModel) -> None:
    envelope, values = ENVELOPES[name]
    served = replace(model, decoder=replace(decoder_of(model), envelope=envelope))
    rows, stamps = numbered(values), stamped(4, model=model)
    frames = by_frames(spark, rows, served, stamps, None)
    assert differences(on_arrow(spark, rows, served, stamps, None), frames) == []
    assert 0 < frames.column("reason").null_count < frames.num_rows


def test_a_records_own_timestamp_in_any_year_is_written_as_the_frames_write_it(
    spark: SparkSession, model: ServedModel
) -> None:
    """Python has no such times, so that they are made in Spark."""
    micros = [-(10**18), -62_135_596_800_000_001, -62_135_596_800_000_000, -1, 0, 253_402_300_800_000_000, 10**18]
    moments = spark.createDataFrame([(number,) for number in micros], "n long").coalesce(1)
    moments = moments.select(F.timestamp_micros("n").alias("at"))
    texts = moments.select(F.date_format("at", TIME_FORMAT).alias("text")).collect()
    assert written_times(pa.array(micros, pa.timestamp("us", "UTC"))).to_pylist() == [row["text"] for row in texts]


@pytest.mark.parametrize(
    "compacted", with_seeds({"any topic": False, "a compacted topic": True}, {"a compacted topic"})
)
def test_what_the_topic_does_not_take_becomes_the_same_dead_letter(
    compacted: bool, spark: SparkSession, model: ServedModel
) -> None:
    rows, stamps = numbered(EVENTS), stamped(4, model=model)
    # Half way between a record with a small key and one with a large key, far from both.
    to = Target("out", 2, 4_096 + 600, compacted)
    frames = by_frames(spark, rows, model, stamps, to)
    assert differences(on_arrow(spark, rows, model, stamps, to), frames) == []
    reasons = set(frames.column("reason").to_pylist())
    assert {"PREDICTION_TOO_LARGE", "UNSEEN_CATEGORY", None} <= reasons
    assert ("NO_KEY" in reasons) == compacted


def test_rows_of_several_arms_have_each_its_own_stamp(spark: SparkSession, model: ServedModel) -> None:
    rows, stamps = numbered(EVENTS), stamped(4, 5, model=model)
    frames = by_frames(spark, rows, model, stamps, None)
    assert differences(on_arrow(spark, rows, model, stamps, None), frames) == []
    assert set(frames.column("arm").to_pylist()) == {0, 1}


def test_the_writer_sends_the_same_records(spark: SparkSession, model: ServedModel) -> None:
    rows, stamps = numbered([*EVENTS, *CASES.values()]), stamped(4, model=model)
    targets = Targets(Target("out", 2, MEGABYTE), Target("dlq", 2, 2_000), Target("progress", 1, MEGABYTE))
    plan = WritePlan({}, Writer("app", "features", "id", 1), "1.1", stamps[0], {}, targets, Limits(1, 1))
    frames = records(by_frames(spark, rows, model, stamps, None), 0, plan, PARTITION, 0)
    ours = records(on_arrow(spark, rows, model, stamps, None), 0, plan, PARTITION, 0)
    for mine, other in zip(ours, frames, strict=True):
        assert mine[:3] + mine[4:] == other[:3] + other[4:]
        assert mine[3] == other[3] if other[6] else alike(mine[3] or b"", other[3] or b"")
