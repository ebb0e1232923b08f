"""Several arms in one pass: each row has what its own arm's version says, whatever the versions read."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.errors import ScoringError
from streaming.events import columns as c
from streaming.models.seams import ArrowScorer
from streaming.rollout.assignment import ArmAssignment
from streaming.rollout.intervals import ALL_CHAMPION, CANDIDATE, CHAMPION
from streaming.scoring.arm_pass import ArmPass
from streaming.scoring.model_files import write_file
from streaming.settings import EventSettings
from tests.support.laws import examples
from tests.support.many import ManyBench, facts, many_event, records_of_values

HALF = ArmAssignment("flights-2", ALL_CHAMPION.changed_to({CANDIDATE: 0.5}))
ROLES = (CHAMPION, CANDIDATE)
OF_CANDIDATE = next(name for name in (f"e{n}" for n in range(99)) if HALF.arm_of(None, name) == CANDIDATE)
KEYS = (None, b"", b"N1", b"N2", b"N3", b"\xff")


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> ArmPass:
    """A champion that reads x, and a candidate that reads x and y and throws above 90."""
    bench = ManyBench(tmp_path_factory.mktemp("arms"))
    bench.add("champion", 1_000.0)
    bench.add("candidate", 2_000.0, ("x", "y"), bounded=True)
    return ArmPass((bench.passes["champion"], bench.passes["candidate"]), partial(HALF.numbers_of, ROLES))


def keyed(values: list[bytes | None], keys: list[bytes | None]) -> pa.RecordBatch:
    records = records_of_values(values)
    return records.set_column(0, "key", pa.array(keys, pa.binary()))


def of_arm(arm: int) -> bytes:
    """A key of an arm's."""
    return next(key for key in (b"%d" % n for n in range(99)) if HALF.arm_of(key, "") == ROLES[arm])


x = st.sampled_from([1.0, 50.0, "far", None, ...])
events = st.builds(many_event, st.integers(0, 80), x=x, y=st.sampled_from([2.0, None, ...]))
broken = st.sampled_from([b"{", b"[]", None, many_event(1, event_id=7), many_event(1, event_id=...)])
records = st.lists(st.tuples(st.one_of(events, broken), st.sampled_from(KEYS)), max_size=40)


@examples(30)
@given(records=records)
def test_a_rows_answer_is_that_of_its_arms_own_pass(
    arms: ArmPass, records: list[tuple[bytes | None, bytes | None]]
) -> None:
    scored = arms.score(keyed([value for value, _ in records], [key for _, key in records])).to_pylist()
    assert [row[c.OFFSET] for row in scored] == list(range(len(records)))
    for (value, key), row in zip(records, scored, strict=True):
        own = arms.passes[row[c.ARM]].score(keyed([value], [key])).to_pylist()[0]
        assert {**row, c.ARM: 0, c.OFFSET: 0} == {name: {**own, c.ARM: 0}[name] for name in row}
        if key is not None or row[c.EVENT_ID] is not None:
            assert ROLES[row[c.ARM]] == HALF.arm_of(key, row[c.EVENT_ID] or "")


@pytest.mark.parametrize(
    ("value", "is_named"),
    [
        pytest.param(many_event(1, event_id=OF_CANDIDATE, x="far"), True, id="an event that no version takes"),
        pytest.param(many_event(1, event_id=OF_CANDIDATE, event_time="soon"), True, id="a time that cannot be read"),
        pytest.param(many_event(1, event_id=...), False, id="no id"),
        pytest.param(many_event(1, event_id=[OF_CANDIDATE]), False, id="an id that is none"),
        pytest.param(
            many_event(1, event_id=OF_CANDIDATE).replace(b'"x"', b'"event_id": "e", "x"'), False, id="an id twice"
        ),
        pytest.param(many_event(1, event_id=OF_CANDIDATE)[:-1], False, id="no JSON"),
        pytest.param(None, False, id="no value"),
    ],
)
def test_a_rejected_event_without_a_key_is_of_its_ids_arm_and_else_the_champions(
    arms: ArmPass, value: bytes | None, is_named: bool
) -> None:
    (row,) = facts(arms.score(keyed([value], [None])), "arm", "verdict")
    assert row["verdict"] is not None
    assert row["arm"] == int(is_named)


def test_where_events_have_no_field_for_an_id_their_position_is_it(arms: ArmPass) -> None:
    passes = tuple(replace(own, envelope=EventSettings(id=None)) for own in arms.passes)
    scored = facts(replace(arms, passes=passes).score(keyed([many_event(1)] * 40, [None] * 40)), "event_id", "arm")
    assert [ROLES[row["arm"]] for row in scored] == [HALF.arm_of(None, f"0-{offset}") for offset in range(40)]
    assert {row["arm"] for row in scored} == {0, 1}


def test_an_event_is_read_by_the_rules_of_its_own_version_alone(arms: ArmPass) -> None:
    without_y = many_event(1)
    rows = facts(arms.score(keyed([without_y] * 2, [of_arm(0), of_arm(1)])), "verdict", "prediction")
    assert rows[0] == {"verdict": None, "prediction": 1001.0}
    assert rows[1]["verdict"] == {"reason": "MISSING_FIELD", "field": "y"}


def test_a_version_that_throws_on_an_event_of_its_arm_fails_the_batch_and_on_no_others(arms: ArmPass) -> None:
    far = many_event(95, y=1.0)
    assert facts(arms.score(keyed([far], [of_arm(0)])), "prediction") == [{"prediction": 1095.0}]
    with pytest.raises(ScoringError):
        arms.score(keyed([far], [of_arm(1)]))


@dataclass(frozen=True)
class Sleepy:
    """A scorer that takes a while for each event, as one does that asks somebody else."""

    scorer: ArrowScorer
    seconds: float

    def score(self, events: pa.RecordBatch) -> pa.RecordBatch:
        time.sleep(self.seconds * events.num_rows)
        return self.scorer.score(events)


def mixed(champions: int, candidates: int) -> pa.RecordBatch:
    """Events of both arms, each by its key."""
    keys: list[bytes | None] = [*[of_arm(0)] * champions, *[of_arm(1)] * candidates]
    return keyed([many_event(number % 80, y=1.0) for number in range(len(keys))], keys)


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        pytest.param([(30, 10)], {0: 10, 1: 10}, id="a small arm"),
        pytest.param([(10, 30)], {0: 10, 1: 10}, id="a large one"),
        pytest.param([(12, 12)], {0: 12, 1: 12}, id="equal ones"),
        pytest.param([(30, 10), (4, 9)], {0: 14, 1: 14}, id="two batches"),
        pytest.param([(30, 0), (0, 30), (0, 0)], {}, id="batches of one arm and of none"),
    ],
)
def test_each_version_is_timed_on_as_many_events_of_the_batches_that_have_both(
    arms: ArmPass, batches: list[tuple[int, int]], expected: dict[int, int]
) -> None:
    arms.times()
    for batch in batches:
        assert arms.score(mixed(*batch)).column(c.OFFSET).to_pylist() == list(range(sum(batch)))
    assert {arm: timed.events for arm, timed in arms.times().items()} == expected
    assert arms.times() == {}, "what was taken is not there again"


@pytest.mark.parametrize("slow", [0, 1])
def test_the_time_of_a_slow_version_is_its_own_however_few_events_it_has(arms: ArmPass, slow: int) -> None:
    passes = list(arms.passes)
    passes[slow] = replace(passes[slow], scorer=Sleepy(passes[slow].scorer, 0.001))
    sleepy = replace(arms, passes=tuple(passes))
    for batch in ((90, 10), (10, 90)):
        sleepy.score(mixed(*batch))
    times = sleepy.times()
    assert times[slow].seconds > 0.02
    assert times[1 - slow].seconds < times[slow].seconds


def test_no_events_are_no_rows_and_a_pass_that_was_pickled_goes_on(arms: ArmPass, tmp_path: Path) -> None:
    filled = arms.score(keyed([many_event(1)], [b"k"]))
    write_file(tmp_path / "arms", arms)
    again: ArmPass = pickle.loads((tmp_path / "arms").read_bytes())
    assert again.score(keyed([many_event(1)], [b"k"])) == filled
    empty = again.score(keyed([], []))
    assert (empty.num_rows, empty.schema) == (0, filled.schema)
