"""Records and counts of a batch with several arms: each row under its own arm's stamp."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from schemas import dead_letter, prediction
from streaming.delivery.marks import Writer
from streaming.delivery.outcome import ArmOutcome, Outcome, count_arms
from streaming.delivery.write_order import Limits, WritePlan
from streaming.ledger.plan import PartitionOutcome
from streaming.models.ref import ModelVersion
from streaming.offsets import OffsetRange
from streaming.outputs.envelope import Stamp
from streaming.outputs.records import records
from streaming.outputs.targets import Target, Targets
from streaming.outputs.weights import WeightEpoch
from streaming.scoring_time import ScoringTime
from tests.support.written import batch, batch_of_arms, row

CHAMPION = Stamp("features", ModelVersion("flights", 4, "run4"), "champion", "2026-01-01T00:00:00.000Z")
CANDIDATE = replace(CHAMPION, version=ModelVersion("flights", 5, "run5"), role="candidate")
ONE_ARM = WritePlan(
    client={},
    writer=Writer("app", "features", "id", 1),
    plan="1.1",
    stamp=CHAMPION,
    ranges={3: OffsetRange(0, 100)},
    targets=Targets(*(Target(name, 4, 10_000) for name in ("out", "dlq", "progress"))),
    limits=Limits(1 << 20, 60_000),
)
TWO_ARMS = replace(ONE_ARM, others=(CANDIDATE,))
ROLES = ["champion", "candidate"]
MARK = 2


def of_arm(plan: WritePlan, rows: pa.RecordBatch) -> list[dict[str, object]]:
    return [dict(record[5]) for record in records(rows, 0, plan, 3, 1_000)]


def test_each_prediction_bears_the_stamp_of_its_arm() -> None:
    first, second = of_arm(TWO_ARMS, batch_of_arms([1, 0], row(7), row(8)))
    names = (prediction.MODEL_VERSION, prediction.RUN_ID, prediction.ROLE, prediction.CE_ID)
    assert [first[name] for name in names] == [b"5", b"run5", b"candidate", "flights:candidate:features:3:7"]
    assert [second[name] for name in names] == [b"4", b"run4", b"champion", "flights:champion:features:3:8"]


def test_a_dead_letter_names_the_version_whose_signature_it_was_checked_against() -> None:
    letters = of_arm(TWO_ARMS, batch_of_arms([0, 1], *(row(n, reason="MISSING_FIELD", field="x") for n in (7, 8))))
    assert [letter[dead_letter.MODEL_VERSION] for letter in letters] == ["4", "5"]


rows_in_arms = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([None, "OVERSIZE", "TOMBSTONE"])), min_size=1)


def test_only_a_rollouts_predictions_name_it_and_its_epoch() -> None:
    rows, weights = batch_of_arms([1, 0], row(7), row(8)), WeightEpoch("flights-5", 3)
    stamps = [replace(stamp, weights=weights) for stamp in TWO_ARMS.stamps]
    names = (prediction.ROLLOUT, prediction.WEIGHT_EPOCH)
    of_rollout = of_arm(replace(TWO_ARMS, stamp=stamps[0], others=(stamps[1],)), rows)
    assert [[headers[name] for name in names] for headers in of_rollout] == [[b"flights-5", b"3"]] * 2
    for headers, plain in zip(of_rollout, of_arm(TWO_ARMS, rows), strict=True):
        assert {name: value for name, value in headers.items() if name not in names} == plain


def test_only_a_rollouts_dead_letters_name_it_with_model_and_role() -> None:
    rows, weights = (
        batch_of_arms([1, 0], row(7, reason="MISSING_FIELD"), row(8, reason="OVERSIZE")),
        WeightEpoch("f", 3),
    )
    first, second = (replace(stamp, weights=weights) for stamp in TWO_ARMS.stamps)
    names = (dead_letter.ROLLOUT, dead_letter.WEIGHT_EPOCH, dead_letter.MODEL_NAME, dead_letter.ROLE)
    of_rollout = of_arm(replace(TWO_ARMS, stamp=first, others=(second,)), rows)
    assert [[letter[name] for name in names] for letter in of_rollout] == [
        [b"f", b"3", b"flights", b"candidate"],
        [b"f", b"3", b"flights", b"champion"],
    ]
    for letter, plain in zip(of_rollout, of_arm(TWO_ARMS, rows), strict=True):
        assert {name: value for name, value in letter.items() if name not in names} == plain


def test_only_corrections_name_what_they_replace_and_have_ids_of_their_own() -> None:
    correction = replace(CHAMPION, role="correction", corrects="candidate")
    rows = batch(row(7), row(8, reason="SCORING_FAILED"))
    answer, letter = of_arm(replace(ONE_ARM, stamp=correction), rows)
    assert answer[prediction.CE_ID] == "flights:correction:features:3:7"
    assert answer[prediction.CORRECTS] == "flights:candidate:features:3:7"
    assert letter[dead_letter.CORRECTS] == "flights:candidate:features:3:8"
    for plain in of_arm(ONE_ARM, rows):
        assert not {prediction.CORRECTS, dead_letter.CORRECTS} & plain.keys()


@given(rows_in_arms)
def test_the_arms_counts_are_those_of_the_records_that_were_sent(rows: list[tuple[int, str | None]]) -> None:
    made = batch_of_arms(
        [arm for arm, _ in rows], *(row(offset, reason=reason) for offset, (_, reason) in enumerate(rows))
    )
    sent = Counter((ROLES[arm], reason) for arm, reason in rows[MARK:])
    counts = count_arms(made, MARK, ROLES)
    assert len(list(records(made, MARK, TWO_ARMS, 3, 1_000))) == sent.total()
    for role in ROLES:
        arm = counts.get(role, ArmOutcome())
        assert arm.predictions == sent[role, None]
        assert arm.dead_letters == {reason: n for (of, reason), n in sent.items() if of == role and reason}


counts = st.builds(ArmOutcome, st.integers(0, 9), st.dictionaries(st.sampled_from(["A", "B"]), st.integers(1, 9)))
times = st.builds(ScoringTime, st.integers(0, 9), st.integers(0, 9).map(float))
outcomes = st.builds(
    Outcome,
    arms=st.dictionaries(st.sampled_from(ROLES), counts),
    times=st.dictionaries(st.sampled_from(ROLES), times),
)


@given(outcomes, outcomes)
def test_the_arms_of_chunks_add_up_in_either_order_and_survive_the_way_to_the_driver(
    one: Outcome, other: Outcome
) -> None:
    total = Outcome.from_json((one + other).to_json())
    assert (total.arms, total.times) == ((other + one).arms, (other + one).times)
    assert sum(time.seconds for time in total.times.values()) == sum(
        time.seconds for part in (one, other) for time in part.times.values()
    )
    predictions = [part.arms.get(role, ArmOutcome()).predictions for part in (one, other) for role in ROLES]
    assert sum(arm.predictions for arm in total.arms.values()) == sum(predictions)


def test_with_one_arm_a_record_needs_no_column_and_an_outcome_has_no_arms() -> None:
    assert [headers[prediction.ROLE] for headers in of_arm(ONE_ARM, batch(row(7)))] == [b"champion"]
    outcome = PartitionOutcome(5, 9, 3, {"OVERSIZE": 1}, 0, (("1.1", 5, 9),))
    assert json.dumps(outcome.to_dict(), separators=(",", ":")) == (
        '{"start":5,"end":9,"predictions":3,"dead_letters":{"OVERSIZE":1},"skipped":0,"segments":[["1.1",5,9]]}'
    )


def test_an_outcome_of_several_arms_counts_each() -> None:
    arms = {"champion": ArmOutcome(2, {"OVERSIZE": 1}, "2013-01-01T05:15:00.000Z"), "candidate": ArmOutcome(1)}
    outcome = PartitionOutcome(5, 9, 3, {"OVERSIZE": 1}, arms=arms)
    assert outcome.to_dict()["arms"] == {
        "champion": {"predictions": 2, "dead_letters": {"OVERSIZE": 1}, "newest": "2013-01-01T05:15:00.000Z"},
        "candidate": {"predictions": 1, "dead_letters": {}, "newest": ""},
    }
    assert "times" not in outcome.to_dict()
    timed = replace(outcome, times={"champion": ScoringTime(4, 0.5), "candidate": ScoringTime(4, 0.25)})
    assert timed.to_dict() == {
        **outcome.to_dict(),
        "times": {"champion": {"events": 4, "seconds": 0.5}, "candidate": {"events": 4, "seconds": 0.25}},
    }
