"""Dead letters of the real engine, mended by another version, sent again and scored."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from pyspark.sql import SparkSession

from schemas.dead_letter import REPLAYS
from streaming.models.served import ServedModel
from tests.support.commands import penstock
from tests.support.engine import Bench, event
from tests.support.kafka import MakeTopic
from tests.support.models import fit_pipeline, load, package, renumbered


@pytest.fixture(scope="module")
def models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[ServedModel, ServedModel]:
    """A version that refuses carriers it was not fitted for, and one that takes them."""
    strict, kind = (
        load(spark, package(fit_pipeline(spark, handle), tmp_path_factory.mktemp(handle)))
        for handle in ("error", "keep")
    )
    return strict, renumbered(kind, 2)


@pytest.mark.long
def test_a_mended_event_is_scored_once_and_one_that_is_not_comes_back_counted(
    spark: SparkSession,
    broker: str,
    make_topic: MakeTopic,
    models: tuple[ServedModel, ServedModel],
    tmp_path: Path,
) -> None:
    topic = make_topic("features", partitions=2, retention_ms=-1)
    bench = Bench(spark, broker, topic, tmp_path, f"app-{uuid4().hex[:8]}")
    settings = {"application": bench.application, "kafka": bench.kafka, "input": {"topic": topic}}
    (tmp_path / "penstock.yaml").write_text(yaml.safe_dump({**settings, "output": {"replays": f"{topic}.replays"}}))

    def replay() -> int:
        done = penstock("dlq", "replay", "--send", "--json", "-c", "penstock.yaml", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["events"])

    def letters() -> list[tuple[bytes, int]]:
        """Values, and how often each was sent again."""
        return [(m.value(), int(dict(m.headers()).get(REPLAYS, b"0"))) for m in bench.read(".dlq")]

    mended = event(1, carrier="ZZ")
    bench.slot.swap(models[0])
    bench.send([event(0), mended, b"\xff{"], key=b"k", headers=[("h", b"1"), ("h", None)])
    bench.run()
    assert letters() == [(mended, 0), (b"\xff{", 0)]

    bench.slot.swap(models[1])
    assert replay() == 2
    bench.run()
    assert [(p["event_id"], p["model_version"]) for p in bench.predictions()] == [("e0", 1), ("e1", 2)]
    assert letters()[2:] == [(b"\xff{", 1)]

    assert replay() == 1
    bench.run()
    assert len(bench.predictions()) == 2
    assert letters()[3:] == [(b"\xff{", 2)]
    assert all(m.headers()[:2] == [("h", b"1"), ("h", None)] for m in bench.read(".dlq"))
    assert all(m.key() == b"k" for m in bench.read(".dlq"))
