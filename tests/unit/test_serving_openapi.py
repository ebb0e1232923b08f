"""The OpenAPI document names every route, and its schemas hold for what is sent and answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streaming.formats.json.rows import JsonRowDecoder
from streaming.models.signature import Signature
from streaming.serving.app import DOCUMENT
from streaming.serving.front import OPEN_PATHS, RELOAD
from streaming.serving.keys import ApiKeys, hashed
from streaming.serving.openapi import event_schema
from streaming.serving.routes import ROUTES
from streaming.settings import EventSettings
from tests.support.servers import SIGNATURE, ServerBench, a_bench, event, flight_package, loaded


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ServerBench]:
    with a_bench(loaded(flight_package(tmp_path))) as server:
        yield server


def operation(document: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    described: dict[str, Any] = document["paths"][path][method.lower()]
    return described


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def test_every_route_is_described_and_every_description_is_a_route(bench: ServerBench) -> None:
    document = bench.ask("GET", "/openapi.json").json()
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(route.method, route.path) for route in (*ROUTES, DOCUMENT)}
    operations = [operation(document, *pair) for pair in described]
    assert len({made["operationId"] for made in operations}) == len(operations)
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_a_caller_who_is_refused_is_described_on_each_route_that_asks_who_comes(tmp_path: Path) -> None:
    with a_bench(loaded(flight_package(tmp_path)), keys=ApiKeys({hashed("a key"): ""})) as bench:
        document = bench.ask("GET", "/openapi.json", headers={"x-api-key": "a key"}).json()
        for route in (*ROUTES, DOCUMENT):
            described = operation(document, route.method, route.path)["responses"]
            if route.path in OPEN_PATHS:
                assert bench.ask(route.method, route.path).status_code == 200
                assert "401" not in described
                # Load balancers and monitors probe with either.
                assert bench.ask("HEAD", route.path).status_code == 200
            elif route.path != RELOAD:
                path = route.path.replace("{model}", "late").replace("{version}", "1")
                assert bench.ask(route.method, path).status_code == 401
                assert {"401", "403", "429"} <= described.keys()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(event(), "200", id="a prediction"),
        pytest.param([event(), event(hour="x")], "200", id="a list"),
        pytest.param(event(hour="x"), "422", id="a rejection"),
    ],
)
def test_what_is_answered_is_as_described(bench: ServerBench, body: Any, status: str) -> None:
    document = bench.ask("GET", "/openapi.json").json()
    (content,) = operation(document, "POST", "/v1/score")["responses"][status]["content"].items()
    answer = bench.score(body)
    assert (str(answer.status_code), answer.headers["content-type"]) == (status, content[0])
    validator(document, content[1]["schema"]).validate(answer.json())


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        pytest.param({}, True, id="as it is"),
        pytest.param({"temp": None, "more": [1]}, True, id="an optional null and more"),
        pytest.param({"event_id": 7}, True, id="a number for an id"),
        pytest.param({"hour": 2**63}, False, id="beyond 64 bits"),
        pytest.param({"hour": None}, False, id="a required null"),
        pytest.param({"carrier": 7}, False, id="a number for text"),
    ],
)
def test_an_event_is_described_as_the_decoder_judges_it(
    bench: ServerBench, change: dict[str, Any], valid: bool
) -> None:
    schema = event_schema(SIGNATURE, EventSettings())
    assert Draft202012Validator(schema).is_valid(event(**change)) is valid
    assert (bench.score(event(**change)).status_code == 200) is valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [([1, 2.5], True), ([1], False), ([1, None], False), ([1, "2"], False), (None, False), (1, False)],
)
def test_a_list_of_numbers_is_described_as_the_decoder_judges_it(value: Any, valid: bool) -> None:
    signature, envelope = Signature.from_config({"point": "double[2]"}), EventSettings(id=None, time=None)
    judged = JsonRowDecoder(signature, envelope, 100).judge(json.dumps({"point": value}).encode())
    assert (not judged.problems) is valid
    assert Draft202012Validator(event_schema(signature, envelope)).is_valid({"point": value}) is valid


def test_before_the_first_version_an_event_has_its_envelope_alone() -> None:
    with a_bench(None) as bench:
        schemas = bench.ask("GET", "/openapi.json").json()["components"]["schemas"]
    assert schemas["Event"]["required"] == ["event_id", "event_time"]
