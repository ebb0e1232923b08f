"""Files scored by the arms of a rollout: each row once, by the version that the stream would give it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from streaming.batch.arms import BatchArm, BatchSplit
from streaming.batch.arms_scorer import ArmsUnitScorer
from streaming.batch.columns import OF_ARM, BatchColumns, BatchStamp
from streaming.batch.files import Format, list_files
from streaming.batch.needs import Needs
from streaming.batch.plan import Unit
from streaming.batch.scorer import BatchOutput, UnitScorer
from streaming.batch.source import BatchSource
from streaming.errors import ConfigurationError
from streaming.models.ref import ModelVersion
from streaming.models.served import ServedModel
from streaming.outputs.weights import WeightEpoch
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE
from streaming.rollout.states import RolloutPhase
from streaming.settings import BatchSettings, EventSettings
from tests.support.models import Shelf, fit_pipeline, load, package
from tests.unit.test_engines_rollout import in_first_step

HALF = ArmAssignment("tiny-2", ALL_CHAMPION.changed_to({CANDIDATE: 0.5}))
KEYED = EventSettings(key="tail")
SPLIT = BatchSplit("tiny", {"champion": 1, "candidate": 2}, HALF, WeightEpoch("tiny-2", 3))
ROWS: list[dict[str, Any]] = [
    {"event_id": f"e{n}", "event_time": "2013-01-01T05:15:00Z", "carrier": "UA", "distance": 1.6 * n, "tail": f"N{n}"}
    for n in range(60)
]
ROWS[7] |= {"distance": None}
ROWS[8] |= {"distance": None}
ROWS[9] |= {"event_id": None, "tail": None}


@pytest.fixture(scope="module")
def models(spark: SparkSession, shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> tuple[ServedModel, ...]:
    """The champion, by Spark, and a compiled candidate that answers the other way round; both read lines by key."""
    made, keyed = package(fit_pipeline(spark, slope=-1.0), tmp_path_factory.mktemp("candidate"), version=2), KEYED
    return load(spark, shelf.package(fit_pipeline), keyed), load(spark, made, keyed, scorer="compiled")


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        pytest.param("parquet", None, id="a table, by id"),
        pytest.param("json", "tail", id="lines, by key"),
        pytest.param("csv", "tail", id="a table of text, by key"),
    ],
)
def test_each_row_is_scored_once_by_the_version_of_its_arm(
    spark: SparkSession, models: tuple[ServedModel, ...], tmp_path: Path, kind: Format, key: str | None
) -> None:
    written(tmp_path / "in", kind)
    listing, envelope, settings = list_files(tmp_path / "in"), EventSettings(key=key), BatchSettings(keep=("tail",))

    def scorer(model: ServedModel, arm: BatchArm) -> UnitScorer:
        signature = model.package.signature
        source = BatchSource.of(spark, kind, listing, Needs.of(signature, envelope, settings.keep))
        columns = BatchColumns.of(source, signature, settings, envelope, arm)
        return UnitScorer(
            source=source,
            model=model,
            envelope=envelope,
            columns=columns,
            output=BatchOutput("parquet"),
            max_poison_rows=5,
            arm=arm,
        )

    scorers = tuple(scorer(*pair) for pair in zip(models, SPLIT.parts, strict=True))
    unit, stamp = Unit(0, listing.digested()), BatchStamp("b1", 0, ModelVersion("tiny", 1), datetime.now(timezone.utc))
    counts = ArmsUnitScorer(scorers).score(unit, tmp_path, stamp)
    assert (counts.rows, counts.scored, counts.rejected) == (60, 57, {"MISSING_FIELD": 3})
    rows = {row["event_id"]: row for row in spark.read.parquet(str(tmp_path / "scored")).toPandas().to_dict("records")}
    assert rows.keys() == {row["event_id"] for row in ROWS} - {"e7", "e8", None}
    roles = {}
    for row in ROWS:
        if (scored := rows.get(row["event_id"])) is not None:
            identity = row["tail"].encode() if key else None
            roles[row["event_id"]] = role = HALF.arm_of(identity, row["event_id"])
            assert [scored[name] for name in OF_ARM] == [role, "tiny-2", 3]
            version = SPLIT.versions[role]
            assert (scored["model_version"], scored["tail"]) == (version, row["tail"])
            # The candidate says the opposite.
            far = float(row["distance"] > 50)
            if abs(row["distance"] - 50) > 40:
                assert scored["prediction"] == (far if role == "champion" else 1 - far)
    assert 15 < sum(role == CANDIDATE for role in roles.values()) < 45
    assert not list(tmp_path.glob("[01]")), "only what is published is left"


def written(folder: Path, kind: Format) -> None:
    folder.mkdir()
    table, path = pa.Table.from_pylist(ROWS), folder / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "csv":
        table.to_pandas().to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def test_a_split_is_that_of_the_rollouts_present_step_and_is_read_back_from_a_plan() -> None:
    rollout = in_first_step().follower._history.current
    assert rollout is not None
    split = BatchSplit.of(rollout)
    assert split.versions == {"champion": 1, "candidate": 2}
    assert (split.weights, split.assignment.salt) == (WeightEpoch("flights-2", 1), rollout.declaration.salt)
    assert BatchSplit.from_dict(json.loads(json.dumps(split.to_dict()))) == split


@pytest.mark.parametrize("phase", [RolloutPhase.PROBATION, RolloutPhase.ROLLED_BACK, RolloutPhase.PLANNED])
def test_where_one_version_has_all_keys_there_is_nothing_to_split(phase: RolloutPhase) -> None:
    rollout = in_first_step().follower._history.current
    assert rollout is not None
    latest = replace(rollout.latest, state=replace(rollout.latest.state, phase=phase))
    whole = replace(latest, weights=replace(latest.weights, intervals=ALL_CHAMPION))
    with pytest.raises(ConfigurationError, match=f"in the state {phase.value} of flights-2 one version has all keys"):
        BatchSplit.of(replace(rollout, latest=whole))
