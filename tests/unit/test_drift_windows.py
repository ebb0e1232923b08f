"""Windows of counts: every row in its windows, none lost, late ones counted, whatever the batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import Rejection
from streaming.drift.windows import Closed, Tally, WindowBook, WindowSpec
from tests.support.versions import flights

MINUTE = 60_000
NOW = 10_000 * MINUTE
TUMBLING = WindowSpec(10 * MINUTE, 10 * MINUTE, MINUTE, 60_000)
SLIDING = WindowSpec(30 * MINUTE, 10 * MINUTE, MINUTE, 60_000)
REJECTED = {Rejection("MALFORMED_JSON"): 2, Rejection("WRONG_TYPE", "x:y"): 1}


def a_row(minute: int, *, version: int = 1, partition: str = "p-0", cell: int = 3, slide: int = 10) -> Tally:
    start = minute - minute % slide
    return Tally(partition, flights(version), start * MINUTE, minute * MINUTE, 1, {cell: 1})


def starts(closed: Sequence[Closed]) -> list[tuple[int, int, int]]:
    return [(one.start // MINUTE, one.key.version, one.counts.rows) for one in closed]


def test_a_window_is_closed_when_its_partition_is_past_its_end_and_the_lateness() -> None:
    book = WindowBook(TUMBLING)
    book.add([a_row(1), a_row(9), a_row(10)], NOW)
    assert book.close(NOW) == []
    book.add([a_row(11)], NOW)
    assert starts(book.close(NOW)) == [(0, 1, 2)]
    assert book.open_rows == 2


def test_the_slowest_active_partition_decides() -> None:
    book = WindowBook(TUMBLING)
    book.add([a_row(1, partition="a"), a_row(2, partition="b"), a_row(25, partition="a")], NOW)
    assert book.close(NOW) == []
    assert starts(book.close(NOW + 59_000)) == []
    # b is silent for so long that it holds nobody back; a was heard of just now.
    book.add([a_row(26, partition="a")], NOW + 61_000)
    assert starts(book.close(NOW + 61_000)) == [(0, 1, 2)]


def test_on_an_idle_topic_event_time_goes_on_by_the_clock() -> None:
    book = WindowBook(TUMBLING)
    book.add([a_row(5)], NOW)
    assert book.close(NOW + 5 * MINUTE) == []
    closed = book.close(NOW + 6 * MINUTE)
    assert starts(closed) == [(0, 1, 1)]
    assert closed[0].by == "idle"


def test_versions_are_counted_apart() -> None:
    book = WindowBook(TUMBLING)
    book.add([a_row(1), a_row(2, version=2), a_row(3, version=2)], NOW)
    assert starts(book.close_all()) == [(0, 1, 1), (0, 2, 2)]


def test_a_sliding_window_is_the_sum_of_its_tiles() -> None:
    book = WindowBook(SLIDING)
    book.add([a_row(5), a_row(15), a_row(25), a_row(35)], NOW)
    assert starts(book.close_all()) == [(-20, 1, 1), (-10, 1, 2), (0, 1, 3), (10, 1, 3), (20, 1, 2), (30, 1, 1)]


@pytest.mark.parametrize(
    ("shape", "late_minute", "then"),
    [
        pytest.param(TUMBLING, 5, [(20, 1, 1)], id="its only window is closed"),
        pytest.param(
            SLIDING, 5, [(0, 1, 4), (10, 1, 2), (20, 1, 1)], id="a sliding window that is open still takes it"
        ),
    ],
)
def test_a_late_row_is_counted_as_late_with_the_next_window(
    shape: WindowSpec, late_minute: int, then: list[tuple[int, int, int]]
) -> None:
    book = WindowBook(shape)
    book.add([a_row(1), a_row(12), a_row(21)], NOW)
    book.close(NOW)
    book.add([a_row(late_minute)], NOW)
    closed = book.close_all()
    assert [one.late for one in closed] == [1] + [0] * (len(closed) - 1)
    assert starts(closed) == then


def test_a_clock_that_is_wrong_by_years_closes_no_window_early() -> None:
    book = WindowBook(TUMBLING)
    book.add([a_row(1), Tally("p-0", flights(1), NOW * 50, NOW * 50, 1, {0: 1})], 3 * MINUTE)
    assert book.close(3 * MINUTE) == []
    assert book.open_rows == 1
    assert book.close_all()[0].late == 1


def test_dead_letters_are_counted_by_reason() -> None:
    book = WindowBook(TUMBLING)
    book.add([Tally("d-0", flights(1), 0, MINUTE, 0, {}, REJECTED)], NOW)
    assert book.close_all()[0].counts.rejected == Counter(REJECTED)


def test_a_state_of_version_1_has_its_dead_letters_as_text() -> None:
    first, second = WindowBook(TUMBLING), WindowBook(TUMBLING)
    first.add([Tally("d-0", flights(1), 0, MINUTE, 0, {}, REJECTED)], NOW)
    state = first.to_dict()
    state["tiles"][0]["rejected"] = {"MALFORMED_JSON": 2, "WRONG_TYPE:x:y": 1}
    second.restore(json.loads(json.dumps(state)), "flights", NOW)
    assert second.close_all()[0].counts.rejected == Counter(REJECTED)


def test_the_state_survives_its_json() -> None:
    first, second = WindowBook(SLIDING), WindowBook(SLIDING)
    first.add(
        [a_row(1), a_row(33, version=2), Tally("d-0", flights(2), 30 * MINUTE, 33 * MINUTE, 0, {}, REJECTED)], NOW
    )
    first.close(NOW)
    second.restore(json.loads(json.dumps(first.to_dict())), "flights", NOW)
    for book in (first, second):
        book.add([a_row(44)], NOW)
    assert first.close_all() == second.close_all()


def test_the_time_that_nobody_listened_closes_nothing() -> None:
    before, after = WindowBook(TUMBLING), WindowBook(TUMBLING)
    before.add([a_row(5)], NOW)
    down = 300 * MINUTE
    after.restore(before.to_dict(), "flights", NOW + down)
    assert after.close(NOW + down) == []
    after.add([a_row(6)], NOW + down)
    assert [(one.counts.rows, one.late) for one in after.close(NOW + down + 6 * MINUTE)] == [(2, 0)]


def test_a_state_of_other_windows_is_refused() -> None:
    with pytest.raises(ValueError, match="another length or slide"):
        WindowBook(TUMBLING).restore(WindowBook(SLIDING).to_dict(), "flights", NOW)


def test_windows_that_are_no_sum_of_slides_are_refused() -> None:
    with pytest.raises(ValueError, match="do not begin every"):
        WindowSpec(10, 3, 0, 1)


rows = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 3), st.sampled_from(["a", "b"]), st.integers(0, 5)))


@given(rows, st.lists(st.integers(0, 50), max_size=5), st.randoms(use_true_random=False), st.sampled_from([10, 30]))
def test_the_order_of_rows_and_how_they_are_cut_into_batches_change_nothing(rows, cuts, random, minutes) -> None:  # type: ignore[no-untyped-def]
    shape = WindowSpec(minutes * MINUTE, 10 * MINUTE, 300 * MINUTE, 60_000)
    tallies = [a_row(minute, version=v, partition=p, cell=cell) for minute, v, p, cell in rows]
    whole, parts = WindowBook(shape), WindowBook(shape)
    whole.add(tallies, NOW)
    random.shuffle(tallies)
    edges = [0, *sorted(min(cut, len(tallies)) for cut in cuts), len(tallies)]
    for start, end in pairwise(edges):
        parts.add(tallies[start:end], NOW)
        assert parts.close(NOW) == []
    assert whole.close_all() == parts.close_all()


@given(rows)
def test_every_row_is_in_as_many_windows_as_a_window_has_slides(rows) -> None:  # type: ignore[no-untyped-def]
    book = WindowBook(SLIDING)
    book.add([a_row(minute, version=v, partition=p, cell=cell) for minute, v, p, cell in rows], NOW)
    closed = book.close_all()
    assert sum(one.counts.rows for one in closed) == 3 * len(rows)
    assert sum(one.counts.cells.total() for one in closed) == 3 * len(rows)
    assert book.size == 0


def test_what_is_kept_is_bounded_by_windows_versions_columns_and_bins() -> None:
    book = WindowBook(TUMBLING)
    for minute in range(1000):
        book.add([a_row(minute, version=minute % 2 + 1, cell=cell) for cell in range(20)], NOW)
        book.close(NOW)
        assert book.size <= 2 * 2 * 20
