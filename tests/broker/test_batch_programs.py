"""What every batch program keeps whatever scores the events, beside the tests of the exact engine that run on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.sql import SparkSession

from jobs.wiring.planning import Planning
from schemas import dead_letter
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.models.signature import Column, Signature
from streaming.rollout.intervals import CANDIDATE, CHAMPION
from tests.support.arms import Topics
from tests.support.engine import Bench, event
from tests.support.models import (
    Shelf,
    assembler,
    compiled,
    fit_bounded,
    fit_pipeline,
    fit_stages,
    load,
    package,
    renumbered,
)


def one_pass(spark: SparkSession, made: ModelPackage) -> ServedModel:
    return load(spark, made, scorer="compiled")


@pytest.mark.long
@pytest.mark.parametrize(
    ("serve", "planning"),
    [
        pytest.param(load, "kept", id="a pipeline of Spark's-kept"),
        pytest.param(load, "fresh", id="a pipeline of Spark's-fresh"),
        pytest.param(compiled, "kept", id="a compiled one in frames-kept"),
        pytest.param(compiled, "fresh", id="a compiled one in frames-fresh"),
        pytest.param(one_pass, "kept", id="a compiled one in one pass-kept"),
        pytest.param(one_pass, "fresh", id="a compiled one in one pass-fresh"),
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


def other_columns(spark: SparkSession) -> PipelineModel:
    """Fit a pipeline that reads the distance alone."""
    return fit_stages(spark, assembler(), LogisticRegression(labelCol="label"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("serve", "planning"),
    [
        pytest.param(load, "kept", id="pipelines of Spark's-kept"),
        pytest.param(load, "fresh", id="pipelines of Spark's-fresh"),
        pytest.param(one_pass, "kept", id="compiled ones in one pass-kept"),
        pytest.param(one_pass, "fresh", id="compiled ones in one pass-fresh"),
    ],
)
def test_of_two_arms_each_reads_and_scores_its_own_events_by_its_own_rules(
    planning: Planning,
    serve: Callable[[SparkSession, ModelPackage], ServedModel],
    bench: Bench,
    spark: SparkSession,
    shelf: Shelf,
    tmp_path: Path,
) -> None:
    bench.planning, bench.arm = planning, {"version": 2, "share": 0.5, "salt": "flights-2"}
    bench.slot.swap(renumbered(serve(spark, shelf.package(fit_pipeline)), 3))
    narrow = Signature((Column("distance", "double"),))
    candidate = serve(spark, package(other_columns(spark), tmp_path / "candidate", 2, narrow))
    bench.planned = {candidate.key: candidate}
    for number in range(40):
        # Some have neither a key nor the carrier, which the champion alone reads; some are valid for neither.
        changes = {"carrier": ...} if number % 2 else {"distance": "far"} if number % 10 == 0 else {}
        key = f"N{number}".encode() if number % 4 > 1 else None
        bench.send([event(number, **changes)], partition=number % 2, key=key)
    bench.run()

    topics = Topics(bench.read)
    by_role = topics.check()
    assert topics.counted() == by_role
    assert min(by_role[CHAMPION], by_role[CANDIDATE]) > 10
    answers = Counter((output.version, output.kind, output.reason) for output in topics.outputs)
    assert set(answers) == {
        (3, "prediction", ""),
        (3, "dead letter", "MISSING_FIELD"),
        (3, "dead letter", "WRONG_TYPE"),
        (2, "prediction", ""),
        (2, "dead letter", "WRONG_TYPE"),
    }
    assert answers[2, "dead letter", "WRONG_TYPE"] + answers[3, "dead letter", "WRONG_TYPE"] == 4
    assert bench.seen.failures == []
