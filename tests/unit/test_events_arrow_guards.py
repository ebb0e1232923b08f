"""Guards on Arrow batches, and which of several counts."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest

from schemas.dead_letter import Rejection
from streaming.events import columns as c
from streaming.events.arrow_guards import failing, guarded
from streaming.events.arrow_verdicts import VERDICT_STRUCT
from streaming.events.guards import InCategories, InRange, InVocabulary, NotNull
from streaming.models.seams import Guard

EARLIER = Rejection("WRONG_TYPE", "y")


def verdicts_of(*rejections: Rejection | None) -> pa.StructArray:
    return pa.array([rejection and rejection._asdict() for rejection in rejections], VERDICT_STRUCT)


def rejections_of(verdicts: pa.StructArray) -> list[Rejection | None]:
    return [verdict and Rejection(**verdict) for verdict in verdicts.to_pylist()]


@pytest.mark.parametrize(
    ("guard", "values", "expected"),
    [
        pytest.param(NotNull("x"), [None, math.nan, 0.0], [True, False, False], id="not null"),
        pytest.param(InVocabulary("x", ("1.0",)), [None, 1.0, 2.0], [False, False, True], id="in a vocabulary"),
        pytest.param(InVocabulary("x", ()), [None, 1.0], [True, True], id="in an empty vocabulary"),
        pytest.param(InRange("x", 0.0, 9.0), [None, -1.0, 0.0, 9.0, 9.5], [False, True, False, False, True], id="both"),
        pytest.param(InRange("x", 0.0, 9.0, open_end=True), [9.0, 8.5], [True, False], id="an open end"),
        pytest.param(InRange("x", 0.0, 9.0, zero_below=True), [-0.0, 0.0], [True, False], id="zero below"),
        pytest.param(InRange("x", 0.0, math.inf), [math.inf, math.nan], [False, True], id="NaN is above infinity"),
        pytest.param(InCategories("x", (2.0,)), [None, 0.0, 2.0, 3.0], [False, False, False, True], id="categories"),
        pytest.param(InCategories("x", (math.nan,)), [math.nan, 1.0], [False, True], id="NaN is NaN"),
    ],
)
def test_a_guard_says_where_a_pipeline_would_throw(guard: Guard, values: list[Any], expected: list[bool]) -> None:
    assert failing(guard, pa.array(values, pa.float64())).tolist() == expected


def test_the_first_guard_that_fails_counts() -> None:
    guards = (InRange("x", 0.0, 9.0), InVocabulary("word", ("UA",)), NotNull("x"))
    events = pa.record_batch(
        {
            c.VERDICT: verdicts_of(None, None, None, EARLIER, None),
            "x": [-1.0, 1.0, None, None, 1.0],
            "word": ["ZZ", "ZZ", "UA", None, "UA"],
        }
    )
    unseen, null = "UNSEEN_CATEGORY", "NULL_FEATURE"
    expected = [Rejection(unseen, "x"), Rejection(unseen, "word"), Rejection(null, "x"), EARLIER, None]
    assert rejections_of(guarded(events, guards)) == expected
    assert rejections_of(guarded(events.slice(2, 2), guards)) == expected[2:4], "a part of a batch"
    assert rejections_of(guarded(events.slice(0, 0), guards)) == []


def test_what_is_no_guard_is_refused() -> None:
    with pytest.raises(TypeError, match="is no guard"):
        failing("x", pa.array([1.0]))
