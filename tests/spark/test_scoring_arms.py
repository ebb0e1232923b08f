"""Several versions over one read: each row has what its arm's version says of it, and nothing of the others'."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from streaming.engines.arms import CombinedArms
from streaming.engines.isolate import isolate
from streaming.engines.task import stamps_of
from streaming.errors import TooManyThrowingRowsError
from streaming.events import columns as c
from streaming.ledger.arms import PlannedArm, PlannedArms
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from streaming.offsets import OffsetRange
from streaming.outputs.envelope import Stamp, envelop
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.frames import arm_number
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, CHAMPION, ArmIntervals
from tests.support.engine import event
from tests.support.malformed import CASES
from tests.support.models import Throws, assembler, fit_bounded, fit_pipeline, fit_stages, load, package, retyped
from tests.support.seeds import with_seeds

RECORD = (
    "key binary, value binary, headers array<struct<key string, value binary>>, partition int, offset long,"
    " timestamp timestamp"
)
HALF = ArmAssignment("flights-2", ALL_CHAMPION.changed_to({CANDIDATE: 0.5}))
EVENTS = 60
VALUES = [
    *(event(number) for number in range(EVENTS)),
    b"{",
    b"\xff",
    None,
    event(1, carrier="unknown"),
    event(2, distance="far"),
    event(3, event_id=...),
]
"""Valid events, and one of each kind that is rejected."""
OWN = (c.VERDICT, c.PREDICTION, c.PROBABILITY, c.CONFIDENCE, c.LABEL, c.BINS)


def key_of(number: int) -> bytes | None:
    return None if number % 3 == 0 else f"key-{number % 7}".encode()


def records(spark: SparkSession, values: list[bytes | None]) -> DataFrame:
    moment = datetime(2013, 7, 1)  # noqa: DTZ001 - naive, in the session's UTC
    headers = [("h", b"x")]
    rows = [(key_of(number), value, headers, 0, number, moment) for number, value in enumerate(values)]
    return spark.createDataFrame(rows, RECORD).coalesce(1)


@pytest.fixture(scope="module")
def versions(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[ServedModel, ServedModel]:
    """Two that answer alike on no event."""
    folder = tmp_path_factory.mktemp("arms")
    upright = load(spark, package(fit_pipeline(spark), folder / "v1"))
    return upright, load(spark, package(fit_pipeline(spark, slope=-1.0), folder / "v2", version=2))


def planned(*models: ServedModel) -> PlannedArms:
    arms = zip(models, (CHAMPION, CANDIDATE), strict=True)
    return PlannedArms(tuple(PlannedArm(model.version, role) for model, role in arms), HALF)


def together(*models: ServedModel) -> ServedModel:
    return CombinedArms()(models, planned(*models))


def is_candidates(row: Row) -> bool:
    """Recomputed from the record alone; a row with neither key nor id is the champion's."""
    if row[c.KEY] is None and row[c.EVENT_ID] is None:
        return False
    return HALF.arm_of(row[c.KEY], row[c.EVENT_ID]) == CANDIDATE


CONTRACT = json.loads(Path("schemas/contracts/rollout_assignment.json").read_text())["examples"]


def test_spark_assigns_as_the_contract_says(spark: SparkSession) -> None:
    # By one job: each example is a row, and its assignment a column.
    rows = [(None if one["key"] is None else bytes.fromhex(one["key"]), one["event_id"]) for one in CONTRACT]
    frame = spark.createDataFrame(rows, "key binary, id string").coalesce(1)
    numbers: list[SparkColumn] = []
    arms: list[tuple[str, ...]] = []
    for at, example in enumerate(CONTRACT):
        names = tuple(dict.fromkeys(interval["arm"] for interval in example["intervals"]))
        intervals = ArmIntervals(
            tuple(interval["arm"] for interval in example["intervals"]),
            tuple(interval["end"] for interval in example["intervals"]),
        )
        assignment = ArmAssignment(example["salt"], intervals)
        numbers.append(arm_number(assignment, names, F.col("key"), F.col("id")).alias(str(at)))
        arms.append(names)
    assigned = [arms[at][row[at]] for at, row in enumerate(frame.select(*numbers).collect())]
    assert assigned == [example["arm"] for example in CONTRACT]


def test_spark_assigns_as_python_does(spark: SparkSession) -> None:
    thirds = ArmAssignment("ü", ALL_CHAMPION.changed_to({"a": 1 / 3, "b": 1 / 7}).changed_to({"a": 0.2, "b": 0.4}))
    names = (CHAMPION, "a", "b")
    keys = [None if n % 4 == 0 else hashlib.sha256(str(n).encode()).digest()[: n % 9] for n in range(500)]
    rows = [(key, f"évènement-{n}") for n, key in enumerate(keys)]
    frame = spark.createDataFrame(rows, "key binary, id string").coalesce(1)
    numbers = frame.select(arm_number(thirds, names, F.col("key"), F.col("id"))).collect()
    assert [names[number] for (number,) in numbers] == [thirds.arm_of(key, event_id) for key, event_id in rows]
    assert {number for (number,) in numbers} == {0, 1, 2}


def test_each_row_has_what_its_version_says_when_it_scores_alone(
    spark: SparkSession, versions: tuple[ServedModel, ServedModel]
) -> None:
    frame = records(spark, VALUES)
    alone = [model.score(frame).collect() for model in versions]
    rows = together(*versions).score(frame).collect()
    assert [row[c.OFFSET] for row in rows] == list(range(len(VALUES)))
    for offset, row in enumerate(rows):
        assert row[c.ARM] == int(is_candidates(row))
        expected = alone[row[c.ARM]][offset]
        for name in (*c.SOURCE, *c.ENVELOPE, *OWN):
            assert row[name] == expected[name], (name, offset)
    assert {row[c.ARM] for row in rows if row[c.VERDICT] is None} == {0, 1}
    # Otherwise the test could not tell which version had answered.
    assert all(a[c.PROBABILITY] != b[c.PROBABILITY] for a, b in zip(*alone, strict=True) if a[c.VERDICT] is None)


@pytest.mark.long
def test_predictions_bear_the_stamp_of_their_arm(
    spark: SparkSession, versions: tuple[ServedModel, ServedModel]
) -> None:
    stamps = [Stamp("features", arm.version, arm.role, "2026-01-01T00:00:00.000Z") for arm in planned(*versions).arms]
    scored = together(*versions).score(records(spark, VALUES[:EVENTS]))
    for row in envelop(scored, stamps[0], others=stamps[1:]).collect():
        value: dict[str, Any] = json.loads(row["value"])
        stamp = stamps[row["arm"]]
        assert (value["model_version"], value["run_id"], value["role"]) == (
            stamp.version.version,
            stamp.version.run_id,
            stamp.role,
        )
        assert value["prediction_id"] == f"tiny:{stamp.role}:features:0:{row['offset']}"
        assert row["arm"] == int(HALF.arm_of(key_of(row["offset"]), value["event_id"]) == CANDIDATE)


@pytest.fixture(scope="module")
def narrow(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A compiled version that reads a column alone."""
    signature = Signature((Column("distance", "double"),))
    fitted = fit_stages(spark, assembler(), LogisticRegression(labelCol="label"))
    return load(spark, package(fitted, tmp_path_factory.mktemp("narrow"), 2, signature), scorer="compiled")


@pytest.fixture(scope="module")
def one_pass(
    spark: SparkSession, narrow: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ServedModel, ServedModel]:
    """Two compiled versions, of which the second reads another set of columns."""
    made = package(fit_pipeline(spark), tmp_path_factory.mktemp("compiled"))
    return load(spark, made, scorer="compiled"), narrow


OTHERS = [
    *(event(number) for number in range(30)),
    *VALUES[EVENTS:],
    event(1, carrier=7),
    event(2, carrier=...),
    event(3, event_time="soon"),
    event(4, event_id=17),
    event(5, event_id=["e5"]),
    event(6, event_id=""),
    event(7)[:-1] + b',"event_id":"twice"}',
    event(8) + b"{}",
    b"[]",
    *CASES.values(),
]
"""Some are valid for one of the two alone, and some without an id that can be read."""


@pytest.mark.long
def test_one_pass_answers_each_row_as_the_frames_do(
    spark: SparkSession, one_pass: tuple[ServedModel, ServedModel]
) -> None:
    model, stamps = together(*one_pass), stamps_of(planned(*one_pass), "features", "2026-01-01T00:00:00.000Z")
    # Each with a key and without.
    frame = records(spark, [value for value in OTHERS for _ in range(3)])
    ours, frames = (
        envelop(scored, stamps[0], others=stamps[1:]).collect()
        for scored in (model.score(frame), model.reference.score(frame))
    )
    assert model.row_pass is not None
    for mine, other in zip(ours, frames, strict=True):
        (answer, numbers), (expected, close_to) = answer_of(mine), answer_of(other)
        assert answer == expected
        assert numbers == pytest.approx(close_to, rel=1e-12)
    assert {row["arm"] for row in ours if row["key"] is None and row["reason"] is not None} == {0, 1}
    assert {row["arm"] for row in ours if row["reason"] is None} == {0, 1}


def answer_of(row: Row) -> tuple[dict[str, Any], list[float]]:
    """What a row says of its event, and the numbers of it that the two forms may compute in another order."""
    output = row.asDict(recursive=True)
    if output["reason"] is not None:
        return {name: value for name, value in output.items() if name not in ("subject", "bins")}, []
    value: dict[str, Any] = json.loads(output["value"])
    numbers = [value.pop("confidence"), *value.pop("probability")]
    return {**output, "value": value}, numbers


@pytest.mark.long
def test_versions_of_which_one_is_not_compiled_are_scored_by_frames(
    versions: tuple[ServedModel, ServedModel], narrow: ServedModel
) -> None:
    assert narrow.row_pass is not None
    assert together(versions[0], narrow).row_pass is None


@pytest.fixture(scope="module")
def bounded(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """A version that throws above 90, which no guard knows."""
    signature = Signature((Column("distance", "double"),))
    return load(spark, package(fit_bounded(spark), tmp_path_factory.mktemp("bounded"), 3, signature))


@pytest.mark.parametrize("throws", with_seeds({"the champion": 0, "the candidate": 1}, {"the candidate"}))
def test_a_version_is_not_asked_about_rows_of_other_arms(
    spark: SparkSession, versions: tuple[ServedModel, ServedModel], bounded: ServedModel, throws: int
) -> None:
    models = [bounded, versions[0]] if throws == 0 else [versions[0], bounded]
    far, near = event(99), event(50)
    frame = records(spark, [far if is_far(number, throws) else near for number in range(40)])
    rows = together(*models).score(frame).collect()
    assert {row[c.VERDICT] for row in rows} == {None}
    assert sum(json.loads(row[c.VALUE])["distance"] == 99 for row in rows) > 5


def is_far(number: int, throws: int) -> bool:
    """Whether the row is of the version that does not throw, so that the far event does no harm."""
    arm = HALF.arm_of(key_of(number), "e99")
    return (arm == CANDIDATE) == (throws == 0)


# The search goes through the plans of both versions, one within the other, and takes minutes where the first throws.
@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1], ids=["the champion", "the candidate"])
def test_rows_on_which_a_version_throws_are_found_and_kept_from_all(
    spark: SparkSession, versions: tuple[ServedModel, ServedModel], number: int
) -> None:
    models = list(versions)
    models[number] = retyped(models[number], Throws)
    model, frame = together(*models), records(spark, VALUES[:EVENTS])
    arms = {row[c.OFFSET]: row[c.ARM] for row in together(*versions).score(frame).collect()}
    unlucky = [(0, n) for n in range(1, EVENTS) if n % 13 == 0 and arms[n] == number]
    ranges = {0: OffsetRange(0, EVENTS)}
    assert list(isolate(frame, model, ranges, most=10)) == unlucky != []
    with pytest.raises(TooManyThrowingRowsError):
        isolate(frame, model, ranges, most=len(unlucky) - 1)
    rows = model.rejecting(tuple(unlucky)).score(frame).collect()
    rejected = [(0, row[c.OFFSET]) for row in rows if row[c.VERDICT] is not None]
    assert rejected == unlucky
    assert {row[c.VERDICT]["reason"] for row in rows if row[c.VERDICT]} == {"SCORING_FAILED"}
    assert {row[c.OFFSET]: row[c.ARM] for row in rows} == arms


def test_the_same_versions_in_the_same_arms_are_one_object_and_others_are_not(
    versions: tuple[ServedModel, ServedModel],
) -> None:
    make, arms = CombinedArms(), planned(*versions)
    first = make(versions, arms)
    assert make(list(versions), planned(*versions)) is first
    assert make(versions[:1], PlannedArms.only(versions[0].version)) is versions[0]
    quarter = ArmAssignment("flights-2", ALL_CHAMPION.changed_to({CANDIDATE: 0.25}))
    assert make(versions, PlannedArms(arms.arms, quarter)) is not first
