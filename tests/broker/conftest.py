"""A bench for the exact engine, with one small model of one version for all tests."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from streaming.models.served import ServedModel
from tests.support.engine import Bench
from tests.support.kafka import MakeTopic
from tests.support.models import Shelf, fit_pipeline, load


@pytest.fixture(scope="session")
def shelf(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(spark, tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="session")
def model(spark: SparkSession, shelf: Shelf) -> ServedModel:
    """The version as a job serves it, compiled; nobody may release it."""
    return load(spark, shelf.package(fit_pipeline), scorer="compiled")


@pytest.fixture
def bench(spark: SparkSession, broker: str, make_topic: MakeTopic, model: ServedModel, tmp_path: Path) -> Bench:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    made = Bench(spark, broker, topic, tmp_path, f"app-{uuid4().hex[:8]}")
    # The version is every test's: it must outlive a swap.
    made.slot.release_with(made.release)
    made.slot.swap(model)
    return made


@pytest.fixture(params=["kept, compiled", pytest.param("fresh, by Spark", marks=pytest.mark.long)])
def either_bench(bench: Bench, model: ServedModel, request: pytest.FixtureRequest) -> Bench:
    """The bench with each way of planning batches and of scoring, for what must hold of all.

    ``make test`` has the second in one test of ``test_exact_engine`` alone, ``make test-long`` everywhere.
    """
    bench.planning, form = ("kept", model) if request.param == "kept, compiled" else ("fresh", model.reference)
    bench.slot.swap(form)
    return bench
