"""The drift query over a real broker, on predictions that the real engine wrote."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from pyspark.sql import SparkSession

from jobs.wiring.drift import drift_stream
from schemas import dead_letter
from schemas.drift import STATISTIC_TYPE, SUMMARY_TYPE, SummaryRecord
from streaming.adapters.drift_state import HadoopStateStore
from streaming.adapters.kafka.admin import KafkaAdmin
from streaming.adapters.kafka.drift import KafkaDriftSink, read_summaries
from streaming.clock import system_clock
from streaming.drift.decision import DetectionRules
from streaming.drift.monitor import Monitor, MonitoredModel
from streaming.drift.query import DriftPorts, DriftQuery
from streaming.drift.windows import WindowSpec
from streaming.engines.failures import Restarts
from streaming.models.profile import NULL_BIN, OTHER_BIN, ColumnProfile, ReferenceProfile
from streaming.models.served import ServedModel
from streaming.models.slot import Slot
from streaming.operations.drift_metrics import DriftMetrics
from streaming.settings import Settings
from tests.support.engine import Bench, event
from tests.support.models import Shelf, fit_pipeline, load, renumbered

HOUR = 3_600_000
PROFILE = ReferenceProfile(
    (
        ColumnProfile("distance", "numeric", {0: 500, 1: 500}, edges=(50.0,)),
        ColumnProfile("carrier", "categorical", {0: 900, 1: 100}, categories=("UA", "AA")),
        ColumnProfile("gust", "numeric", {0: 500, NULL_BIN: 500}),
    ),
    1000,
)


@pytest.fixture(scope="module")
def profiled(spark: SparkSession, shelf: Shelf) -> ServedModel:
    return load(spark, replace(shelf.package(fit_pipeline), profile=PROFILE))


@pytest.fixture
def bench(bench: Bench, profiled: ServedModel) -> Bench:
    """The bench with a slot of its own, which releases no model: the tests share theirs, and other files' too."""
    bench.slot = Slot()
    bench.slot.release_with(lambda model: None)
    bench.slot.swap(profiled)
    return bench


def watch(bench: Bench, **drift: Any) -> list[SummaryRecord]:
    """Run the drift job once over what there is, with a state that outlives it; return what is on its topic."""
    given = {"window_seconds": 3600, "min_rows": 10, "chance": 0.01, **drift}
    output = {**bench.settings.output.model_dump(), "drift": f"{bench.topic}.drift"}
    served = bench.slot.current()
    assert served is not None
    model = served.version.name
    changed = {"output": output, "drift": given, "model": {"name": model}}
    settings = Settings.model_validate({**bench.settings.model_dump(), **changed})
    KafkaAdmin(bench.kafka, bench.application).ensure_topic(settings.output.drift, 1, {"retention.ms": "-1"})
    checkpoint = (bench.home / "drift").as_uri()
    sink = KafkaDriftSink(bench.kafka, settings.output.drift)
    shape = WindowSpec(HOUR, HOUR, 0, 60_000)
    subject = MonitoredModel(bench.application, model, shape, DetectionRules())
    monitor = Monitor(subject, lambda key: PROFILE, sink, HadoopStateStore(bench.spark, checkpoint))
    ports = DriftPorts(bench.spark, system_clock, DriftMetrics())
    DriftQuery(drift_stream(settings, checkpoint), monitor, ports, Restarts(pause=1.0, most=20)).run_once()
    return list(read_summaries(bench.kafka, settings.output.drift))


def at(hour: int, number: int, **changes: Any) -> bytes:
    return event(number, event_time=f"2013-01-01T{hour:02}:{number % 60:02}:00Z", **changes)


def counts(summary: SummaryRecord) -> dict[str, dict[str, int]]:
    return {column.name: column.counts for column in summary.columns if column.name != "invalid"}


def test_every_prediction_is_counted_once_in_its_window_by_the_version_that_made_it(
    bench: Bench, profiled: ServedModel
) -> None:
    for partition in (0, 1):
        bench.send([at(hour, i) for hour in (5, 6) for i in range(100)], partition)
    bench.run()
    bench.slot.swap(renumbered(profiled, 2))
    bench.send([at(6, i, distance=99.0, carrier="AA", gust=1.0) for i in range(50)])
    bench.run()
    result = watch(bench)
    assert [(one.window.start[11:13], one.window.version, one.rows) for one in result] == [
        ("05", 1, 200),
        ("06", 1, 200),
        ("06", 2, 50),
    ]
    # A line for "every" bin: distances are 0 to 99 twice, gust is never given, all carriers are UA.
    plain = {"distance": {"0": 100, "1": 100}, "carrier": {"0": 200}, "gust": {str(NULL_BIN): 200}}
    assert counts(result[0]) == counts(result[1]) == plain
    assert counts(result[2]) == {"distance": {"1": 50}, "carrier": {"1": 50}, "gust": {"0": 50}}


@pytest.mark.long
def test_dead_letters_are_counted_as_invalid_and_in_the_column_at_fault(bench: Bench) -> None:
    bench.send([at(5, i) for i in range(20)], timestamp=1357017300000)
    bench.send([at(5, i, carrier="ZZ") for i in range(3)] + [b"{"], timestamp=1357017300000)
    bench.run()
    (result,) = watch(bench)
    assert (result.rows, result.invalid) == (20, 4)
    assert counts(result)["carrier"] == {"0": 20, str(OTHER_BIN): 3}


@pytest.mark.long
def test_dead_letters_of_a_backfill_are_counted_in_the_hours_of_their_events(bench: Bench) -> None:
    """Sent today, of 2013. What has no time is where the events beside it are; a sender's headers say none."""
    fake = [(dead_letter.EVENT_TIME, b"2013-01-01T09:00:00Z"), (dead_letter.FIELD, b"gust")]
    for hour in (5, 6, 7):
        for partition in (0, 1):
            bench.send([at(hour, i) for i in range(20)], partition)
            bench.send([at(hour, 1, distance="far"), at(hour, 2, event_id=7.5), b"{"], partition, headers=fake)
            bench.send([at(hour, 3)[:-1] + b', "event_time": "2013-01-01T09:00:00Z"}', None], partition, headers=fake)
    bench.run()
    result = watch(bench)
    assert [(one.window.start[11:13], one.rows, one.invalid, one.late) for one in result] == [
        (hour, 40, 10, 0) for hour in ("05", "06", "07")
    ]
    assert counts(result[0])["gust"] == {str(NULL_BIN): 40}


@pytest.mark.long
def test_a_dead_letter_whose_clock_is_wrong_by_years_holds_nobody_up(bench: Bench) -> None:
    bench.send([at(5, i) for i in range(20)] + [at(8, 0), event(1, event_time="1970-01-01T00:00:00Z", distance="far")])
    bench.run()
    result = watch(bench)
    assert [(one.window.start[:13], one.rows, one.invalid, one.closed_by) for one in result] == [
        ("1970-01-01T00", 0, 1, "watermark"),
        ("2013-01-01T05", 20, 0, "watermark"),
        ("2013-01-01T08", 1, 0, "end"),
    ]


@pytest.mark.long
def test_records_of_others_and_of_aborted_transactions_are_not_counted(bench: Bench) -> None:
    bench.send([at(5, i) for i in range(10)])
    bench.run()
    (message, *_) = bench.read(".out")
    stranger = [
        (name, b"/penstock/other/flights" if name == "ce_source" else value) for name, value in message.headers()
    ]
    producer = Producer({**bench.kafka, "transactional.id": f"{bench.application}-strange"})
    producer.init_transactions()
    for headers, kept in ((stranger, True), (message.headers(), False), ([], True)):
        producer.begin_transaction()
        producer.produce(f"{bench.topic}.out", message.value(), headers=headers)
        assert producer.flush(30) == 0  # an abort before the record has arrived has nothing to abort
        producer.commit_transaction() if kept else producer.abort_transaction()
    assert [one.rows for one in watch(bench)] == [10]


@pytest.mark.long
def test_headers_in_another_order_are_found_by_name(bench: Bench) -> None:
    bench.send([at(5, i) for i in range(10)])
    bench.run()
    (message, *_) = bench.read(".out")
    producer = Producer(bench.kafka)
    producer.produce(f"{bench.topic}.out", message.value(), headers=list(reversed(message.headers())))
    producer.flush()
    (result,) = watch(bench)
    assert result.rows == 11
    assert sum(counts(result)["distance"].values()) == 11


@pytest.mark.long
def test_a_run_goes_on_where_the_last_one_ended_and_publishes_each_window_once(bench: Bench) -> None:
    bench.send([at(5, i) for i in range(60)])
    bench.run()
    watch(bench)
    bench.send([at(6, i) for i in range(30)] + [at(5, 1)])
    bench.run()
    result = watch(bench)
    assert [(one.window.start[11:13], one.rows, one.late) for one in result] == [("05", 60, 0), ("06", 30, 1)]
    assert Counter(one.window.id for one in result).most_common(1)[0][1] == 1


def test_what_stands_on_the_topic_keeps_the_contracts(bench: Bench) -> None:
    from jsonschema import Draft202012Validator

    bench.send([at(5, i) for i in range(40)])
    bench.run()
    watch(bench)
    contracts = {
        record_type: json.loads(Path(f"schemas/contracts/drift_{kind}.json").read_text())
        for record_type, kind in ((STATISTIC_TYPE, "statistic"), (SUMMARY_TYPE, "summary"))
    }
    records = [json.loads(message.value()) for message in bench.read(".drift")]
    for record in records:
        Draft202012Validator(contracts[record["type"]]).validate(record)
    assert Counter(record["type"] for record in records)[SUMMARY_TYPE] == 1
    assert len({record["id"] for record in records}) == len(records)
