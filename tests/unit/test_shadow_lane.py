"""A partition read forwards: whatever is asked for, and however much comes at a time, those events come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streaming.shadow.event_lane import FAR, EventLane
from streaming.shadow.scoring import InputEvent
from tests.support.laws import examples

AT_ONCE = 7


class Client:
    """A partition with holes, handed over some records at a time; at its end it says so."""

    def __init__(self, offsets: list[int], first: int) -> None:
        self.offsets = sorted(offset for offset in offsets if offset >= first)
        self.first = first
        self.end = max(offsets, default=-1) + 1
        self.jumps = 0

    def answer(self, lane: EventLane, asked: list[int]) -> set[int]:
        if lane.ask(asked):
            self.jumps += 1
        turns = 0
        while lane.is_open:
            turns += 1
            assert turns < 10_000
            coming = [offset for offset in self.offsets if offset >= lane.position][:AT_ONCE]
            for offset in coming:
                lane.take(InputEvent(0, offset, 0, None, b"%d" % offset))
            if not coming:
                lane.end(self.end, self.first, self.end)
        events = lane.handed_over()
        assert all(event.value == b"%d" % offset for offset, event in events.items())
        return set(events)


@examples(60)
@given(
    offsets=st.lists(st.integers(0, 3 * FAR), min_size=1, unique=True),
    first=st.integers(0, 2 * FAR),
    questions=st.lists(st.lists(st.integers(0, 4 * FAR), min_size=1, max_size=5, unique=True).map(sorted), max_size=8),
)
def test_what_is_there_of_the_asked_events_comes_and_nothing_else(
    offsets: list[int], first: int, questions: list[list[int]]
) -> None:
    client, lane = Client(offsets, first), EventLane(questions[0][0] if questions else 0)
    for asked in questions:
        assert client.answer(lane, asked) == set(asked) & set(client.offsets)


def test_one_partition_in_order_is_read_without_a_jump() -> None:
    client, lane = Client(list(range(100)), 0), EventLane(0)
    for start in range(0, 100, 5):
        assert client.answer(lane, [start, start + 3]) == {start, start + 3}
    assert client.jumps == 0


def test_a_gap_is_jumped_over_and_so_is_the_way_back() -> None:
    client, lane = Client(list(range(3 * FAR)), 0), EventLane(0)
    for asked in ([0], [2 * FAR], [1]):
        assert client.answer(lane, asked) == set(asked)
    assert client.jumps == 2


def test_an_end_that_was_there_before_the_latest_events_came_is_not_the_end() -> None:
    lane = EventLane(5)
    lane.ask([5])
    lane.end(5, 0, 6)
    assert lane.is_open
    lane.take(InputEvent(0, 5, 0, None, b""))
    assert not lane.is_open
    assert list(lane.handed_over()) == [5]
