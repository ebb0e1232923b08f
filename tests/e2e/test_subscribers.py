"""Subscribers of other makes read the same predictions and dead letters, and the contracts hold for what they read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator
from pyspark.sql import SparkSession

from schemas.prediction import BINS
from streaming.models.profile import ColumnProfile, ReferenceProfile
from tests.support.engine import Bench, event
from tests.support.kafka import MakeTopic
from tests.support.models import fit_pipeline, load, package
from tests.support.subscribers import CLIENTS, Client, Received

GOOD = 60
BROKEN: dict[str, bytes | None] = {
    "TOMBSTONE": None,
    "INVALID_UTF8": b'{"carrier": "\xe9"}',
    "MALFORMED_JSON": b'{"event_id": "cut o',
    "NOT_AN_OBJECT": b"[1]",
    "MISSING_FIELD": event(1, carrier=...),
    "WRONG_TYPE": event(2, distance="far"),
    "BAD_EVENT_TIME": event(3, event_time="2013-02-30T00:00:00Z"),
    "UNSEEN_CATEGORY": event(4, carrier="XX"),
}
# No value here falls into a bin 0: kcat prints a header only up to its first zero byte.
CATEGORIES = ColumnProfile("carrier", "categorical", {0: 1}, categories=("ZZ", "UA"))
DISTANCES = ColumnProfile("distance", "numeric", {0: 1}, edges=(-1.0, 50.0))
GUSTS = ColumnProfile("gust", "numeric", {0: 1}, edges=(0.0,))
PROFILE = ReferenceProfile((CATEGORIES, DISTANCES, GUSTS), 1)
TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def scored(spark: SparkSession, broker: str, make_topic: MakeTopic, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A topic of two partitions, scored: good events, and one broken in every way."""
    made = package(fit_pipeline(spark), tmp_path_factory.mktemp("model"))
    topic = make_topic("features", partitions=2, retention_ms=-1)
    bench = Bench(spark, broker, topic, tmp_path_factory.mktemp("job"), f"app-{uuid4().hex[:8]}")
    bench.slot.swap(load(spark, replace(made, profile=PROFILE)))
    for partition in (0, 1):
        events = [event(i, carrier="AA" if i % 3 else "UA") for i in range(40, 40 + GOOD // 2)]
        bench.send(events, partition, key=b"N1", headers=[("traceparent", TRACE)], timestamp=1357017300000)
    bench.send(BROKEN.values(), 1, key=b"N2", headers=[("mine", b"1")], timestamp=1357017300001)
    bench.run()
    return bench


@pytest.fixture(params=sorted(CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


def contract(root: Path, name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((root / "schemas" / "contracts" / f"{name}.json").read_text()))


def as_text(headers: dict[str, bytes]) -> dict[str, str]:
    """Headers as the contract sees them; ``penstock-bins`` is bytes."""
    return {name: value.decode("latin-1" if name == BINS else "utf-8") for name, value in headers.items()}


@pytest.mark.long
def test_every_client_reads_every_prediction_and_they_keep_the_contract(
    scored: Bench, client: Client, root: Path
) -> None:
    received = client(scored.servers, f"{scored.topic}.out")
    assert len(received) == GOOD
    assert {(record.key, record.timestamp) for record in received} == {(b"N1", 1357017300000)}
    value, headers = contract(root, "prediction"), contract(root, "prediction_headers")
    for record in received:
        words, prediction = as_text(record.headers), json.loads(record.value)
        value.validate(prediction)
        headers.validate(words)
        assert words["ce_id"] == prediction["prediction_id"]
        assert words["traceparent"] == TRACE.decode()
        assert words["penstock-source-partition"] == str(record.partition)
        assert words["penstock-model-version"] == str(prediction["model_version"])
    places = {(r.headers["penstock-source-partition"], r.headers["penstock-source-offset"]) for r in received}
    assert len(places) == GOOD


def test_every_client_reads_every_dead_letter_as_it_was_with_the_reason(
    scored: Bench, client: Client, root: Path
) -> None:
    received = client(scored.servers, f"{scored.topic}.dlq")
    headers = contract(root, "dead_letter_headers")
    for record in received:
        headers.validate(as_text(record.headers))
        assert (record.key, record.timestamp, record.headers["mine"]) == (b"N2", 1357017300001, b"1")
    # kcat shows a tombstone as an empty value.
    assert {r.headers["penstock-reason"].decode(): r.value or None for r in received} == BROKEN
    assert {r.headers["penstock-field"] for r in received if "penstock-field" in r.headers} == {
        b"carrier",
        b"distance",
        b"event_time",
    }


def test_the_clients_agree_on_every_byte(scored: Bench) -> None:
    read = {name: client(scored.servers, f"{scored.topic}.out") for name, client in CLIENTS.items()}
    first: list[Received] = read["kafka-python"]
    for name, result in read.items():
        assert result == first, name


@pytest.mark.long
def test_the_bins_of_the_profile_travel_as_one_byte_per_column(scored: Bench, client: Client) -> None:
    def expected(prediction: dict[str, Any]) -> bytes:
        number = int(prediction["event_id"].removeprefix("e"))
        return bytes([255 if number % 3 else 1, 1 if number < 50 else 2, 253])

    for record in client(scored.servers, f"{scored.topic}.out"):
        assert record.headers[BINS] == expected(json.loads(record.value))
