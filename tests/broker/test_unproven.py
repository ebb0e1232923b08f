"""A version that was loaded without an event on which it is known not to throw, in the exact engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from schemas import dead_letter
from tests.support.engine import Bench, event
from tests.support.models import UNGUARDED, fit_unguarded, load, package, renumbered


@pytest.mark.long
def test_every_event_is_accounted_for_before_and_after_the_first_valid_one(
    bench: Bench, spark: SparkSession, tmp_path: Path
) -> None:
    made = package(fit_unguarded(spark), tmp_path / "unguarded", signature=UNGUARDED)
    bench.slot.swap(renumbered(load(spark, made), 2))
    bench.send([b"{", event(0, x="text")])
    bench.run()
    assert reasons(bench) == ["MALFORMED_JSON", "WRONG_TYPE"]
    bench.send([b"{", event(1, x=2.0), event(2, x=99.0), event(3, x=None)])
    bench.run()
    assert [prediction["event_id"] for prediction in bench.predictions()] == ["e1", "e3"]
    assert reasons(bench) == ["MALFORMED_JSON", "WRONG_TYPE", "MALFORMED_JSON", "SCORING_FAILED"]
    assert bench.seen.failures == []


def reasons(bench: Bench) -> list[str]:
    return [dict(letter.headers())[dead_letter.REASON].decode() for letter in bench.read(".dlq")]
