"""The fallback chain over a real broker: nothing is lost, and what the champion has not answered is marked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.wiring.correcting import Corrected, correct
from jobs.wiring.repairing import find_degraded
from schemas import prediction
from streaming.adapters.kafka.scan import KafkaScan
from streaming.errors import ScoringError
from streaming.failpoints import HIT
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.outputs.read_back import Output
from streaming.replay.run import Versions
from streaming.scoring.pipeline import SparkPipeline
from tests.support.arms import Topics
from tests.support.engine import Bench, event
from tests.support.models import Throws, renumbered, retyped

DEFAULT = {"prediction": 1.0, "probability": [0.4, 0.6]}
CHAIN = {"enabled": True, "version": {"version": 2}, "default": DEFAULT, "open_after": 2, "pause_seconds": 3600.0}
"""The section ``fallback``."""


@dataclass(frozen=True)
class ThrowsMore(SparkPipeline):
    """A real pipeline that throws for every 26th distance, which is every second one on which ``Throws`` does."""

    def transform(self, frame: DataFrame) -> DataFrame:
        distance = F.col("distance")
        unlucky = F.when((distance > 0) & (distance % 26 == 0), F.raise_error(F.lit("unlucky"))).otherwise(distance)
        return super().transform(frame.withColumn("distance", unlucky.cast("double")))


@dataclass(frozen=True)
class FailsFar(SparkPipeline):
    """A real pipeline that throws on every distance of 1,000 and more."""

    def transform(self, frame: DataFrame) -> DataFrame:
        distance = F.col("distance")
        far = F.when(distance >= 1_000, F.raise_error(F.lit("too far"))).otherwise(distance)
        return super().transform(frame.withColumn("distance", far.cast("double")))


def chained(bench: Bench, champion: ServedModel, version: ServedModel | None = None, **changes: Any) -> None:
    """Serve ``champion``, with ``version`` and the default score after it."""
    second = renumbered(version or champion, 2)
    bench.fallback, bench.planned = {**CHAIN, **changes}, {second.key: second}
    bench.slot = Slot()
    bench.slot.release_with(bench.release)
    bench.slot.swap(champion)


def mark_of(output: Output) -> str | None:
    """Return an output's mark, which is the same in value and header."""
    headers = {name: (value or b"").decode(errors="replace") for name, value in output.record.headers}
    header = headers.get(prediction.DEGRADED)
    if output.kind == "prediction":
        value = json.loads(output.record.value or b"")
        assert value.get("degraded") == header
        assert value["prediction_id"] == "tiny:champion:{}:{}:{}".format(*output.source)
        assert value["model_version"] == output.version
    return header


def marked(bench: Bench) -> dict[int, tuple[int, str | None]]:
    """Return version and mark of each event of partition 0 by offset, seen to be there once and as the ledger says."""
    topics = Topics(bench.read)
    assert Counter(output.source[1:] for output in topics.outputs) == Counter(topics.events.keys()), "lost or doubled"
    for output in topics.outputs:
        maker = topics.plan_of(output.source[1:]).maker(output)
        assert maker is not None
        assert maker.version.version == output.version
    answers = {output.source[2]: (output.version, mark_of(output)) for output in topics.outputs}
    return dict(sorted(answers.items()))


def counted(bench: Bench) -> dict[str, float]:
    read = bench.metrics.registry.get_sample_value
    reasons = [reason.value for reason in prediction.DegradedReason]
    return {r: n for r in reasons if (n := read("penstock_degraded_predictions_total", {"reason": r}))}


@pytest.mark.long
def test_rows_that_throw_are_answered_by_the_fallback_version_and_then_by_the_default(
    bench: Bench, model: ServedModel
) -> None:
    chained(bench, retyped(model, Throws), retyped(model, ThrowsMore))
    bench.send([*(event(number) for number in range(60)), event(60, carrier=7)])
    bench.run()
    expected: dict[int, tuple[int, str | None]] = dict.fromkeys(range(61), (1, None))
    expected |= {13: (2, "THREW"), 39: (2, "THREW"), 26: (0, "THREW"), 52: (0, "THREW")}
    assert marked(bench) == expected
    assert [json.loads(m.value())["prediction"] for m in bench.read(".out") if m.offset() in (26, 52)] == [1.0, 1.0]
    assert [message.offset() for message in bench.read(".dlq")] == [0], "what is wrong with an event is no degradation"
    assert counted(bench) == {"THREW": 4.0}
    assert bench.slot.held == frozenset()


@pytest.mark.long
@pytest.mark.parametrize(
    ("pause", "last"),
    [
        pytest.param(3600.0, (2, "THREW"), id="while the circuit is open"),
        pytest.param(0.001, (1, None), id="after a trial"),
    ],
)
def test_a_version_that_fails_on_whole_batches_is_asked_no_more_until_a_trial(
    bench: Bench, model: ServedModel, pause: float, last: tuple[int, str | None]
) -> None:
    chained(bench, retyped(model, FailsFar), model, pause_seconds=pause)
    bench.rows_per_batch = 20
    distances = [1.0] * 20 + [2_000.0] * 40 + [1.0] * 20
    bench.send(event(number, distance=distance) for number, distance in enumerate(distances))
    bench.run()
    by_batch = [set(list(marked(bench).values())[start : start + 20]) for start in range(0, 80, 20)]
    assert by_batch == [{(1, None)}, {(2, "THREW")}, {(2, "THREW")}, {last}]
    assert counted(bench) == {"THREW": 60.0 if last[1] else 40.0}
    assert len(bench.seen.searches) == 2
    reasons = [plan.reason for plan in Topics(bench.read).plans.values()]
    assert sum("tiny v1 throws on more than 10 rows" in reason for reason in reasons) == 2
    state = bench.metrics.registry.get_sample_value
    assert state("penstock_circuit_state", {"version": "tiny/1", "state": "open" if last[1] else "closed"}) == 1.0


@dataclass(frozen=True)
class Dawdles(SparkPipeline):
    """A real pipeline that takes minutes for each row."""

    def transform(self, frame: DataFrame) -> DataFrame:
        slept = F.reflect(F.lit("java.lang.Thread"), F.lit("sleep"), F.lit(120_000).cast("long"))
        distance = F.when(slept.isNull(), F.lit(0.0)).otherwise(F.col("distance"))
        return super().transform(frame.withColumn("distance", distance))


@pytest.mark.long
def test_a_batch_that_takes_too_long_is_given_up_and_taken_by_the_next_of_the_chain(
    bench: Bench, model: ServedModel
) -> None:
    chained(bench, retyped(model, Dawdles), model, batch_seconds=20.0, open_after=1)
    bench.rows_per_batch = 20
    bench.send(event(number) for number in range(40))
    bench.run()
    assert set(marked(bench).values()) == {(2, "TOO_SLOW")}
    assert counted(bench) == {"TOO_SLOW": 40.0}
    assert bench.seen.failures == ["tiny v1: the batch took more than 20 s (fallback.batch_seconds)"]


@pytest.mark.long
def test_without_a_default_what_no_version_can_answer_stops_the_job_as_ever(bench: Bench, model: ServedModel) -> None:
    chained(bench, retyped(model, FailsFar), default=None)
    bench.send(event(number, distance=2_000.0) for number in range(20))
    with pytest.raises(ScoringError, match="no good version is left"):
        bench.run()
    assert bench.predictions() == []


def test_a_job_without_a_champion_serves_by_the_chain_until_it_has_one(bench: Bench, model: ServedModel) -> None:
    chained(bench, model)
    bench.slot = Slot()
    bench.slot.release_with(bench.release)
    bench.send(event(number) for number in range(10))
    bench.run()
    bench.fallback = {**CHAIN, "version": None}
    bench.send(event(number) for number in range(10, 20))
    bench.run()
    bench.slot.swap(model)
    bench.send(event(number) for number in range(20, 30))
    bench.run()
    answers = list(marked(bench).values())
    assert answers == [(2, "NOT_LOADED")] * 10 + [(0, "NOT_LOADED")] * 10 + [(1, None)] * 10
    assert counted(bench) == {"NOT_LOADED": 20.0}


def in_a_transaction(armed: Path) -> None:
    for step in ("mark_read", "began", "produced", "offsets_sent"):
        (armed / f"writer.{step}").write_text("kill")


def when_planned_again(armed: Path) -> None:
    (armed / "engine.planned_again").write_text("raise")


def when_written(armed: Path) -> None:
    (armed / "engine.written").write_text("raise")


@pytest.mark.long
@pytest.mark.parametrize("dies", [in_a_transaction, when_planned_again, when_written])
@pytest.mark.parametrize("far", [False, True], ids=["rows", "whole batches"])
def test_a_degraded_batch_that_is_done_again_keeps_who_answers(
    bench: Bench, model: ServedModel, tmp_path: Path, dies: Callable[[Path], None], far: bool
) -> None:
    armed = tmp_path / "failpoints"
    (armed / HIT).mkdir(parents=True)
    bench.failpoints, bench.restarts = armed, 0
    chained(bench, retyped(model, FailsFar if far else Throws), model)
    bench.send(event(number, distance=2_000.0 if far else float(number)) for number in range(40))
    dies(armed)
    # Workers that are killed are no end of the job; their tasks are tried again.
    with nullcontext() if dies is in_a_transaction else pytest.raises(StreamingQueryException):
        bench.run()
    assert sorted(path.name for path in armed.iterdir()) == [HIT], "each was reached"
    # The next driver has no chain, and finds in the ledger who was to answer.
    bench.fallback = {}
    bench.send(event(number) for number in range(40, 50))
    bench.run()
    answers = marked(bench)
    degraded = range(40) if far else (13, 26, 39)
    expected = {offset: (2, "THREW") if offset in degraded else (1, None) for offset in range(50)}
    assert answers == expected


@pytest.mark.long
def test_a_repair_has_the_champion_correct_each_degraded_answer_once(bench: Bench, model: ServedModel) -> None:
    chained(bench, retyped(model, FailsFar), model)
    bench.rows_per_batch = 20
    # A batch without far events, two with a few, and one of far events alone.
    few = [2_000.0 if n % 7 == 0 else 1.0 for n in range(40)]
    distances = [float(n) for n in range(20)] + few + [2_000.0] * 14 + [3_000.0] * 6
    bench.send(event(number, distance=distance) for number, distance in enumerate(distances))
    bench.run()
    degraded = {offset for offset, (_, mark) in marked(bench).items() if mark}
    assert degraded == {offset for offset, distance in enumerate(distances) if distance > 1_000}
    # The champion is well again, but for the farthest events.
    champions = Versions(lambda _: retyped(model, FailsFarther), lambda _: None)
    runs = [repaired(bench, model, champions) for _ in range(2)]
    assert [run.counts.predictions for run in runs] == [20, 0]
    bench.send(event(number, distance=2_000.0) for number in range(80, 85))
    bench.run()
    assert repaired(bench, model, champions).counts.predictions == 5
    corrections = {output.source[2]: output for output in Topics(bench.read).corrections}
    assert corrections.keys() == {o for o in degraded if distances[o] == 2_000.0} | set(range(80, 85))
    answers = {value["prediction_id"]: value for value in bench.predictions()}
    for correction in corrections.values():
        headers = {name: (value or b"").decode(errors="replace") for name, value in correction.record.headers}
        replaced = answers[headers["penstock-corrects"]]
        value = json.loads(correction.record.value or b"")
        assert (value["role"], value["model_version"], value.get("degraded")) == ("correction", 1, None)
        assert (replaced["event_id"], replaced["degraded"]) == (value["event_id"], "THREW")
    assert bench.read(".dlq") == [], "what the champion still throws on keeps its answer"


@dataclass(frozen=True)
class FailsFarther(SparkPipeline):
    """A real pipeline that throws on every distance of 3,000 and more."""

    def transform(self, frame: DataFrame) -> DataFrame:
        distance = F.col("distance")
        far = F.when(distance >= 3_000, F.raise_error(F.lit("too far"))).otherwise(distance)
        return super().transform(frame.withColumn("distance", far.cast("double")))


def repaired(bench: Bench, champion: ServedModel, champions: Versions) -> Corrected:
    with KafkaScan(bench.kafka, "test") as scan:
        degraded = find_degraded(bench.settings, scan, champion.version)
    return correct(degraded.repair, bench.settings, bench.home, bench.spark, champions)
