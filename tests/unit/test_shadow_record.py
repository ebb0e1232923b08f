"""The record on the shadow topic keeps its contract and is read back as it was written."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.dead_letter import Reason
from schemas.shadow_prediction import PairedAnswer, ShadowPrediction, ShadowRole, read_shadow
from tests.support.laws import examples

CONTRACT = json.loads(
    (Path(__file__).resolve().parents[2] / "schemas" / "contracts" / "shadow_prediction.json").read_text()
)
VALID = Draft202012Validator(CONTRACT)
TIME = "2013-07-01T05:15:00.000Z"
share = st.none() | st.floats(0, 1)


def record(
    served: PairedAnswer,
    shadow: PairedAnswer,
    role: ShadowRole = ShadowRole.SHADOW,
    event_id: str = "e",
    offset: int = 7,
) -> ShadowPrediction:
    return ShadowPrediction(
        prediction_id=f"flights:champion:features:3:{offset}",
        event_id=event_id,
        event_time=TIME,
        source_topic="features",
        source_partition=3,
        source_offset=offset,
        application="penstock",
        rollout="flights-8",
        weight_epoch=2,
        role=role,
        scored_at=TIME,
        served=served,
        shadow=shadow,
    )


scored = st.builds(
    PairedAnswer,
    model=st.just("flights"),
    version=st.integers(1, 99),
    prediction=st.floats(allow_nan=False, allow_infinity=False),
    label=st.none() | st.text(),
    probability=st.none() | st.lists(share, max_size=4).map(tuple),
    confidence=share,
)
unscored = st.builds(
    PairedAnswer,
    model=st.just("flights"),
    version=st.integers(1, 99),
    reason=st.sampled_from([reason.value for reason in Reason]),
    field=st.none() | st.text(),
    error=st.none() | st.text(),
)


@examples(40)
@given(
    served=scored | unscored,
    shadow=scored | unscored,
    role=st.sampled_from(ShadowRole),
    event_id=st.text(),
    offset=st.integers(0, 2**63 - 1),
)
def test_every_record_keeps_the_contract_and_is_read_back_as_it_was(
    served: PairedAnswer, shadow: PairedAnswer, role: ShadowRole, event_id: str, offset: int
) -> None:
    made = record(served, shadow, role, event_id, offset)
    data = json.loads(made.to_json())
    VALID.validate(data)
    assert read_shadow(made.to_json()) == made
    assert set(data) == set(CONTRACT["properties"]) == set(CONTRACT["required"])
    assert data["shadow_id"] == made.shadow_id


def test_an_answer_has_the_fields_of_the_contract() -> None:
    names = [field.name for field in fields(PairedAnswer)]
    answer = CONTRACT["$defs"]["answer"]
    assert names == list(answer["properties"]) == answer["required"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"prediction": None}, id="neither an answer nor a reason"),
        pytest.param({"reason": "SCORING_FAILED"}, id="an answer and a reason"),
        pytest.param({"probability": [1.5]}, id="a probability above one"),
    ],
)
def test_the_contract_refuses_a_side_that_says_nothing_or_too_much(change: dict[str, object]) -> None:
    data = json.loads(record(PairedAnswer("flights", 7, 1.0), PairedAnswer("flights", 8, 1.0)).to_json())
    assert VALID.is_valid(data)
    data["shadow"] |= change
    assert not VALID.is_valid(data)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="no value"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="no fields"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b'{"prediction_id":"\xff"}', id="a field that is no text"),
        pytest.param(b'{"prediction_id":%b}' % (b"[" * 100_000), id="nested too deeply"),
        pytest.param(b'{"type":"penstock.prediction.v1"}', id="another record"),
    ],
)
def test_what_is_no_shadow_prediction_is_passed_over(value: bytes | None) -> None:
    assert read_shadow(value) is None


def test_a_later_field_is_passed_over() -> None:
    made = record(PairedAnswer("flights", 7, 1.0), PairedAnswer("flights", 8, 1.0))
    data = {**json.loads(made.to_json()), "later": 1}
    assert read_shadow(json.dumps(data)) == made


def test_the_id_tells_events_versions_and_roles_apart() -> None:
    seven, eight = PairedAnswer("flights", 7, 1.0), PairedAnswer("flights", 8, 1.0)
    records = [
        record(seven, eight),
        record(eight, seven, ShadowRole.REVERSE_SHADOW),
        record(seven, eight, offset=8),
        record(seven, PairedAnswer("flights", 9, 1.0)),
    ]
    assert len({each.shadow_id for each in records}) == 4
