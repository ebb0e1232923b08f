"""A stream goes from a pipeline of Spark to a model of another library or to code while it runs, each event once."""

from __future__ import annotations

import json
from pathlib import Path

import lightgbm
import pytest
from pyspark.sql import SparkSession

from jobs.wiring.planning import Planning
from streaming.scoring.flavours.loader import NativeLoader
from streaming.settings import EventSettings
from tests.support.engine import Bench, event
from tests.support.flavours import ODD_CODE, described, event_of, features, flights, predicted, saved, saved_code
from tests.support.models import load


@pytest.mark.long
@pytest.mark.parametrize("planning", ["kept", "fresh"])
def test_a_booster_takes_over_from_a_pipeline(
    planning: Planning, bench: Bench, spark: SparkSession, tmp_path: Path
) -> None:
    bench.planning = planning
    bench.send([event(1), event(99)])
    bench.run()
    data = lightgbm.Dataset(features(), flights()["late"])
    booster = lightgbm.train({"objective": "binary", "verbose": -1, "num_leaves": 7}, data, num_boost_round=8)
    package = described(saved("lightgbm", booster, tmp_path / "booster"), version=2)
    served = load(spark, package, scorer="auto")
    bench.slot.swap(served if planning == "kept" else served.reference)
    rows = features(slice(0, 20))
    bench.send([*(event_of(row, number) for number, row in enumerate(rows.astype(object).to_numpy())), b"{"])
    bench.run()
    first, second = ([p for p in bench.predictions() if p["model_version"] == version] for version in (1, 2))
    late = predicted(booster, rows)
    assert [p["event_id"] for p in first] == ["e1", "e99"]
    assert [p["event_id"] for p in second] == [f"e{number}" for number in range(20)]
    assert [p["probability"] for p in second] == [[1 - share, share] for share in late]
    assert [p["prediction"] for p in second] == [float(share > 0.5) for share in late]
    assert len(bench.read(".dlq")) == 1
    assert bench.seen.failures == []


@pytest.mark.long
@pytest.mark.parametrize("planning", ["kept", "fresh"])
def test_code_that_raises_dies_and_hangs_loses_only_the_events_on_which_it_does(
    planning: Planning, bench: Bench, spark: SparkSession, tmp_path: Path
) -> None:
    # A task is tried four times, and each try begins a process that imports MLflow: few events are enough.
    bench.planning, numbers = planning, (0, 1, 2, 3, 5)
    package = described(saved_code(tmp_path / "code", ODD_CODE), version=2, code=True)
    loader = NativeLoader(spark, EventSettings(), 1 << 20, scorer="auto", code_seconds=3.0)
    served = loader.load(package, "")
    bench.slot.swap(served if planning == "kept" else served.reference)
    bench.send([event(number) for number in numbers])
    bench.run()
    assert sorted((p["event_id"], p["prediction"]) for p in bench.predictions()) == sorted(
        (f"e{number}", number * 2.0) for number in numbers if number not in (1, 2, 3)
    )
    letters = [message.value() for message in bench.read(".dlq")]
    assert sorted(json.loads(value)["event_id"] for value in letters) == ["e1", "e2", "e3"]
    assert bench.seen.failures == []
