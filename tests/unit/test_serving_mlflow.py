"""``/invocations`` beside MLflow's own scoring code, over the same model: the same answers and errors, or stricter."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from streaming.errors import CandidateRefusedError
from streaming.models.signature import Signature
from streaming.models.slot import Slot
from streaming.refusal_codes import RefusalCode
from streaming.scoring.flavours.sklearn_skops import TRUSTED
from streaming.serving.mlflow_payloads import csv_events, json_events
from streaming.serving.problems import ProblemError
from streaming.settings import ServeSettings
from tests.support.flavours import SIGNATURE, described, features, flights, saved
from tests.support.laws import examples
from tests.support.mlflow_serving import MlflowServing
from tests.support.servers import ServerBench, a_bench, event, flight_package, loaded

ROW: dict[str, Any] = {"distance": 100.0, "gust": 3.5, "hour": 4, "night": True}
FAR: dict[str, Any] = {"distance": 2000.0, "gust": None, "hour": 22, "night": False}
NAMES = list(ROW)
HEADER = "distance,gust,hour,night\n"
JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"


@dataclass
class Both:
    """A server of ours and MLflow's code, with the same model."""

    ours: ServerBench
    mlflow: MlflowServing


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    model = HistGradientBoostingRegressor(max_iter=20).fit(features(), flights()["delay"])
    options: dict[str, Any] = {"serialization_format": "skops", "skops_trusted_types": list(TRUSTED)}
    root = saved("sklearn", model, tmp_path_factory.mktemp("model") / "files", **options)
    slot = Slot()
    slot.swap(loaded(described(root)))
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as thread:
        # MLflow sets it for good.
        patch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")
        yield Both(ServerBench(slot, thread), MlflowServing(root))


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def invoke(bench: ServerBench, body: Any, content_type: str = JSON) -> Any:
    return bench.ask("POST", "/invocations", content=encoded(body), headers={"content-type": content_type})


def columns(*rows: dict[str, Any]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in NAMES}


def parquet(*rows: dict[str, Any], **more: pa.Array) -> bytes:
    table = pa.table({**{name: [row.get(name) for row in rows] for name in rows[0]}, **more})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


SPLIT = {"columns": NAMES, "data": [list(ROW.values()), list(FAR.values())]}
ANSWERED = [
    pytest.param({"dataframe_records": [ROW, FAR]}, JSON, id="records"),
    pytest.param({"dataframe_records": [{**ROW, "more": "x"}]}, JSON, id="records with another column"),
    pytest.param({"dataframe_records": [{**ROW, "distance": 5}]}, JSON, id="a whole number for a double"),
    pytest.param({"dataframe_split": SPLIT}, JSON, id="split"),
    pytest.param({"dataframe_split": {**SPLIT, "index": ["a", "b"]}}, JSON, id="split with an index"),
    pytest.param({"instances": [ROW, ROW]}, JSON, id="instances"),
    pytest.param({"inputs": columns(ROW, ROW)}, JSON, id="columns"),
    pytest.param({"inputs": ROW}, JSON, id="columns of one value"),
    pytest.param({"inputs": [ROW]}, JSON, id="inputs as records"),
    pytest.param({"inputs": [ROW], "params": {"a": 1}}, JSON, id="params that the model has not"),
    pytest.param({"inputs": [ROW], "params": None}, JSON, id="no params"),
    pytest.param(f"{HEADER}100.0,3.5,4,True\n2000,,22,False\n".encode(), CSV, id="CSV"),
    pytest.param(b"night,hour,gust,distance,x\ntrue,4,1.5,1e2,q\n", CSV, id="CSV in another order, with a column more"),
    pytest.param(f"{HEADER}100.0,3.5,4,True\n".encode(), "text/csv; charset=utf-8", id="CSV that says UTF-8"),
    pytest.param(parquet(ROW, FAR), PARQUET, id="Parquet"),
    pytest.param(parquet({**ROW, "gust": math.nan}), PARQUET, id="Parquet with a NaN for null"),
    pytest.param(parquet({"x": "q", **ROW}, day=[date(2013, 1, 1)]), PARQUET, id="Parquet with columns more"),
]


@pytest.mark.parametrize(("body", "content_type"), ANSWERED)
def test_rows_get_mlflows_own_predictions(both: Both, body: Any, content_type: str) -> None:
    theirs = both.mlflow.invoke(encoded(body), content_type)
    ours = invoke(both.ours, body, content_type)
    assert (ours.status_code, theirs.status_code) == (200, 200), ours.text
    assert ours.json() == theirs.json()


REFUSED = [
    pytest.param({"x": 1}, JSON, id="none of the forms"),
    pytest.param({"inputs": [ROW], "instances": [ROW]}, JSON, id="two of the forms"),
    pytest.param([ROW], JSON, id="a list"),
    pytest.param(7, JSON, id="a number"),
    pytest.param(b"{", JSON, id="half an object"),
    pytest.param(b"\xff{}", JSON, id="not UTF-8"),
    pytest.param(b"", JSON, id="nothing"),
    pytest.param({"dataframe_records": ROW}, JSON, id="a record for records"),
    pytest.param({"dataframe_records": []}, JSON, id="no records"),
    pytest.param({"dataframe_records": [{"distance": 1.0}]}, JSON, id="a column is missing"),
    pytest.param({"dataframe_records": [{**ROW, "distance": "far"}]}, JSON, id="a word for a number"),
    pytest.param({"dataframe_records": [{**ROW, "hour": None}]}, JSON, id="no whole number"),
    pytest.param({"dataframe_split": [1]}, JSON, id="split as a list"),
    pytest.param({"dataframe_split": {"columns": NAMES}}, JSON, id="split without data"),
    pytest.param({"dataframe_split": {**SPLIT, "more": 1}}, JSON, id="split with another key"),
    pytest.param({"dataframe_split": {**SPLIT, "data": [[1, 2]]}}, JSON, id="split with a short row"),
    pytest.param({"dataframe_split": {"data": SPLIT["data"]}}, JSON, id="split without columns"),
    pytest.param({"instances": [list(ROW.values())]}, JSON, id="instances without names"),
    pytest.param({"instances": []}, JSON, id="no instances"),
    pytest.param({"inputs": {**columns(ROW, ROW), "hour": [1]}}, JSON, id="columns of different length"),
    pytest.param(f"{HEADER}far,3.5,4,True\n".encode(), CSV, id="CSV with a word for a number"),
    pytest.param(f"{HEADER}1,2\n".encode(), CSV, id="CSV with a short row"),
    pytest.param(f"{HEADER}1,2,3,True,5\n".encode(), CSV, id="CSV with a long row"),
    pytest.param(HEADER.encode(), CSV, id="CSV without rows"),
    pytest.param(b"", CSV, id="CSV without a header"),
    pytest.param(b"\xff\xfe,", CSV, id="CSV that is not UTF-8"),
    pytest.param(b"distance\n1\n", CSV, id="CSV without a column"),
    pytest.param(b"PAR1" + b"\0" * 40 + b"PAR1", PARQUET, id="Parquet that is damaged"),
    pytest.param(b"", PARQUET, id="Parquet of no bytes"),
    pytest.param(parquet({**ROW, "distance": "far"}), PARQUET, id="Parquet with a word for a number"),
    pytest.param(parquet({"distance": 1.0}), PARQUET, id="Parquet without a column"),
    pytest.param(parquet({**ROW, "distance": [1.0]}), PARQUET, id="Parquet with a list for a number"),
    pytest.param({"inputs": [ROW]}, "text/plain", id="another type"),
    pytest.param({"inputs": [ROW]}, "application/json; charset=latin-1", id="another charset"),
    pytest.param({"inputs": [ROW]}, "application/json; a=b", id="another parameter"),
]


def error_code(answer: Any) -> str | None:
    # MLflow writes a problem of the content type as plain text.
    return None if answer.status_code == 415 else answer.json()["error_code"]


LOOSELY_CODED = {
    "no whole number",
    "CSV with a short row",
    "Parquet with a word for a number",
    "Parquet with a list for a number",
}
"""MLflow finds these while it casts, and we when we read."""


@pytest.mark.parametrize(("body", "content_type"), REFUSED)
def test_what_mlflow_refuses_is_refused_with_its_status_and_code(
    both: Both, body: Any, content_type: str, request: pytest.FixtureRequest
) -> None:
    theirs = both.mlflow.invoke(encoded(body), content_type)
    ours = invoke(both.ours, body, content_type)
    assert ours.status_code == theirs.status_code
    assert theirs.status_code >= 400
    assert ours.headers["content-type"] == "application/problem+json"
    if request.node.callspec.id not in LOOSELY_CODED:
        assert error_code(ours) == error_code(theirs)


STRICTER = [
    pytest.param({"dataframe_records": [{**ROW, "distance": "5"}]}, "WRONG_TYPE", id="text for a number"),
    pytest.param({"dataframe_records": [{**ROW, "hour": 4.5}]}, "WRONG_TYPE", id="a fraction for a whole number"),
    pytest.param({"dataframe_records": [{**ROW, "distance": True}]}, "WRONG_TYPE", id="true for a number"),
    pytest.param({"dataframe_records": [{**ROW, "night": 1}]}, "WRONG_TYPE", id="a number for true"),
    pytest.param({"dataframe_records": [{**ROW, "distance": None}]}, "MISSING_FIELD", id="a required null"),
    pytest.param(encoded({"inputs": [ROW]}).replace(b"100.0", b"NaN"), "Invalid", id="NaN, which is no JSON"),
    pytest.param(
        encoded({"inputs": [ROW]}).replace(b'"hour"', b'"hour":1,"hour"'), "MALFORMED_JSON", id="a name twice"
    ),
    pytest.param({"inputs": [ROW], "params": [1]}, "params", id="params that are no object"),
]


@pytest.mark.parametrize(("body", "message"), STRICTER)
def test_what_mlflow_guesses_is_refused(both: Both, body: Any, message: str) -> None:
    assert both.mlflow.invoke(encoded(body), JSON).status_code == 200
    ours = invoke(both.ours, body)
    assert ours.status_code == 400
    assert message.lower() in ours.json()["message"].lower()


SMALL = ServeSettings(max_body_bytes=100_000, max_rows=1_000)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(parquet(*[ROW] * 1_001), "serve.max_rows", id="rows"),
        # Five kilobytes that would become five megabytes.
        pytest.param(parquet(*[{"x": "y" * 5_000}] * 1_000), "four times", id="one text, over and over"),
        pytest.param(
            parquet(*[ROW] * 1_000, x=pa.array([b"y" * 5_000] * 1_000, pa.large_binary())), "four times", id="bytes"
        ),
        pytest.param(
            parquet(*[ROW] * 1_000, x=pa.array([b"y" * 5_000] * 1_000, pa.binary(5_000))), "four times", id="long bytes"
        ),
    ],
)
def test_a_file_that_would_become_too_large_is_refused_before_it_does(both: Both, body: bytes, message: str) -> None:
    assert len(body) < SMALL.max_body_bytes
    with a_bench(both.ours.slot.current(), settings=SMALL) as bench:
        answer = invoke(bench, body, PARQUET)
    assert answer.status_code == 413
    assert message in answer.json()["detail"]


@given(st.data())
@examples(60)
def test_a_damaged_file_is_a_problem_and_no_fault(both: Both, data: st.DataObject) -> None:
    body = bytearray(parquet(ROW, FAR, ROW))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] ^= 1 << data.draw(st.integers(0, 7))
    assert invoke(both.ours, bytes(body), PARQUET).status_code in (200, 400, 413)


def test_a_missing_optional_column_is_null_and_not_an_error(both: Both) -> None:
    without = {name: value for name, value in FAR.items() if name != "gust"}
    assert both.mlflow.invoke(encoded({"inputs": [without]}), JSON).status_code == 400
    ours = invoke(both.ours, {"inputs": [without]})
    assert ours.json() == invoke(both.ours, {"inputs": [FAR]}).json()


def test_many_rows_are_mlflows_own_too(both: Both) -> None:
    frame = features()
    rows = json.loads(frame.assign(gust=frame["gust"].astype(object)).to_json(orient="records", double_precision=15))
    body = {"dataframe_records": rows}
    assert invoke(both.ours, body).json() == both.mlflow.invoke(encoded(body), JSON).json()
    assert np.isfinite(invoke(both.ours, body).json()["predictions"]).all()


def test_a_pipelines_prediction_column_is_the_answer(tmp_path: Path) -> None:
    with a_bench(loaded(flight_package(tmp_path))) as bench:
        row = {name: event()[name] for name in ("carrier", "hour", "temp")}
        assert invoke(bench, {"inputs": [row, {**row, "hour": 0, "temp": 10.0}]}).json() == {"predictions": [1.0, 0.0]}
        assert bench.ask("GET", "/ping").status_code == 200
        assert bench.ask("GET", "/version").status_code == 200
    with a_bench(None) as bench:
        assert bench.ask("GET", "/ping").status_code == 404
        assert invoke(bench, {"inputs": [row]}).status_code == 503


ONE = Signature.from_config({"word": "string"})


@pytest.mark.parametrize("form", ["instances", "inputs"])
def test_values_are_those_of_a_models_only_column(form: str) -> None:
    body = encoded({form: ["a", None]})
    assert json_events(body, ONE) == [b'{"word":"a"}', b'{"word":null}']


TENSOR = Signature.from_config({"inputs": "double[2]"})


@pytest.mark.parametrize(
    ("body", "events"),
    [
        pytest.param({"inputs": [[1, 2.50], [3, None]]}, [b'{"inputs":[1,2.5]}', b'{"inputs":[3,null]}'], id="rows"),
        pytest.param({"instances": [[1, 2]]}, [b'{"inputs":[1,2]}'], id="instances"),
        pytest.param(b'inputs\n"[1, 2.50]"\n[1\n', [b'{"inputs":[1, 2.50]}', b'{"inputs":"[1"}'], id="CSV"),
    ],
)
def test_the_rows_of_a_tensor_are_lists(body: Any, events: list[bytes]) -> None:
    read = csv_events if isinstance(body, bytes) else json_events
    assert [event.replace(b", ", b",") for event in read(encoded(body), TENSOR)] == [
        event.replace(b", ", b",") for event in events
    ]


@given(st.lists(st.text(min_size=1).filter(lambda text: "\0" not in text), min_size=1))
def test_a_text_in_csv_is_the_events_text(texts: list[str]) -> None:
    quoted = [text.replace('"', '""') for text in texts]
    body = "word\n" + "".join(f'"{text}"\n' for text in quoted)
    assert [json.loads(event)["word"] for event in csv_events(body.encode("utf-8", "replace"), ONE)] == [
        text.encode("utf-8", "replace").decode() for text in texts
    ]


@given(st.binary(max_size=40), st.booleans())
def test_no_body_makes_the_reader_fail(body: bytes, as_csv: bool) -> None:
    with suppress(ProblemError):
        events = (csv_events if as_csv else json_events)(body, SIGNATURE)
        assert all(isinstance(made, bytes) for made in events)


def test_a_model_of_another_library_that_is_damaged_is_refused_by_a_process_of_its_own(both: Both) -> None:
    served = both.ours.slot.current()
    assert served is not None
    assert served.choice.kind == "native"
    assert served.choice.why.startswith("sklearn ")
    package = served.package
    (file,) = package.root.glob("*.skops")
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-100])
        with pytest.raises(CandidateRefusedError) as refusal:
            loaded(package)
    finally:
        file.write_bytes(content)
    assert refusal.value.reason is RefusalCode.CORRUPT_FILES
