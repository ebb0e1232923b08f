"""What every batch program keeps whatever scores the events, beside the tests of the exact engine that run on each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.wiring.planning import Planning
from schemas import dead_letter
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from tests.support.engine import Bench, event
from tests.support.models import compiled, fit_bounded, load, package, renumbered


def one_pass(spark: SparkSession, made: ModelPackage) -> ServedModel:
    return load(spark, made, scorer="compiled")


@pytest.mark.parametrize(
    ("serve", "planning"),
    [
        pytest.param(load, "kept", id="a pipeline of Spark's-kept", marks=pytest.mark.long),
        pytest.param(load, "fresh", id="a pipeline of Spark's-fresh"),
        pytest.param(compiled, "kept", id="a compiled one in frames-kept", marks=pytest.mark.long),
        pytest.param(compiled, "fresh", id="a compiled one in frames-fresh", marks=pytest.mark.long),
        pytest.param(one_pass, "kept", id="a compiled one in one pass-kept"),
        pytest.param(one_pass, "fresh", id="a compiled one in one pass-fresh", marks=pytest.mark.long),
    ],
)
def test_events_are_scored_rejected_and_kept_from_a_scorer_that_throws_on_them(
    planning: Planning,
    serve: Callable[[SparkSession, ModelPackage], ServedModel],
    bench: Bench,
    spark: SparkSession,
    tmp_path: Path,
) -> None:
    bench.planning = planning
    version = serve(spark, package(fit_bounded(spark), tmp_path / "bounded"))
    bench.slot.swap(renumbered(version, 2))
    bench.send([event(1), b"{", event(89), event(95), event(2)])
    bench.send([event(3)], partition=1)
    bench.run()
    answers = [(p["event_id"], p["prediction"], p["model_version"]) for p in bench.predictions()]
    assert answers == [("e1", 0.0, 2), ("e89", 1.0, 2), ("e2", 0.0, 2), ("e3", 0.0, 2)]
    reasons = [dict(letter.headers())[dead_letter.REASON].decode() for letter in bench.read(".dlq")]
    assert reasons == ["MALFORMED_JSON", "SCORING_FAILED"]
    assert bench.seen.failures == []
