"""A stream goes from a pipeline of Spark to a model of another library while it runs, each event once."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import pytest
from pyspark.sql import SparkSession

from jobs.wiring.planning import Planning
from tests.support.engine import Bench, event
from tests.support.flavours import described, event_of, features, flights, predicted, saved
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
