"""Which label a prediction has: repeated, corrected, withdrawn and late ones, in any order and any blocks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.clock import instant
from streaming.quality.labels import attach
from streaming.quality.tables import LABELS, ONE_EVENT, by_time, distinct, tables
from streaming.quality.windows import WindowShape
from tests.support.labels import DAY, DUE, label, labelled, predicted, table
from tests.support.laws import examples

EVENTS = [predicted(number, 1.0) for number in range(4)]
NOON, EVENING = DAY + timedelta(hours=12), DAY + timedelta(hours=20)


@pytest.mark.parametrize(
    ("records", "truth", "counts"),
    [
        pytest.param([label(1, "late")], "late", (1, 0, 0, 0, 0), id="one"),
        pytest.param([], None, (0, 0, 0, 0, 0), id="none"),
        pytest.param([label(1, "a", 0), label(1, "a", 1)], "a", (2, 1, 0, 0, 0), id="repeated"),
        pytest.param([label(1, "a", 0), label(1, "b", 1)], "b", (2, 0, 1, 0, 0), id="corrected"),
        pytest.param(
            [label(1, "b", 7, NOON), label(1, "a", 3, EVENING)], "a", (2, 0, 1, 0, 0), id="known later, written before"
        ),
        pytest.param([label(1, "a", 0), label(1, None, 1)], None, (2, 0, 1, 1, 0), id="withdrawn"),
        pytest.param([label(1, None, 0), label(1, "a", 1)], "a", (2, 0, 1, 0, 0), id="withdrawn and given again"),
        pytest.param([label(1, "a", 0), label(1, "b", 1, DUE)], "a", (1, 0, 0, 0, 1), id="a correction that is late"),
        pytest.param([label(1, "b", 0, DUE)], None, (0, 0, 0, 0, 1), id="late alone"),
        pytest.param([label(9, "b", 0)], None, (0, 0, 0, 0, 0), id="of an event that was not predicted"),
    ],
)
def test_the_label_that_became_known_last_counts(
    records: list[dict[str, Any]], truth: str | None, counts: tuple[int, ...]
) -> None:
    made = labelled(EVENTS, records)
    assert made.truth.to_pylist() == [None, truth, None, None]
    columns = made.records, made.repeated, made.corrected, made.withdrawn, made.late
    assert tuple(int(column[1]) for column in columns) == counts
    assert all(int(np.delete(column, 1).sum()) == 0 for column in columns)


def test_an_event_without_an_id_is_named_by_its_key_and_time_to_the_millisecond() -> None:
    right, wrong = (
        by_time(b"k2", DAY + timedelta(minutes=2)),
        by_time(b"k2", DAY + timedelta(minutes=2, milliseconds=1)),
    )
    rows = [{**label(0, "a"), "identity": right}, {**label(0, "b", 1), "identity": wrong}]
    assert labelled(EVENTS, rows).truth.to_pylist() == [None, None, "a", None]


def test_of_labels_by_id_and_by_time_the_last_counts_too() -> None:
    by_key = {**label(0, "b", 1, EVENING), "identity": by_time(b"k2", DAY + timedelta(minutes=2))}
    assert labelled(EVENTS, [by_key, label(2, "a", 2, NOON)]).truth.to_pylist() == [None, None, "b", None]


def test_a_key_that_looks_like_a_time_is_not_taken_for_one() -> None:
    assert by_time(b"1\x00k", instant("1970-01-01T00:00:00.002Z")) != by_time(b"k", instant("1970-01-01T00:00:00.021Z"))


def test_a_label_counts_for_each_version_that_has_scored_its_event() -> None:
    both = [predicted(0, 1.0), predicted(0, 0.0, prediction_id="s0", version=2, role="shadow")]
    assert labelled(both, [label(0, "1")]).truth.to_pylist() == ["1", "1"]


def test_the_age_is_that_of_the_first_label_and_of_none_that_was_withdrawn() -> None:
    rows = [label(0, "a", 0, NOON), label(0, "b", 1, EVENING), label(1, "a", 2, NOON), label(1, None, 3, EVENING)]
    assert labelled(EVENTS, rows).age.tolist() == [12 * 3_600_000, -1, -1, -1]


def test_a_prediction_that_the_live_engine_wrote_twice_counts_once() -> None:
    twice = table([EVENTS[0], EVENTS[1], EVENTS[0], EVENTS[2]])
    assert distinct(twice)["event_id"].to_pylist() == ["e0", "e1", "e2"]


def test_an_event_that_both_versions_of_a_rollout_answered_counts_once() -> None:
    places = {"partition": [0, 0, 1, 0], "offset": [7, 8, 7, 7]}
    both = pa.table({"prediction_id": ["champion:7", "champion:8", "other:7", "candidate:7"], **places})
    assert distinct(both, ONE_EVENT)["prediction_id"].to_pylist() == ["champion:7", "champion:8", "other:7"]


RECORDS = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", None]), st.integers(0, 60)), min_size=1, max_size=30
)


@examples(40)
@given(RECORDS, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_and_blocks_change_nothing(records: list[tuple[int, str | None, int]], random: Any, block: int) -> None:
    rows = [label(n, text, offset, DAY + timedelta(hours=hour)) for offset, (n, text, hour) in enumerate(records)]
    expected: dict[int, str | None] = {}
    for row, (number, _, hour) in sorted(
        zip(rows, records, strict=True), key=lambda pair: (pair[1][2], pair[0]["offset"])
    ):
        if hour < 48:
            expected[number] = row["label"]
    random.shuffle(rows)
    blocks = [table(rows[start : start + block], LABELS) for start in range(0, len(rows), block)]
    made = attach(table(EVENTS), blocks, DUE)
    assert made.truth.to_pylist() == [expected.get(number) for number in range(len(EVENTS))]


def test_each_prediction_may_have_a_time_of_its_own_before_which_labels_count() -> None:
    rows = [label(number, "a", number, NOON) for number in range(3)] + [label(3, "b", 3, EVENING)]
    times = [int(time.timestamp() * 1_000) for time in (NOON, EVENING, DUE, EVENING)]
    made = attach(table(EVENTS), [table(rows, LABELS)], np.array(times))
    assert made.truth.to_pylist() == [None, "a", "a", None]
    assert made.late.tolist() == [1, 0, 0, 1]


def test_rows_become_tables_whatever_their_number() -> None:
    assert [made.num_rows for made in tables((predicted(n, 1.0) for n in range(50_001)), LABELS)] == [50_000, 1]


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        pytest.param("2013-06-01T00:00:00Z", "2013-06-03T00:00:00Z", [1, 2], id="whole days"),
        pytest.param("2013-06-01T23:00:00Z", "2013-06-02T00:00:01Z", [1, 2], id="parts of days"),
        pytest.param("2013-06-01T05:00:00Z", "2013-06-01T06:00:00Z", [1], id="an hour"),
    ],
)
def test_windows_are_whole_whatever_stretch_is_asked_for(since: str, until: str, days: list[int]) -> None:
    shape = WindowShape(timedelta(days=1), timedelta(hours=6))
    windows = list(shape.between(instant(since), instant(until)))
    assert [window.start.day for window in windows] == days
    assert all(window.due - window.start == timedelta(hours=30) for window in windows)
