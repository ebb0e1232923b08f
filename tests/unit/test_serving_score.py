"""What ``POST /v1/score`` answers: the stream's own predictions and reasons, and a problem document for the rest."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from schemas.dead_letter import Rejection
from streaming.errors import ConfigurationError
from streaming.models.served import ServedModel
from streaming.outputs.arrow_rows import enveloped_rows
from streaming.outputs.envelope import Stamp
from streaming.scoring.row_pass import JsonRowPass
from streaming.serving.intake import events_in
from streaming.serving.keys import ApiKeys, hashed, read_keys
from streaming.settings import EventSettings, ServeSettings
from streaming.training.flights import SIGNATURE as FLIGHT_COLUMNS
from streaming.training.flights import departures, events
from tests.support.malformed import CASES
from tests.support.malformed import SIGNATURE as MALFORMED_COLUMNS
from tests.support.servers import DISTANCE, STRICT, Request, ServerBench, a_bench, event, flight_package, loaded
from tests.unit.test_scoring_row_pass import records

JSON = {"content-type": "application/json"}
OWN = ("prediction_id", "scored_at")
"""The fields that depend on where a record stands, and on when it is scored."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return loaded(flight_package(tmp_path_factory.mktemp("model")))


@pytest.fixture
def bench(model: ServedModel) -> Iterator[ServerBench]:
    with a_bench(model) as server:
        yield server


def from_the_stream(model: ServedModel, values: list[bytes]) -> list[dict[str, bytes] | Rejection]:
    """What the exact engine writes for records with these values, the fields of a prediction each as its bytes."""
    assert model.row_pass is not None
    stamp = Stamp("features", model.version, "champion", "2020-01-01T00:00:00.000Z")
    rows = enveloped_rows(model.row_pass.score(records(*values)), [stamp]).to_pylist()
    return [Rejection(row["reason"], row["field"]) if row["reason"] else fields(row["value"]) for row in rows]


def fields(value: bytes) -> dict[str, bytes]:
    return {name: bytes(raw) for name, raw in msgspec.json.decode(value, type=dict[str, msgspec.Raw]).items()}


def listed(answer: httpx.Response) -> list[dict[str, bytes]]:
    return [fields(bytes(raw)) for raw in msgspec.json.decode(answer.content, type=list[msgspec.Raw])]


def without_own(answer: dict[str, bytes] | Rejection) -> list[tuple[str, bytes]] | Rejection:
    return answer if isinstance(answer, Rejection) else [(n, v) for n, v in answer.items() if n not in OWN]


def test_predictions_of_real_flights_are_the_streams_to_the_byte(tmp_path: Path) -> None:
    # The pipeline reads three of the demonstration's columns.
    model = loaded(replace(flight_package(tmp_path, golden=None), signature=FLIGHT_COLUMNS))
    values = [departure.value for departure in events(departures().head(10_000))]
    with a_bench(model) as bench:
        halves = [bench.score(b"[" + b",".join(half) + b"]") for half in (values[:5_000], values[5_000:])]
        # Few enough to be scored one by one.
        parts = [bench.score(b"[" + b",".join(values[at : at + 25]) + b"]") for at in range(0, 2_000, 25)]
        alone = bench.score(values[17])
    assert {answer.status_code for answer in halves} == {200}
    items, few = ([item for answer in answers for item in listed(answer)] for answers in (halves, parts))
    expected = from_the_stream(model, values)
    assert [*map(without_own, items)] == [*map(without_own, expected)]
    assert [*map(without_own, few)] == [*map(without_own, expected[:2_000])]
    assert without_own(fields(alone.content)) == without_own(expected[17])
    assert len({item["prediction_id"] for item in items}) == len(items)
    assert {answer.headers["penstock-model-version"] for answer in halves} == {"1"}


def test_what_an_envelope_does_not_name_is_the_requests_own(tmp_path: Path) -> None:
    """Without an id the event's is its position, and without a time it is the record's, as in the stream."""
    model = loaded(flight_package(tmp_path), EventSettings(id=None, time=None))
    with a_bench(model) as bench:
        first, second = bench.score([{"hour": 3}, {"hour": 4}]).json()
    assert (first["event_id"], second["event_id"]) == ("0-0", "0-1")
    assert first["prediction_id"] == "late:champion:http-test:0:0"
    assert first["event_time"] == first["scored_at"] == "2013-01-01T00:00:00.000Z"


@pytest.mark.parametrize("together", [100, 25], ids=["in a pass over a batch", "one by one"])
def test_every_malformed_value_is_answered_as_the_stream_judges_it(tmp_path: Path, together: int) -> None:
    """Each value is a whole body. A list is no event: it has events of its own."""
    model = loaded(replace(flight_package(tmp_path, golden=None, stages=DISTANCE), signature=MALFORMED_COLUMNS))
    values = [value for value in CASES.values() if value is not None and not value.lstrip().startswith(b"[")]
    assert len(values) > 100
    requests: list[Request] = [("POST", "/v1/score", {"content": value, "headers": JSON}) for value in values]
    with a_bench(model) as bench:
        answers = [
            answer
            for at in range(0, len(values), together)
            for answer in bench.ask_at_once(requests[at : at + together])
        ]
    expected = from_the_stream(model, values)
    assert 20 < sum(isinstance(verdict, Rejection) for verdict in expected) < len(values) - 20
    for answer, verdict in zip(answers, expected, strict=True):
        if isinstance(verdict, Rejection):
            document = answer.json()
            assert (answer.status_code, document["reason"], document["field"]) == (422, *verdict)
            assert answer.headers["content-type"] == "application/problem+json"
        else:
            assert answer.status_code == 200
            assert without_own(fields(answer.content)) == without_own(verdict)


def test_a_list_has_predictions_and_rejections_in_the_order_of_its_events(bench: ServerBench) -> None:
    answer = bench.score([event(), event(hour=None), 7, event(event_id="e2")])
    assert answer.status_code == 200
    first, missing, number, last = answer.json()
    assert (first["event_id"], last["event_id"]) == ("e1", "e2")
    assert missing["rejected"] == {
        "reason": "MISSING_FIELD",
        "field": "hour",
        "detail": "hour: a required field is absent or null",
    }
    assert number["rejected"]["reason"] == "NOT_AN_OBJECT"
    text = bench.ask("GET", "/metrics").text
    assert 'penstock_served_events_total{outcome="prediction"} 2.0' in text
    assert 'penstock_rejected_events_total{reason="NOT_AN_OBJECT"} 1.0' in text


@pytest.mark.parametrize("events", [1, 20, 300], ids=["alone", "on the loop", "in the thread"])
def test_an_event_on_which_the_model_throws_is_rejected_and_no_other(tmp_path: Path, events: int) -> None:
    # Without its guards, the pipeline is asked what it would throw on.
    model = loaded(flight_package(tmp_path, stages=STRICT))
    assert isinstance(model.row_pass, JsonRowPass)
    model = replace(model, row_pass=replace(model.row_pass, guards=()))
    body = [event(event_id=str(number)) for number in range(events - 1)] + [event(carrier="ZZ")]
    with a_bench(model) as bench:
        answers = bench.score(body).json()
        assert [answer.get("rejected", {}).get("reason") for answer in answers] == [None] * (events - 1) + [
            "SCORING_FAILED"
        ]
        assert bench.score(event(carrier="ZZ")).json()["reason"] == "SCORING_FAILED"


def test_requests_at_the_same_moment_share_a_pass_and_get_their_own_answers(bench: ServerBench) -> None:
    requests: list[Request] = [
        ("POST", "/v1/score", {"json": [event(event_id=f"{n}-{k}", hour=n) for k in range(n % 3)]}) for n in range(20)
    ]
    for number, answer in enumerate(bench.ask_at_once(requests)):
        assert [item["event_id"] for item in answer.json()] == [f"{number}-{k}" for k in range(number % 3)]


KEYS = ApiKeys({hashed("a key"): ""})
SMALL = ServeSettings(max_body_bytes=200, max_rows=2)
VALID = json.dumps(event()).encode()
OTHER_KEY = {**JSON, "x-api-key": "another"}
CODED = {**JSON, "content-encoding": "identity, BR"}
REFUSALS = [
    pytest.param({}, {"content": b"x" * 201, "headers": JSON}, 413, "max_body_bytes", id="too many bytes"),
    pytest.param({}, {"content": b"[1,2,3]", "headers": JSON}, 413, "max_rows", id="too many events"),
    pytest.param({}, {"content": b"[1,", "headers": JSON}, 400, "no JSON list", id="half a list"),
    pytest.param({}, {"content": b"[" * 150, "headers": JSON}, 400, "no JSON list", id="a deep list"),
    pytest.param({}, {"content": VALID}, 415, "send application/json", id="no content type"),
    pytest.param({}, {"content": VALID, "headers": {"content-type": "text/csv"}}, 415, "text/csv", id="another type"),
    pytest.param(
        {},
        {"content": VALID, "headers": {"content-type": "application/json; charset=latin-1"}},
        415,
        "UTF-8",
        id="another charset",
    ),
    pytest.param({}, {"content": VALID, "headers": CODED}, 415, "Content-Encoding is 'identity, br'", id="a coding"),
    pytest.param({"keys": KEYS}, {"content": VALID, "headers": JSON}, 401, "Bearer", id="no key"),
    pytest.param(
        {"keys": KEYS},
        {"content": VALID, "headers": OTHER_KEY},
        401,
        "operator",
        id="another key",
    ),
]


@pytest.mark.parametrize(("parts", "request_", "status", "message"), REFUSALS)
def test_a_request_that_is_refused_gets_a_problem_document(
    model: ServedModel, parts: dict[str, Any], request_: dict[str, Any], status: int, message: str
) -> None:
    with a_bench(model, settings=SMALL, **parts) as bench:
        answer = bench.ask("POST", "/v1/score", **request_)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["type"].startswith("urn:penstock:problem:")
    assert message in document["detail"]


def test_a_coded_body_is_answered_with_what_is_taken_in_its_place(bench: ServerBench) -> None:
    bodies = [
        ("/v1/score", "application/json"),
        ("/invocations", "text/csv"),
        ("/v2/models/late/infer", "application/json"),
    ]
    for path, kind in bodies:
        headers = {"content-type": kind, "content-encoding": "gzip"}
        answer = bench.ask("POST", path, content=gzip.compress(VALID), headers=headers)
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert bench.score(event(), **{"content-encoding": "identity"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"authorization": "Bearer a key"}, id="as a bearer token"),
        pytest.param({"authorization": "bearer  a key"}, id="in another spelling"),
        pytest.param({"x-api-key": "a key"}, id="in its own header"),
        pytest.param({"x-api-key": "schlüssel".encode()}, id="of other letters than ASCII's"),
    ],
)
def test_a_caller_with_a_key_is_answered(model: ServedModel, headers: dict[str, str | bytes]) -> None:
    with a_bench(model, keys=ApiKeys(dict.fromkeys(map(hashed, ("another", "a key", "schlüssel")), ""))) as bench:
        assert bench.score(event(), **headers).status_code == 200
        assert bench.ask("GET", "/v1/model").status_code == 401
        assert bench.ask("GET", "/ready").status_code == 200


def test_what_comes_on_top_of_the_requests_in_flight_is_told_to_come_later(model: ServedModel) -> None:
    with a_bench(model, settings=ServeSettings(max_in_flight=3)) as bench:
        answers = bench.ask_at_once([("POST", "/v1/score", {"json": event()})] * 10)
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 7
        assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 429} == {"1"}
        assert bench.score(event()).status_code == 200


def test_the_bytes_in_flight_are_bounded_and_given_back(model: ServedModel) -> None:
    with a_bench(model, settings=ServeSettings(max_in_flight_bytes=3 * len(VALID))) as bench:
        answers = bench.ask_at_once([("POST", "/v1/score", {"content": VALID, "headers": JSON})] * 5)
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 2
        assert bench.service.intake.held == 0


async def asked(bench: ServerBench, body: bytes, pause: asyncio.Event | None = None) -> int:
    """The status of a request; with ``pause`` its end comes after that."""
    statuses: list[int] = []
    waiting = [body] if pause is None else [b"", body]

    async def receive() -> dict[str, Any]:
        if len(waiting) == 1 and pause is not None:
            await pause.wait()
        return {"type": "http.request", "body": waiting.pop(), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if message["type"] == "http.response.start" else [])

    headers = [(name.encode(), value.encode()) for name, value in JSON.items()]
    scope = {"type": "http", "method": "POST", "path": "/v1/score", "headers": headers, "query_string": b""}
    await bench.app(scope, receive, send)
    return statuses[0]


def test_callers_that_send_slowly_keep_nobody_from_being_answered(model: ServedModel) -> None:
    limits = ServeSettings(max_in_flight=2, max_in_flight_bytes=6 * len(VALID))

    async def ask(bench: ServerBench) -> tuple[list[int], int, list[int]]:
        pause = asyncio.Event()
        slow = [asyncio.create_task(asked(bench, VALID[:-1], pause)) for _ in range(5)]
        await asyncio.sleep(0)
        while not any(task.done() for task in slow):
            await asyncio.sleep(0)
        early = [task.result() for task in slow if task.done()]
        status = await asked(bench, VALID)
        pause.set()
        return early, status, await asyncio.gather(*slow)

    with a_bench(model, settings=limits) as bench:
        early, status, answers = asyncio.run(ask(bench))
        assert status == 200
        # Three of them have as many bytes as half of all, and the fourth is too much.
        assert set(early) == {429}
        assert sorted(set(answers)) == [422, 429]
        assert (bench.service.intake.held, bench.service.intake.arriving, bench.service.intake.in_flight) == (0, 0, 0)


@pytest.mark.parametrize("events", [1, 300], ids=["on the loop", "in the thread"])
def test_a_request_that_waits_too_long_is_told_to_try_again(model: ServedModel, events: int) -> None:
    with a_bench(model, settings=ServeSettings(timeout_seconds=1e-9)) as bench:
        answer = bench.score([event()] * events)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert "serve.timeout_seconds" in answer.json()["detail"]


def test_before_the_first_version_every_request_is_told_so() -> None:
    with a_bench(None) as bench:
        for answer in (bench.score(event()), bench.score([]), bench.ask("GET", "/v1/model")):
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:penstock:problem:no-model")
        assert bench.ask("GET", "/ready").json() == {"ok": False, "reasons": ["no model version is loaded yet"]}
        assert bench.ask("GET", "/health").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/score", 405), ("POST", "/ready", 405), ("GET", "/v1/scores", 404)]
)
def test_another_method_or_path_is_a_problem_too(bench: ServerBench, method: str, path: str, status: int) -> None:
    answer = bench.ask(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert f'route="{path if status == 405 else "other"}"' in bench.ask("GET", "/metrics").text


def test_a_fault_of_the_server_is_in_its_log_and_not_in_the_answer(model: ServedModel) -> None:
    # A version that was loaded for Spark has no row pass.
    with a_bench(replace(model, row_pass=None)) as bench, capture_logs() as logs:
        answer = bench.score(event(), **{"x-request-id": "order-17"})
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:penstock:problem:internal"
    assert "row pass" not in answer.text
    assert [(line["request_id"], line["log_level"]) for line in logs] == [("order-17", "error")]


def test_a_server_that_stops_answers_and_lets_connections_go(bench: ServerBench) -> None:
    assert "connection" not in bench.score(event()).headers
    bench.readiness.draining = True
    assert bench.ask("GET", "/ready").status_code == 503
    answer = bench.score(event())
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")


def test_keys_are_read_from_a_file_with_names_and_comments(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# callers\n{hashed('a key')}  the shop\n\n{hashed('b').upper()} # retired soon\n")
    assert [*read_keys(path)] == [hashed("a key"), hashed("b")]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file or directory"), (b"\xff", "it is not UTF-8")], ids=["absent", "bytes"]
)
def test_a_file_of_keys_that_cannot_be_read_is_said_with_what_to_do(
    content: bytes | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=rf"{path} cannot be read: {why}\. Correct the path"):
        read_keys(path)


@pytest.mark.parametrize(("sent", "same"), [("order-17:b", True), ("", False), ("x" * 129, False), ("a\tb", False)])
def test_an_answer_has_its_callers_request_id_or_a_new_one(bench: ServerBench, sent: str, same: bool) -> None:
    answer = bench.score(event(), **{"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is same
    assert answer.headers["x-request-id"]


@given(st.binary(max_size=60))
def test_no_body_makes_the_server_fail(model: ServedModel, body: bytes) -> None:
    with a_bench(model) as bench:
        assert bench.score(body).status_code in (200, 400, 422)


JSON_VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)


@given(st.lists(JSON_VALUES), st.sampled_from(["", " ", "\n\t"]))
def test_a_list_is_taken_apart_without_touching_its_events(values: list[Any], blank: str) -> None:
    texts = [json.dumps(value) for value in values]
    body = f"{blank}[{blank}{f',{blank}'.join(texts)}{blank}]".encode()
    assert events_in(body) == [text.encode() for text in texts]


def test_the_follower_is_woken_for_whoever_may_ask_for_it(model: ServedModel) -> None:
    with a_bench(model) as bench:
        assert bench.ask("POST", "/model/reload").status_code == 202
        assert bench.ask("POST", "/model/reload", headers={"origin": "http://page"}).status_code == 403
        assert bench.woken == [True]
