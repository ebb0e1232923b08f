"""The default score in frames: one answer to every valid event, and rows of the chain beside the champion's."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from pyspark.sql import Row, SparkSession

from streaming.engines.degraded_rows import with_degraded_rows
from streaming.engines.task import degraded_stamps
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs.envelope import Stamp, envelop
from streaming.scoring.default_score import DefaultScores
from streaming.settings import EventSettings
from tests.support.engine import event
from tests.support.models import fit_pipeline, load, package
from tests.support.records import records_frame

SCORE = {"prediction": 1.0, "label": "late", "probability": [0.25, 0.75]}
VERSION = ModelVersion("tiny", 0)


@pytest.fixture(scope="module")
def champion(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return load(spark, package(fit_pipeline(spark), tmp_path_factory.mktemp("champion")))


def default(envelope: EventSettings, serving: ServedModel | None = None) -> ServedModel:
    return DefaultScores(envelope, 1024)(VERSION, SCORE, serving)


def answered(spark: SparkSession, model: ServedModel, stamps: Sequence[Stamp], values: list[bytes]) -> list[Row]:
    frame = envelop(model.score(records_frame(spark, values)), stamps[0], others=stamps[1:])
    return sorted(frame.collect(), key=lambda row: row["offset"])


def stamp(version: ModelVersion = VERSION) -> Stamp:
    return Stamp("features", version, "champion", "2026-01-01T00:00:00.000Z")


@pytest.mark.parametrize(
    "envelope",
    [EventSettings(), EventSettings(id=None, time=None)],
    ids=["an envelope", "nothing is read of an event"],
)
def test_without_a_model_every_event_with_a_valid_envelope_has_the_default(
    spark: SparkSession, envelope: EventSettings
) -> None:
    rows = answered(spark, default(envelope), [stamp()], [event(1), event(2, carrier=7), b"{"])
    assert [row["reason"] for row in rows] == [None, None, "MALFORMED_JSON"]
    value = json.loads(rows[0]["value"])
    assert (value["prediction"], value["label"]) == (1.0, "late")
    assert (value["probability"], value["confidence"]) == ([0.25, 0.75], 0.75)
    assert (value["model_name"], value["model_version"], value["run_id"]) == ("tiny", 0, "")


@pytest.mark.long
def test_beside_a_model_the_default_takes_what_the_model_takes(spark: SparkSession, champion: ServedModel) -> None:
    model = default(EventSettings(), champion)
    rows = answered(spark, model, [stamp()], [event(1), event(2, carrier=7)])
    assert [row["reason"] for row in rows] == [None, "WRONG_TYPE"]
    assert model.version == VERSION


def test_a_default_score_is_made_anew_only_when_something_has_changed(
    spark: SparkSession, champion: ServedModel
) -> None:
    scores = DefaultScores(EventSettings(), 1024)
    first = scores(VERSION, SCORE, champion)
    assert scores(VERSION, dict(SCORE), champion) is first
    assert scores(VERSION, SCORE, None) is not first
    assert scores(VERSION, {"prediction": 0.0}, None).scorer != first.scorer


def test_single_rows_are_answered_by_the_chain_and_marked_and_the_others_are_as_ever(
    spark: SparkSession, champion: ServedModel
) -> None:
    arms = PlannedArms.only(champion.version)
    part = DegradedPart("THREW", VERSION, champion.version, ((0, 1), (0, 3)))
    model = with_degraded_rows([champion], arms, [part], [default(EventSettings())])
    stamps = degraded_stamps((stamp(champion.version),), [part])
    values = [event(10), event(20), event(30, carrier=7), event(80)]
    rows = answered(spark, model, stamps, values)
    plain = answered(spark, champion, stamps[:1], values)
    assert [row["arm"] for row in rows] == [0, 1, 0, 1]
    assert [rows[at]["value"] for at in (0, 2)] == [plain[at]["value"] for at in (0, 2)]
    for at in (1, 3):
        value, before = json.loads(rows[at]["value"]), json.loads(plain[at]["value"])
        assert (value["degraded"], value["model_version"], value["prediction"]) == ("THREW", 0, 1.0)
        assert [value[name] for name in ("prediction_id", "event_id")] == [
            before[name] for name in ("prediction_id", "event_id")
        ]
    assert rows[2]["reason"] == plain[2]["reason"] == "WRONG_TYPE"
