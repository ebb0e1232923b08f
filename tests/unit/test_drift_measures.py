"""What is published: every statistic with the value that chance exceeds at the nominal rate, and the words."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.drift import INVALID, State, Statistic, SummaryRecord, Window, read_summary
from schemas.drift_v1 import movement_of_cause
from schemas.movement import Movement, Shares, moved_share
from streaming.drift.decision import ColumnVerdict, DetectionRules, WindowJudge
from streaming.drift.dispersion import NONE, Dispersion, Dispersions
from streaming.drift.measures import measures, statistic_records, summary_record
from streaming.drift.movement import movement_of
from streaming.drift.pair import Pair
from streaming.drift.words import bin_name, cause
from streaming.models.profile import ColumnProfile, ReferenceProfile
from tests.support.drifts import categorical, normal_shares, numeric, pair, window

CHANCE = Dispersions(NONE, NONE, (NONE, NONE, NONE))
SUBJECT = Window("app", "flights", 3, "2013-01-01T05:00:00.000Z", "2013-01-01T06:00:00.000Z")
STILL = numeric([2_000] * 10 + [0, 0, 0])
UP = [round(1_000 * share) for share in normal_shares(shift=0.5)]
WITHOUT_LAW = {Statistic.WASSERSTEIN}
ORDERED = {
    Statistic.KOLMOGOROV_SMIRNOV,
    Statistic.WASSERSTEIN,
    Statistic.LEVEL_SHIFT,
    Statistic.MEAN_SHIFT,
    Statistic.MEDIAN_SHIFT,
    Statistic.UPPER_SHIFT,
}


def verdict(one: Pair) -> ColumnVerdict:
    return ColumnVerdict(one.profile.name, one.n, one.m, pair=one, dispersions=CHANCE)


def judged(
    profile: ColumnProfile, row: list[int], rules: DetectionRules | None = None, invalid: int = 0
) -> list[ColumnVerdict]:
    return WindowJudge(ReferenceProfile((profile,), 1), rules or DetectionRules()).judge(window(row, invalid=invalid))


@pytest.mark.parametrize("make", [numeric, categorical], ids=["numeric", "categorical"])
def test_every_statistic_that_the_kind_has_is_there_once(make: type) -> None:
    row = [100] * 10 + [5, 5, 5]
    result = [one.statistic for one in measures(verdict(pair(make([2_000] * 10 + [9, 9, 9]), row)), 0.01)]
    every = set(Statistic) - {Statistic.INVALID_RATE} - (set() if make is numeric else ORDERED)
    assert len(result) == len(set(result))
    assert set(result) == every


@pytest.mark.parametrize("rows", [500, 4_000])
def test_thresholds_are_exceeded_at_about_the_nominal_rate(rows: int) -> None:
    rng, chance, times = np.random.default_rng(rows), 0.05, 600
    shares = normal_shares(nulls=0.05, unseen=0.03)
    beyond = dict.fromkeys(Statistic, 0)
    for before, now in zip(rng.multinomial(8_000, shares, times), rng.multinomial(rows, shares, times), strict=True):
        for one in measures(verdict(pair(numeric(list(map(int, before))), now)), chance):
            above = one.threshold is not None and one.value is not None and abs(one.value) > one.threshold
            beyond[one.statistic] += above
            if one.p_value is not None and one.statistic not in (Statistic.NULL_RATE, Statistic.UNSEEN_RATE):
                # To first order, statistics of one family share their law; theirs is the same answer but at the edge.
                assert above is (one.p_value < chance) or 0.02 < one.p_value < 0.12, one
    rates = {statistic: count / times for statistic, count in beyond.items()}
    assert {name for name in Statistic if rates[name] > 0.085} == set()
    # Rates are told of one side alone; Kolmogorov's law is wide where values are binned.
    exact = [Statistic.PSI, Statistic.CHI_SQUARE, Statistic.JENSEN_SHANNON, Statistic.HELLINGER, Statistic.LEVEL_SHIFT]
    assert [rates[name] for name in exact] == pytest.approx([chance] * len(exact), abs=0.03)


def test_less_chance_is_a_higher_threshold() -> None:
    one = verdict(pair(STILL, [100] * 10 + [0, 0, 0]))
    for wide, narrow in zip(measures(one, 0.05), measures(one, 0.001), strict=True):
        if wide.threshold is not None and wide.statistic not in (Statistic.NON_FINITE_RATE, Statistic.UNSEEN_RATE):
            assert narrow.threshold is not None
            assert narrow.threshold >= wide.threshold


def test_where_windows_are_alike_thresholds_and_p_values_are_higher() -> None:
    one, learnt = verdict(pair(STILL, UP)), Dispersion(0.001, 30)
    known = replace(one, dispersions=Dispersions(learnt, learnt, (learnt,) * 3))
    for plain, wider in zip(measures(one, 0.01), measures(known, 0.01), strict=True):
        if plain.threshold and plain.p_value is not None and wider.p_value is not None:
            assert wider.threshold is not None
            assert wider.threshold > plain.threshold
            assert wider.p_value >= plain.p_value


def test_a_window_without_values_has_no_statistic_of_them() -> None:
    result = {one.statistic for one in measures(verdict(pair(STILL, [0] * 10 + [900, 0, 0])), 0.01)}
    assert result.isdisjoint(ORDERED)
    assert Statistic.NULL_RATE in result


def test_statistics_without_a_law_have_neither_threshold_nor_p_value() -> None:
    for one in measures(verdict(pair(STILL, [100] * 10 + [0, 0, 0])), 0.01):
        assert (one.threshold is None) is (one.statistic in WITHOUT_LAW)
        assert (one.p_value is None) is (one.statistic in WITHOUT_LAW)


def test_the_chance_of_a_record_is_shared_by_the_columns() -> None:
    verdicts = judged(STILL, [100] * 10 + [0, 0, 0])
    records = list(statistic_records(SUBJECT, verdicts, 0.01))
    alone = {one.statistic: one.threshold for one in measures(verdicts[0], 0.01 / 2)}
    assert {one.statistic: one.threshold for one in records if one.column == "x"} == alone
    assert [one.statistic for one in records if one.column == INVALID] == [Statistic.INVALID_RATE]
    assert len({one.id for one in records}) == len(records)


def test_the_summary_names_the_first_mover_first_and_keeps_the_counts() -> None:
    columns = tuple(replace(STILL, name=name) for name in ("late", "early", "still"))
    judge, still = WindowJudge(ReferenceProfile(columns, 20_000), DetectionRules()), [100] * 10 + [0, 0, 0]
    judge.judge(window(still, UP, still))
    counts = window(UP, UP, still, start=60.0, invalid=3)
    record = summary_record(SUBJECT, counts, judge.judge(counts), 7, "idle")
    assert record.moved == ("early", "late")
    assert record.state == "drift"
    assert [column.state for column in record.columns] == ["warning", "drift", "stable", "stable"]
    assert record.cause.startswith("early: level rose by 0.")
    assert record.cause.endswith(", and 1 more")
    assert (record.rows, record.invalid, record.late, record.closed_by) == (counts.rows, 3, 7, "idle")
    assert record.columns[2].counts == {str(position): 100 for position in range(10)}
    assert record.columns[0].since == "1970-01-01T00:01:00.000Z"


@pytest.mark.parametrize(
    ("row", "cause"), [([100] * 10 + [0, 0, 0], "2 columns are as the reference"), ([1] * 10 + [0, 0, 0], "too few")]
)
def test_a_window_that_says_nothing_says_so(row: list[int], cause: str) -> None:
    record = summary_record(SUBJECT, window(row), judged(STILL, row), 0, "watermark")
    assert record.moved == ()
    assert record.cause.startswith(cause)


def test_a_summary_is_read_as_it_was_written() -> None:
    record = summary_record(SUBJECT, window([100] * 13), judged(STILL, [100] * 13), 0, "end")
    assert SummaryRecord.from_dict(json.loads(record.to_json())) == record
    assert read_summary(record.to_json().encode()) == record


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="no value"),
        pytest.param(b"\xff penstock.drift.summary.v2", id="no text"),
        pytest.param(b'"penstock.drift.summary.v2"', id="no object"),
        pytest.param(b'{"type": "penstock.drift.summary.v2"}', id="no fields"),
        pytest.param(b'{"type": "penstock.drift.summary.v2", "columns": [7]}', id="no columns"),
        pytest.param(b'{"type": "other", "cause": "penstock.drift.summary.v2"}', id="another type"),
        pytest.param(b"[" * 100_000 + b"penstock.drift.summary.v2", id="nested too deeply"),
    ],
)
def test_what_is_no_summary_is_passed_over(value: bytes | None) -> None:
    assert read_summary(value) is None


def near(value: float) -> Any:
    return pytest.approx(value, abs=1e-5)


def said(verdict: ColumnVerdict) -> str:
    return cause(verdict.state, verdict.m, movement_of(verdict))


LETTERS = categorical([9_000, 9_000, 0, 0, 0])
NULLS = numeric([900] * 10 + [1_000, 0, 0])
ENDED = numeric([0, *[1_000] * 8, 0, 0, 0, 0])
"""Its first and last bins are beyond the reference's values."""


@pytest.mark.parametrize(
    ("profile", "row", "movement", "message"),
    [
        pytest.param(STILL, [100] * 10 + [0, 0, 0], None, "as the reference, within chance", id="nothing"),
        pytest.param(STILL, [10] * 10 + [0, 0, 0], None, "100 rows are too few to say", id="too few rows"),
        pytest.param(
            STILL, UP, Movement("level", 1, near(0.48355)), "level rose by 0.48 standard deviations", id="level rose"
        ),
        pytest.param(
            STILL,
            [*UP[9::-1], 0, 0, 0],
            Movement("level", -1, near(0.48355)),
            "level fell by 0.48 standard deviations",
            id="level fell",
        ),
        pytest.param(
            STILL,
            [95] * 10 + [50, 0, 0],
            Movement("nulls", 1, near(0.05), Shares(0.0, near(0.05))),
            "null: 5.0% of rows, 0.0% in the reference",
            id="nulls",
        ),
        pytest.param(
            NULLS,
            [100] * 10 + [0, 0, 0],
            Movement("nulls", -1, near(0.1), Shares(near(0.1), 0.0)),
            "null: 0.0% of rows, 10.0% in the reference",
            id="fewer nulls",
        ),
        pytest.param(
            STILL,
            [95] * 10 + [0, 50, 0],
            Movement("non_finite", 1, near(0.05), Shares(0.0, near(0.05))),
            "not finite: 5.0% of rows, 0.0% in the reference",
            id="not finite",
        ),
        pytest.param(
            LETTERS,
            [480, 480, 0, 0, 40],
            Movement("unseen", 1, near(0.04), Shares(0.0, near(0.04))),
            "a value the model was not shown: 4.0% of rows, 0.0% in the reference",
            id="new values",
        ),
        pytest.param(
            LETTERS,
            [800, 200, 0, 0, 0],
            Movement("shape", 1, near(0.3), Shares(0.5, 0.8), "c0"),
            "shape: c0: 50.0% to 80.0% of rows",
            id="shape of categories",
        ),
        pytest.param(
            STILL,
            [0, 200] + [100] * 8 + [0, 0, 0],
            Movement("shape", -1, near(0.1), Shares(near(0.1), 0.0), "below 1"),
            "shape: below 1: 10.0% to 0.0% of rows",
            id="shape of numbers",
        ),
        pytest.param(
            ENDED,
            [0, *[100] * 8, 20, 0, 0, 0],
            Movement("beyond", 1, near(20 / 820), Shares(0.0, near(20 / 820))),
            "2.4% of rows are above all of the reference's values",
            id="above",
        ),
        pytest.param(
            ENDED,
            [20, *[100] * 8, 0, 0, 0, 0],
            Movement("beyond", -1, near(20 / 820), Shares(0.0, near(20 / 820))),
            "2.4% of rows are below all of the reference's values",
            id="below",
        ),
    ],
)
def test_a_verdict_says_in_numbers_and_in_words_what_moved(
    profile: ColumnProfile, row: list[int], movement: Movement | None, message: str
) -> None:
    verdict = judged(profile, row)[0]
    assert movement_of(verdict) == movement
    assert said(verdict) == message


def test_dead_letters_are_said_as_a_share() -> None:
    verdict = judged(STILL, [100] * 10 + [0, 0, 0], invalid=250)[1]
    assert movement_of(verdict) == Movement(INVALID, 1, 0.2, Shares(None, 0.2))
    assert said(verdict) == "20.0% of rows became dead letters"


def test_a_drift_that_pauses_says_that_it_is_not_over() -> None:
    judge = WindowJudge(ReferenceProfile((STILL,), 20_000), DetectionRules())
    rows = [UP, UP, [100] * 10 + [0, 0, 0]]
    last = [judge.judge(window(row, start=60.0 * position)) for position, row in enumerate(rows)][-1][0]
    assert movement_of(last) is None
    assert said(last) == "as the reference in this window, but not yet for long enough"


parts = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
named = st.text(max_size=20) | st.sampled_from(["a: 1.0% to 2.0% of rows", "b: c", "10.0% of rows are above"])
movements = (
    st.builds(Movement, st.just("level"), st.sampled_from([1, -1]), st.integers(0, 900).map(lambda size: size / 100))
    | st.builds(moved_share, st.just("shape"), st.builds(Shares, parts, parts), named)
    | st.builds(moved_share, st.sampled_from(["nulls", "non_finite", "unseen"]), st.builds(Shares, parts, parts))
    | st.builds(lambda way, part: Movement("beyond", way, part, Shares(0.0, part)), st.sampled_from([1, -1]), parts)
    | st.builds(moved_share, st.just(INVALID), st.builds(Shares, st.none(), parts))
)


@given(movements)
def test_a_column_of_a_record_of_version_1_is_read_from_its_words(movement: Movement) -> None:
    words = cause(State.DRIFT, 900, movement)
    old = movement_of_cause(words)
    assert old is not None
    assert (old.test, old.bin, old.direction) == (movement.test, movement.bin, movement.direction)
    assert cause(State.DRIFT, 900, old) == words
    assert Movement.from_dict(json.loads(json.dumps(asdict(movement)))) == movement


@pytest.mark.parametrize("state", [State.INSUFFICIENT, State.STABLE, State.WARNING, State.DRIFT])
def test_a_column_of_version_1_that_has_not_moved_has_no_movement(state: State) -> None:
    assert movement_of_cause(cause(state, 12_345, None)) is None


def test_a_summary_of_version_1_is_read() -> None:
    record = summary_record(SUBJECT, window(UP), judged(STILL, UP), 0, "end")
    old = json.loads(record.to_json())
    for column in old["columns"]:
        del column["movement"]
    first, *others = SummaryRecord.from_dict(old).columns
    assert first.movement == Movement("level", 1, 0.48)
    assert others == list(record.columns[1:])


@pytest.mark.parametrize(
    ("one", "names"),
    [
        (
            pair(numeric([1, 1, 1, 0, 0, 0]), [1, 0, 0, 0, 0, 0]),
            ["below 1", "1 to 2", "from 2", "null", "not finite", "other"],
        ),
        (pair(numeric([1, 0, 0, 0]), [1, 0, 0, 0]), ["any value", "null", "not finite", "other"]),
        (pair(categorical([1, 1, 0, 0, 0]), [1, 0, 0, 0, 0]), ["c0", "c1", "null", "not finite", "other"]),
    ],
    ids=["numeric", "one bin", "categorical"],
)
def test_every_bin_has_a_name(one: Pair, names: list[str]) -> None:
    assert [bin_name(one, position) for position in range(len(names))] == names
