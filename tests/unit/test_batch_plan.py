"""How a batch is cut into units, and what may not change while it is not finished."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.batch.counts import BatchCounts
from streaming.batch.files import InputFile
from streaming.batch.plan import BatchPlan, cut
from streaming.errors import ConfigurationError, InvariantError

PLAN = BatchPlan(
    batch="b1",
    model="flights",
    version=3,
    model_digest="d",
    files=(InputFile("/in/a", 10, "aa"), InputFile("/in/b", 20, "bb")),
    options={"--format": "csv", "batch.risk": {"low": 0.0}},
    unit_bytes=25,
)


@given(st.lists(st.integers(0, 50)), st.integers(1, 60))
def test_units_hold_every_file_once_in_order_and_no_more_than_they_may(sizes: list[int], most: int) -> None:
    files = [InputFile(str(number), size, "") for number, size in enumerate(sizes)]
    units = cut(files, most)
    assert [file for unit in units for file in unit.files] == files
    assert [unit.number for unit in units] == list(range(len(units)))
    assert all(unit.bytes <= most or len(unit.files) == 1 for unit in units)
    assert all(a.bytes + b.files[0].bytes > most for a, b in pairwise(units))


def test_a_plan_reads_back_as_it_was_written() -> None:
    assert BatchPlan.from_json(PLAN.to_json()) == PLAN
    assert [unit.number for unit in PLAN.units] == [0, 1]


def test_the_same_plan_goes_on() -> None:
    PLAN.must_equal(BatchPlan.from_json(PLAN.to_json()), "folder")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 4}, "with flights v3, and now it is flights v4"),
        ({"model": "boats"}, "and now it is boats v3"),
        ({"model_digest": "e"}, "the files of flights v3 have changed"),
        ({"files": (InputFile("/in/a", 10, "zz"), PLAN.files[1])}, "the input /in/a has changed"),
        ({"files": PLAN.files[:1]}, "the input /in/b is gone"),
        ({"files": (*PLAN.files, InputFile("/in/c", 1, "cc"))}, "the input /in/c is new"),
        ({"unit_bytes": 26}, r"batch\.unit_bytes was 25, and now it is 26"),
        ({"options": {**PLAN.options, "--format": "json"}}, "--format was csv, and now it is json"),
    ],
    ids=["version", "model", "its files", "a file", "one less", "one more", "size of units", "option"],
)
def test_anything_that_changed_is_named_and_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        replace(PLAN, **changes).must_equal(PLAN, "folder")


def test_the_input_s_digest_tells_inputs_apart() -> None:
    others = [replace(PLAN, files=PLAN.files[:1]), replace(PLAN, files=(PLAN.files[0], InputFile("/in/b", 20, "xx")))]
    assert len({PLAN.input_digest, *(other.input_digest for other in others)}) == 3


def test_counts_add_up_and_come_back_from_their_text() -> None:
    one = BatchCounts(5, 3, {"NON_FINITE": 2}, 1.5, ("aa",))
    both = one + BatchCounts(4, 2, {"NON_FINITE": 1, "MISSING_FIELD": 1}, 0.5, ("bb",))
    assert both == BatchCounts(9, 5, {"NON_FINITE": 3, "MISSING_FIELD": 1}, 2.0, ("aa", "bb"))
    assert BatchCounts.from_json(both.to_json()) == both
    assert (both.all_rejected, both.rate) == (4, 4.5)
    both.check("a batch")


@pytest.mark.parametrize("rows", [8, 10])
def test_a_row_lost_or_doubled_stops_the_batch(rows: int) -> None:
    with pytest.raises(InvariantError, match="of unit 7 came in; 5 scored and 4 rejected"):
        BatchCounts(rows, 5, {"NON_FINITE": 4}).check("unit 7")
