"""The Open Inference Protocol: columns come and predictions go as tensors, by the version that was asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.models.signature import Signature
from streaming.serving.inference_payloads import inference_request, tensor_events
from streaming.serving.problems import ProblemError
from tests.support.servers import SIGNATURE, ServerBench, a_bench, event, flight_package, loaded

CARRIER = {"name": "carrier", "shape": [2], "datatype": "BYTES", "data": ["UA", None]}
HOUR = {"name": "hour", "shape": [2], "datatype": "INT64", "data": [3, 0]}
TEMP = {"name": "temp", "shape": [2, 1], "datatype": "FP32", "data": [[5.5], [10.0]]}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerBench]:
    with a_bench(loaded(flight_package(tmp_path_factory.mktemp("model"), version=3))) as server:
        yield server


def infer(bench: ServerBench, *inputs: Any, path: str = "/v2/models/late", **more: Any) -> Any:
    return bench.ask("POST", f"{path}/infer", json={"inputs": inputs, **more})


def test_columns_are_answered_with_tensors(bench: ServerBench) -> None:
    answer = infer(bench, CARRIER, HOUR, TEMP, id="order-17", parameters={"a": 1}).json()
    events = [event(carrier="UA", hour=3, temp=5.5), event(carrier=None, hour=0, temp=10.0)]
    expected = bench.score(events).json()
    assert {name: answer[name] for name in ("model_name", "model_version", "id")} == {
        "model_name": "late",
        "model_version": "3",
        "id": "order-17",
    }
    tensors = {tensor["name"]: tensor for tensor in answer["outputs"]}
    assert tensors["prediction"] == {
        "name": "prediction",
        "datatype": "FP64",
        "shape": [2],
        "data": [item["prediction"] for item in expected],
    }
    assert tensors["label"]["data"] == [item["label"] for item in expected]
    assert tensors["probability"]["shape"] == [2, 2]
    assert tensors["probability"]["data"] == [number for item in expected for number in item["probability"]]


def test_the_outputs_that_are_asked_for_are_given_and_no_other(bench: ServerBench) -> None:
    answer = infer(bench, CARRIER, HOUR, TEMP, outputs=[{"name": "label"}])
    assert [tensor["name"] for tensor in answer.json()["outputs"]] == ["label"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2", 200),
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/late", 200),
        ("/v2/models/late/versions/3", 200),
        ("/v2/models/late/ready", 200),
        ("/v2/models/late/versions/3/ready", 200),
        ("/v2/models/late/versions/4", 404),
        ("/v2/models/another/ready", 404),
    ],
)
def test_the_server_and_the_version_that_serves_are_there_and_no_other(
    bench: ServerBench, path: str, status: int
) -> None:
    answer = bench.ask("GET", path)
    assert answer.status_code == status
    assert "error" in answer.json() or status == 200


def test_the_models_columns_are_described_as_tensors(bench: ServerBench) -> None:
    described = bench.ask("GET", "/v2/models/late").json()
    assert [(tensor["name"], tensor["datatype"]) for tensor in described["inputs"]] == [
        ("carrier", "BYTES"),
        ("hour", "INT64"),
        ("temp", "FP64"),
    ]


def test_before_the_first_version_nothing_is_ready() -> None:
    with a_bench(None) as bench:
        assert bench.ask("GET", "/v2/health/live").status_code == 200
        assert bench.ask("GET", "/v2/health/ready").status_code == 503
        assert bench.ask("GET", "/v2/models/late/ready").status_code == 503


WRONG = [
    pytest.param([], "different lengths, or there is none", id="nothing"),
    pytest.param([CARRIER], "hour: a required field is absent", id="a required column is missing"),
    pytest.param([CARRIER, {**HOUR, "data": [3]}], "has 1 values", id="another number of values than the shape says"),
    pytest.param([CARRIER, {**HOUR, "shape": [1], "data": [3]}], "different lengths", id="different lengths"),
    pytest.param([CARRIER, HOUR, {**TEMP, "shape": [1, 2]}], r"\[n, 1\]", id="a row of two"),
    pytest.param([CARRIER, HOUR, {**TEMP, "data": [[1, 2], [3]]}], "no list of one value", id="two values in a row"),
    pytest.param([CARRIER, {**HOUR, "datatype": "FP64"}], "FP64, and the model reads INT", id="another datatype"),
    pytest.param([CARRIER, {**HOUR, "data": [3, 4.5]}], "row 1: hour: .*WRONG_TYPE", id="a fraction"),
    pytest.param([CARRIER, CARRIER], "twice", id="a column twice"),
    pytest.param([{**HOUR, "name": "more"}], "no column of the model's", id="another column"),
    pytest.param([{"name": "hour"}], "no inference request", id="no tensor"),
    pytest.param([{**CARRIER, "shape": [0], "data": []}, {**HOUR, "shape": [0], "data": []}], "no rows", id="no rows"),
]


@pytest.mark.parametrize(("inputs", "message"), WRONG)
def test_what_is_no_request_for_the_model_is_refused(bench: ServerBench, inputs: list[Any], message: str) -> None:
    answer = infer(bench, *inputs)
    assert answer.status_code == 400
    document = answer.json()
    assert document["error"] == document["detail"]
    assert re.search(message, document["error"]), document["error"]


def test_an_output_that_the_model_does_not_give_is_refused(bench: ServerBench) -> None:
    answer = infer(bench, CARRIER, HOUR, TEMP, outputs=[{"name": "odds"}])
    assert (answer.status_code, "odds" in answer.json()["error"]) == (400, True)


def test_another_version_is_not_asked_in_its_place(bench: ServerBench) -> None:
    assert infer(bench, CARRIER, HOUR, TEMP, path="/v2/models/late/versions/2").status_code == 404
    assert infer(bench, CARRIER, HOUR, TEMP, path="/v2/models/late/versions/3").status_code == 200


POINTS = Signature.from_config({"point": "float[2]"})
POINT = {"name": "point", "shape": [2, 2], "datatype": "FP32", "data": [1, 2.5, 3, 4]}


@pytest.mark.parametrize("data", [[1, 2.5, 3, 4], [[1, 2.5], [3, 4]]])
def test_a_column_of_lists_is_a_tensor_of_two_dimensions(data: list[Any]) -> None:
    request = inference_request(json.dumps({"inputs": [{**POINT, "data": data}]}).encode())
    assert [json.loads(made) for made in tensor_events(request, POINTS)] == [{"point": [1, 2.5]}, {"point": [3, 4]}]


@pytest.mark.parametrize("change", [{"shape": [4]}, {"shape": [1, 2]}, {"data": [1, 2, 3]}, {"data": [[1, 2]]}])
def test_a_tensor_of_another_shape_is_refused(change: dict[str, Any]) -> None:
    request = inference_request(json.dumps({"inputs": [{**POINT, **change}]}).encode())
    with pytest.raises(ProblemError, match=r"send \[n, 2\]"):
        tensor_events(request, POINTS)


TENSORS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["carrier", "hour", "temp", "x"]),
        "shape": st.lists(st.integers(-1, 3), max_size=3),
        "datatype": st.sampled_from(["BYTES", "INT64", "FP64", "BOOL"]),
        "data": st.lists(st.none() | st.integers() | st.text() | st.lists(st.integers()), max_size=3),
    }
)


@given(st.lists(TENSORS, max_size=3))
def test_no_tensors_make_the_reader_fail(tensors: list[dict[str, Any]]) -> None:
    with suppress(ProblemError):
        request = inference_request(json.dumps({"inputs": tensors}).encode())
        assert all(isinstance(made, bytes) for made in tensor_events(request, SIGNATURE))
