"""What the fallback chain answers is marked in value, header, count and plan; what the champion answers is as ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas import dead_letter, prediction
from streaming.delivery.marks import Writer
from streaming.delivery.outcome import Outcome, count_arms
from streaming.delivery.write_order import Limits, WritePlan
from streaming.engines.task import degraded_stamps
from streaming.errors import DataError
from streaming.ledger.arms import PlannedArms
from streaming.ledger.degraded import DegradedPart
from streaming.ledger.plan import Plan
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.arrow_values import ValueWriter
from streaming.outputs.envelope import Stamp
from streaming.outputs.records import records
from streaming.outputs.targets import Target, Targets
from streaming.outputs.weights import WeightEpoch
from tests.support.written import batch, batch_of_arms, row

CHAMPION = ModelVersion("flights", 4, "run4")
PLAIN = Stamp("features", CHAMPION, "champion", "2026-01-01T00:00:00.000Z", weights=WeightEpoch("flights-5", 1))
OTHER = DegradedPart("THREW", ModelVersion("simple", 2, "run2"), CHAMPION)
ROWS = replace(OTHER, version=ModelVersion("flights", 0), rows=((3, 7),), score={"prediction": 1.0})
CONTRACT = json.loads((Path(__file__).parents[2] / "schemas" / "contracts" / "prediction.json").read_text("utf-8"))


def write_plan(*parts: DegradedPart) -> WritePlan:
    stamp, *others = degraded_stamps((PLAIN,), parts)
    return WritePlan(
        client={},
        writer=Writer("app", "features", "id", 1),
        plan="1.1",
        stamp=stamp,
        ranges={3: OffsetRange(0, 100)},
        targets=Targets(*(Target(name, 4, 10_000) for name in ("out", "dlq", "progress"))),
        limits=Limits(1 << 20, 60_000),
        others=tuple(others),
    )


def headers_of(plan: WritePlan, made: pa.RecordBatch) -> list[dict[str, Any]]:
    return [dict(record[5]) for record in records(made, 0, plan, 3, 1_000)]


def test_a_degraded_batch_is_marked_in_every_header_and_keeps_the_champions_ids() -> None:
    answer, letter = headers_of(write_plan(OTHER), batch(row(7), row(8, reason="MISSING_FIELD")))
    assert answer[prediction.DEGRADED] == letter[dead_letter.DEGRADED] == b"THREW"
    assert answer[prediction.CE_ID] == "flights:champion:features:3:7"
    assert (answer[prediction.MODEL_NAME], answer[prediction.MODEL_VERSION]) == (b"simple", b"2")
    assert prediction.ROLLOUT not in answer, "nobody compares arms by it"


def test_of_a_batch_of_which_the_chain_answers_rows_those_alone_are_marked() -> None:
    plain, marked = headers_of(write_plan(ROWS), batch_of_arms([0, 1], row(6), row(7)))
    assert prediction.DEGRADED not in plain
    assert plain[prediction.ROLLOUT] == b"flights-5"
    assert (marked[prediction.DEGRADED], marked[prediction.MODEL_VERSION]) == (b"THREW", b"0")


@pytest.mark.parametrize("part", [None, OTHER, ROWS], ids=["champion", "another model", "default score"])
def test_a_value_has_the_mark_exactly_where_it_is_degraded_and_keeps_its_contract(part: DegradedPart | None) -> None:
    stamp = PLAIN if part is None else degraded_stamps((PLAIN,), [part])[-1]
    text = ValueWriter(stamp).value((3, 7, "e7", "2013-01-01T05:15:00.000Z", 1.0, None, None, None))
    value = json.loads(text)
    Draft202012Validator(CONTRACT).validate(value)
    assert list(value) == [*prediction.VALUE.fieldNames(), *([] if part is None else ["degraded"])]
    assert value.get("degraded") == (part and part.reason)
    assert value["prediction_id"] == "flights:champion:features:3:7"


@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from([None, "OVERSIZE"])), min_size=1))
def test_the_chains_answers_are_counted_by_reason(made: list[tuple[int, str | None]]) -> None:
    plan = write_plan(ROWS)
    rows = batch_of_arms([arm for arm, _ in made], *(row(n, reason=reason) for n, (_, reason) in enumerate(made)))
    degraded = sum(arm == 1 and reason is None for arm, reason in made)
    counted = plan.degraded(len(made), count_arms(rows, 0, plan.counted_as))
    assert counted.get("THREW", 0) == degraded
    both = Outcome(degraded=counted) + Outcome(degraded={"THREW": 1, "TOO_SLOW": 2})
    assert both.degraded == {"THREW": degraded + 1, "TOO_SLOW": 2}
    assert Outcome.from_json(both.to_json()) == both
    assert write_plan(OTHER).degraded(5, {}) == {"THREW": 5}


def planned(*parts: DegradedPart) -> Plan:
    return Plan(
        id="3.1",
        application="app",
        topic="features",
        topic_id="id",
        checkpoint="c",
        batch=4,
        ranges={0: OffsetRange(5, 9)},
        arms=PlannedArms.only(CHAMPION),
        at="2026-11-21T11:00:00.000Z",
        degraded=parts,
    )


versions = st.builds(ModelVersion, st.text(max_size=3), st.integers(-1, 9), st.text(max_size=3))
offsets = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 99)), max_size=5, unique=True).map(sorted).map(tuple)
scores = st.none() | st.fixed_dictionaries({"prediction": st.floats(allow_nan=False), "probability": st.none()})
parts = st.builds(DegradedPart, st.sampled_from(["THREW", "NOT_LOADED"]), versions, versions, offsets, scores)


@given(st.lists(parts, max_size=3))
def test_a_plan_reads_back_with_the_chains_parts(degraded: list[DegradedPart]) -> None:
    made = planned(*degraded)
    record = json.loads(json.dumps(made.to_dict()))
    assert Plan.from_dict(record) == made
    assert record.get("record_version") == (3 if degraded else None), "an older release refuses what it cannot follow"
    assert ("degraded" in record) is bool(degraded)


def test_a_record_of_a_later_release_is_refused() -> None:
    with pytest.raises(DataError, match="a record of version 4"):
        Plan.from_dict({**planned(OTHER).to_dict(), "record_version": 4})
