"""Malformed events through the whole engine: each comes out once, and as a static frame of the same bytes says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pyspark.sql import SparkSession

from schemas import dead_letter, prediction
from streaming.events import columns as c
from streaming.events.decode import JsonDecoder
from streaming.models.served import ServedModel
from streaming.settings import EventSettings
from tests.support.damage import damaged, drawn
from tests.support.engine import Bench
from tests.support.kafka import MakeTopic
from tests.support.malformed import CASES, EPOCHS, SIGNATURE, huge, with_envelope
from tests.support.models import fit_pipeline, load, package
from tests.support.records import records_frame, verdict_text

LIMIT = 11 << 20
"""``input.max_value_bytes`` here, so that ten megabytes are parsed and not only passed on."""

Values = Callable[[], list[bytes | None]]
"""Made by the test alone: to draw them takes seconds."""

STREAMS: dict[str, tuple[EventSettings, Values]] = {
    "the corpus and damage by chance": (EventSettings(), lambda: [*CASES.values(), *drawn(damaged(), 300, 7)]),
    "ten megabytes": (EventSettings(), lambda: [*huge(10 << 20).values(), b"x" * (LIMIT + 1)]),
    "absurd times in milliseconds": (
        EventSettings(time_format="epoch_ms"),
        lambda: [with_envelope(event_time=token) for token in EPOCHS],
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("stream", STREAMS.values(), ids=list(STREAMS))
def test_every_record_comes_out_once_and_as_the_batch_path_judges_it(
    spark: SparkSession,
    broker: str,
    make_topic: MakeTopic,
    tmp_path: Path,
    stream: tuple[EventSettings, Values],
) -> None:
    envelope, make_values = stream
    model = a_model(spark, tmp_path / "model", envelope)
    topic = make_topic("features", retention_ms=-1, max_message_bytes=LIMIT + (1 << 20))
    bench = Bench(spark, broker, topic, tmp_path, f"app-{uuid4().hex[:8]}")
    bench.slot.swap(model)
    bench.send(make_values())
    # A producer may reorder; what counts is what stands on the topic.
    values = [message.value() for message in bench.read("")]
    bench.run()
    assert bench.seen.failures == []
    streamed = [*predictions(bench), *dead_letters(bench, values)]
    assert sorted(offset for offset, _ in streamed) == list(range(len(values)))
    expected = batch_results(spark, model, values)
    assert {offset: result for offset, result in streamed if result != expected[offset]} == {}


def a_model(spark: SparkSession, root: Path, envelope: EventSettings) -> ServedModel:
    """A pipeline of two columns that is told of columns of every type."""
    model = load(spark, package(fit_pipeline(spark), root, signature=SIGNATURE), envelope)
    assert isinstance(model.decoder, JsonDecoder)
    return replace(model, decoder=replace(model.decoder, max_value_bytes=LIMIT))


def predictions(bench: Bench) -> list[tuple[int, Any]]:
    result = []
    for message in bench.read(".out"):
        value = json.loads(message.value())
        offset = int(headers(message)[prediction.SOURCE_OFFSET])
        result.append((offset, (value["event_id"], value["prediction"], value["probability"])))
    return result


def dead_letters(bench: Bench, values: list[bytes | None]) -> list[tuple[int, Any]]:
    """Each with the reason, in the words of a verdict; its bytes must be the record's own."""
    result = []
    for message in bench.read(".dlq"):
        added = headers(message)
        offset = int(added[dead_letter.ERROR_OFFSET])
        assert message.value() == values[offset]
        reason, field = added[dead_letter.REASON].decode(), added.get(dead_letter.FIELD)
        result.append((offset, reason if field is None else f"{reason}:{field.decode()}"))
    return result


def headers(message: Any) -> Mapping[str, bytes]:
    return dict(message.headers())


def batch_results(spark: SparkSession, model: ServedModel, values: list[bytes | None]) -> list[Any]:
    """What the version gives for the same bytes in a static frame, by offset."""
    columns = [c.VERDICT, c.EVENT_ID, c.PREDICTION, c.PROBABILITY]
    rows = model.score(records_frame(spark, values)).select(c.OFFSET, *columns).collect()
    assert [row[c.OFFSET] for row in rows] == list(range(len(values)))
    return [verdict_text(row) or (row[c.EVENT_ID], row[c.PREDICTION], row[c.PROBABILITY]) for row in rows]
