"""The deciding metric over time."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.backtest.answers import AnswerKind, Answers, Side
from streaming.backtest.metrics import SideJudge, judge
from streaming.backtest.timeline import timeline
from tests.support.backtests import START, times, unhurried

FIRST = int(START.timestamp() // 3_600)


def judges(right: list[bool]) -> tuple[SideJudge, SideJudge]:
    """Recorded: always right. Candidate: right where it is said."""
    sides = [Side(np.ones(len(right)), np.array(row, np.int64), None) for row in ([1] * len(right), right)]
    result = Answers(AnswerKind.TWO_CLASSES, ("0", "1"), 1, sides[0], sides[1], np.ones(len(right)), None)
    return judge(result, sides[0]), judge(result, sides[1])


@unhurried
@given(st.lists(st.tuples(st.integers(0, 24 * 365 * 3), st.booleans()), min_size=1, max_size=100))
def test_every_event_is_in_one_stretch_and_there_are_not_too_many(rows: list[tuple[int, bool]]) -> None:
    hour = np.array([FIRST + row[0] for row in rows])
    result = timeline(hour, judges([row[1] for row in rows]), 0)
    assert len(result) <= 60
    assert [one.start for one in result] == sorted({one.start for one in result})
    assert sum(one.events for one in result) == len(rows)
    assert sum(one.events * one.candidate for one in result) == pytest.approx(sum(row[1] for row in rows))
    assert {one.recorded for one in result} == {1.0}


@pytest.mark.parametrize(
    ("events", "every", "starts"),
    [
        pytest.param(48, timedelta(minutes=30), ["2013-06-01T00:00:00.000Z", "2013-06-01T01:00:00.000Z"], id="a day"),
        pytest.param(168, timedelta(hours=1), ["2013-06-01T00:00:00.000Z", "2013-06-01T06:00:00.000Z"], id="a week"),
        pytest.param(720, timedelta(hours=1), ["2013-06-01T00:00:00.000Z", "2013-06-02T00:00:00.000Z"], id="a month"),
    ],
)
def test_stretches_are_as_short_as_there_is_room_for(events: int, every: timedelta, starts: list[str]) -> None:
    hour = np.array([int(time.timestamp() // 3_600) for time in times(events, every)])
    assert [one.start for one in timeline(hour, judges([True] * events), 0)][:2] == starts


def test_without_times_there_is_no_timeline() -> None:
    assert timeline(None, judges([True]), 0) == ()
