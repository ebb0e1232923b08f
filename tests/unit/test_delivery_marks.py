"""A mark says what is committed; reading it wrongly would lose or double records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.delivery.marks import Mark, Standing, Writer, error_named, standing
from streaming.errors import (
    FencedError,
    MissingMarkError,
    OffsetGapError,
    PenstockError,
    TopicRecreatedError,
)
from streaming.offsets import OffsetRange

WRITER = Writer("app", "features", "topic-id", epoch=3)


MARKS = st.builds(Mark, st.integers(0), st.text(), st.text(), st.integers(0), st.text(), st.integers(-1))


@given(MARKS)
def test_a_mark_survives_its_metadata(mark: Mark) -> None:
    assert Mark.read(mark.offset, mark.metadata) == mark


@given(st.text())
def test_metadata_that_is_not_ours_gives_no_mark(text: str) -> None:
    assert Mark.read(5, text) is None


@pytest.mark.parametrize(
    "metadata", [None, "", "{}", "[]", "3", '{"penstock": 2}', '{"penstock": 1, "app": "a"}'], ids=str
)
def test_metadata_of_a_stranger_gives_no_mark(metadata: str | None) -> None:
    assert Mark.read(5, metadata) is None


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        pytest.param(10, Standing.TO_WRITE, id="at the start"),
        pytest.param(15, Standing.TO_WRITE, id="inside: an earlier transaction wrote a part"),
        pytest.param(20, Standing.ALREADY_WRITTEN, id="at the end"),
        pytest.param(30, Standing.ALREADY_WRITTEN, id="beyond: a later batch is written"),
    ],
)
def test_the_mark_decides_what_is_still_to_write(offset: int, expected: Standing) -> None:
    assert standing(Mark.at(offset, WRITER), OffsetRange(10, 20), WRITER, 0) is expected


@pytest.mark.parametrize(
    ("mark", "error"),
    [
        pytest.param(None, MissingMarkError, id="no mark"),
        pytest.param(Mark(10, "other", "topic-id", 1), MissingMarkError, id="another application's"),
        pytest.param(Mark(10, "app", "earlier-id", 1), TopicRecreatedError, id="of an earlier topic"),
        pytest.param(Mark(10, "app", "topic-id", 4), FencedError, id="of a younger driver"),
        pytest.param(Mark(9, "app", "topic-id", 1), OffsetGapError, id="below the batch"),
    ],
)
def test_a_mark_that_does_not_fit_fails_closed(mark: Mark | None, error: type[PenstockError]) -> None:
    with pytest.raises(error) as caught:
        standing(mark, OffsetRange(10, 20), WRITER, 0)
    assert type(error_named(type(caught.value).__name__, str(caught.value))) is error


@given(st.lists(st.integers(0, 60), max_size=8), st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_whatever_crashes_every_offset_is_written_once(crashes: list[int], ends: list[int]) -> None:
    """Batches of any cut, each repeated after crashes at any place, write each offset exactly once and in order."""
    written: list[int] = []
    mark, start = Mark.at(0, WRITER), 0
    for end in sorted(set(ends)):
        for stop in [*(c for c in crashes if c <= end), end]:
            if standing(mark, OffsetRange(start, end), WRITER, 0) is Standing.TO_WRITE and stop > mark.offset:
                written += range(mark.offset, stop)
                mark = Mark.at(stop, WRITER)
        start = end
    assert written == list(range(max(ends)))
