"""What is read as a label: every form that the contract has, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.label import LabelRecord, read_label
from streaming.clock import instant
from tests.support.laws import examples

CONTRACT = json.loads((Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "label.json").read_text())
NOON = instant("2013-06-01T12:00:00Z")


def record(**fields: Any) -> LabelRecord:
    return LabelRecord(**{"event_id": None, "event_time": None, "label": None, "known_at": None, **fields})


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        pytest.param({"event_id": "a", "label": "late"}, record(event_id="a", label="late"), id="a name"),
        pytest.param({"event_id": 7, "label": 1.0}, record(event_id="7", label="1"), id="numbers"),
        pytest.param({"event_id": "a", "label": False}, record(event_id="a", label="false"), id="a truth value"),
        pytest.param({"event_id": "a", "label": None}, record(event_id="a"), id="withdrawn"),
        pytest.param(
            {"event_time": "2013-06-01T14:00:00+02:00", "label": 2.5},
            record(event_time=NOON, label="2.5"),
            id="by time",
        ),
        pytest.param(
            {"event_id": "a", "label": 0, "known_at": "2013-06-01T12:00:00Z", "source": "tower"},
            record(event_id="a", label="0", known_at=NOON),
            id="with the time at which it was known, and a field of somebody else",
        ),
    ],
)
def test_a_label_is_read_in_each_form_of_the_contract(fields: dict[str, Any], read: LabelRecord) -> None:
    Draft202012Validator(CONTRACT).validate(fields)
    assert read_label(json.dumps(fields).encode()) == read


@pytest.mark.parametrize("example", CONTRACT["examples"], ids=json.dumps)
def test_the_contracts_examples_are_labels(example: dict[str, Any]) -> None:
    Draft202012Validator(CONTRACT).validate(example)
    assert read_label(json.dumps(example).encode()) is not None


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"event_id": "a"}, id="no label"),
        pytest.param({"label": 1}, id="no event"),
        pytest.param({"event_id": None, "event_time": None, "label": 1}, id="no event but null"),
        pytest.param({"event_id": "a", "label": [1]}, id="a list"),
        pytest.param({"event_id": True, "label": 1}, id="an id that is a truth value"),
        pytest.param({"event_id": "a", "label": 1, "known_at": 7}, id="a time that is a number"),
        pytest.param(["label"], id="no object"),
    ],
)
def test_what_the_contract_refuses_is_no_label(fields: Any) -> None:
    assert not Draft202012Validator(CONTRACT).is_valid(fields)
    assert read_label(json.dumps(fields).encode()) is None


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="a tombstone"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff{", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deep nesting"),
        pytest.param(b'{"event_id": "a", "label": NaN}', id="not a number"),
        pytest.param(b'{"event_id": "a", "label": 1e999}', id="infinite"),
        pytest.param(b'{"event_id": "a", "label": 1, "known_at": "soon"}', id="a time that is none"),
    ],
)
def test_damage_is_no_label_and_no_error(value: bytes | None) -> None:
    assert read_label(value) is None


@examples(30)
@given(st.binary(max_size=40))
def test_no_bytes_raise(value: bytes) -> None:
    read_label(value)
    read_label(b'{"event_id": "a", "label": ' + value + b"}")
