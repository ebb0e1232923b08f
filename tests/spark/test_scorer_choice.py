"""Which form of a version serves: the compiled one where Spark agrees, and why where it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from streaming.errors import CandidateRefusedError
from streaming.models.package import ModelPackage
from streaming.models.served import ServedModel
from streaming.refusal_codes import RefusalCode
from streaming.scoring import arrow_frames
from streaming.scoring.compiled import linear
from streaming.scoring.compiled.classes import logistic
from streaming.scoring.loader import SparkPipelineLoader
from streaming.settings import EventSettings, ScorerSetting
from tests.support.engine import event
from tests.support.models import UNGUARDED, Shelf, fit_pipeline, fit_unguarded, with_a_cosine_transform


@dataclass(frozen=True)
class Recent:
    """A topic with these records."""

    values: tuple[bytes, ...] = ()

    def recent(self, count: int) -> Sequence[bytes]:
        return self.values[:count]


@pytest.fixture(scope="module")
def shelf(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(spark, tmp_path_factory.mktemp("shelf"))


def load(spark: SparkSession, made: ModelPackage, setting: ScorerSetting, *values: bytes) -> ServedModel:
    loader = SparkPipelineLoader(spark, EventSettings(), 1 << 20, sample=Recent(values), scorer=setting)
    return loader.load(made, f"file://{made.pipeline_dir}")


@pytest.mark.parametrize("setting", ["auto", pytest.param("compiled", marks=pytest.mark.long)])
def test_a_pipeline_whose_answers_are_sparks_is_served_compiled(
    setting: ScorerSetting, spark: SparkSession, shelf: Shelf
) -> None:
    served = load(spark, shelf.package(fit_pipeline), setting, event(3), b"{", event(4, carrier="ZZ"))
    assert (served.choice.kind, served.row_pass is None) == ("compiled", False)
    assert served.choice.why.startswith("its answers are Spark's on ")


def test_where_spark_is_wanted_nothing_is_compiled(spark: SparkSession, shelf: Shelf) -> None:
    served = load(spark, shelf.package(fit_pipeline), "spark")
    assert (served.choice.kind, served.row_pass) == ("spark", None)


@pytest.mark.long
def test_a_stage_without_a_compiled_form_is_named_and_served_by_spark(spark: SparkSession, shelf: Shelf) -> None:
    served = load(spark, shelf.package(with_a_cosine_transform), "auto")
    assert (served.choice.kind, served.row_pass) == ("spark", None)
    assert "DCT" in served.choice.why


def test_where_only_compiled_will_do_such_a_version_is_refused(spark: SparkSession, shelf: Shelf) -> None:
    with pytest.raises(CandidateRefusedError, match="DCT") as caught:
        load(spark, shelf.package(with_a_cosine_transform), "compiled")
    assert caught.value.reason is RefusalCode.NOT_COMPILED


@pytest.mark.long
def test_a_version_that_was_not_tried_on_an_event_is_served_by_spark(spark: SparkSession, shelf: Shelf) -> None:
    made = replace(shelf.package(fit_unguarded), signature=UNGUARDED)
    served = load(spark, made, "auto")
    assert (served.choice.kind, served.scorer.is_proven) == ("spark", False)
    assert "no event is known" in served.choice.why


def test_a_form_that_answers_otherwise_by_a_little_is_not_served(
    spark: SparkSession, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear, "logistic", lambda margins: logistic(margins * (1 + 1e-9)))
    served = load(spark, shelf.package(fit_pipeline), "auto", *(event(number) for number in range(48, 53)))
    assert (served.choice.kind, served.row_pass) == ("spark", None)
    assert "differ from Spark's on" in served.choice.why


@pytest.mark.long
def test_the_topics_events_are_among_those_compared(spark: SparkSession, shelf: Shelf) -> None:
    made = shelf.package(fit_pipeline)
    without, with_ten = (load(spark, made, "auto", *values) for values in ((), [event(n) for n in range(10)]))
    assert _events(with_ten) == _events(without) + 10


def _events(served: ServedModel) -> int:
    return int(served.choice.why.split(" on ")[1].split()[0])


@pytest.mark.long
def test_a_form_that_workers_cannot_run_is_not_served_and_the_package_they_lack_is_named(
    spark: SparkSession, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Here, so that it is pickled whole: it fails in a worker as the import of an absent package does.
    def without_jiter(*_: object) -> Iterator[pa.RecordBatch]:
        raise ModuleNotFoundError("No module named 'jiter'")

    monkeypatch.setattr(arrow_frames, "_scored", without_jiter)
    served = load(spark, shelf.package(fit_pipeline), "auto")
    assert (served.choice.kind, served.row_pass) == ("spark", None)
    assert "workers cannot run the compiled form: ModuleNotFoundError: No module named 'jiter'" in served.choice.why
