"""The latency harness's arithmetic: when events are due, whose an output is, and what the numbers mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency.load import all_due, event
from benchmarks.latency.notes import Notes, load_notes
from benchmarks.latency.search import search
from benchmarks.latency.stats import (
    NEVER,
    PERCENTILES,
    Arrivals,
    backlog_growth,
    first_arrivals,
    longest_silence_ms,
    percentiles_ms,
    silences,
    worked_off_rate,
)
from streaming.accounting.load import NANOSECONDS, DueTimes

SECOND = NANOSECONDS
RATES = st.integers(1, 200_000)


def arrivals(pairs: list[tuple[int, int]]) -> Arrivals:
    ids, times = (np.array(column, np.int64) for column in (zip(*pairs, strict=True) if pairs else ((), ())))
    return Arrivals(ids, times, np.full(len(ids), np.nan))


@given(RATES | st.just(0), st.integers(0, 2_000))
def test_all_due_times_are_those_of_each_event(rate: int, events: int) -> None:
    times = DueTimes(17, rate)
    assert all_due(times, events).tolist() == [times.due(number) for number in range(events)]


def test_an_event_is_json_with_its_number_as_text() -> None:
    assert json.loads(event(41, b'"temp":null}')) == {"event_id": "41", "temp": None}


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 10**12)), max_size=60))
def test_first_arrivals_agree_with_a_dictionary(pairs: list[tuple[int, int]]) -> None:
    first: dict[int, int] = {}
    for name, moment in pairs:
        first[name] = min(moment, first.get(name, moment))
    assert first_arrivals(arrivals(pairs), 20).tolist() == [first.get(name, NEVER) for name in range(20)]


def test_outputs_of_other_stages_and_strangers_are_left_out() -> None:
    mine = arrivals([(9, 1), (10, 2), (12, 3), (13, 4), (-1, 5)]).of(10, 3)
    assert (mine.ids.tolist(), mine.times.tolist()) == ([0, 2], [2, 3])


@given(st.lists(st.integers(0, 10**10), min_size=1, max_size=300))
def test_a_percentile_is_a_measured_value_that_so_many_do_not_exceed(latencies: list[int]) -> None:
    result = percentiles_ms(np.array(latencies, np.int64))
    for name, percent in PERCENTILES.items():
        smallest = next(
            value
            for value in sorted(latencies)
            if sum(other <= value for other in latencies) * 100 >= percent * len(latencies)
        )
        assert result[name] == round(smallest / 1e6, 3)


def test_no_latencies_have_no_percentiles() -> None:
    assert all(np.isnan(value) for value in percentiles_ms(np.array([], np.int64)).values())


@given(RATES)
def test_a_burst_s_rate_counts_from_its_beginning_however_its_outputs_come(rate: int) -> None:
    times = all_due(DueTimes(0, rate), 1_000)
    assert worked_off_rate(0, times) == pytest.approx(rate, rel=2e-3)
    assert worked_off_rate(0, np.full(1_000, times.max())) == worked_off_rate(0, times), "shown all at once"


@pytest.mark.parametrize("times", [[], [5], [5] * 100], ids=["none", "one", "all at once"])
def test_without_time_there_is_no_rate(times: list[int]) -> None:
    assert np.isnan(worked_off_rate(5, np.array(times, np.int64)))


@pytest.mark.parametrize(
    ("share", "growth"), [(1.0, 0.0), (0.8, 200.0), (0.5, 500.0)], ids=["keeps up", "a fifth short", "half"]
)
def test_the_backlog_grows_by_what_the_system_does_not_manage(share: float, growth: float) -> None:
    due = all_due(DueTimes(0, 1_000), 20_000)
    arrived = (due / share).astype(np.int64) + 300_000_000
    assert backlog_growth(due, arrived) == pytest.approx(growth, abs=10)


def test_a_system_that_works_in_batches_does_not_count_as_falling_behind() -> None:
    due = all_due(DueTimes(0, 1_000), 20_000)
    batch = SECOND // 2
    arrived = (due // batch + 2) * batch
    assert abs(backlog_growth(due, arrived)) < 0.01 * 1_000


def test_silence_is_the_longest_gap_between_outputs_in_whatever_order_they_are_given() -> None:
    assert longest_silence_ms(np.array([40, 1, 3, 90, 41], np.int64) * 1_000_000) == 49.0


@pytest.mark.parametrize(
    ("value", "name", "prediction"),
    [
        (b'{"event_id":"12","prediction":1.0}', 12, 1.0),
        (b'{"prediction": -2.5e-3, "event_id": "0"}', 0, -2.5e-3),
        (b'{"prediction_id":"a:1","event_id":"7","prediction":0.0,"label":null}', 7, 0.0),
        (b'{"event_id":"7"}', 7, None),
        (b'{"event_id":"x","prediction":null}', -1, None),
        (None, -1, None),
    ],
    ids=["compact", "spaced", "our envelope", "a copy", "someone else's", "a tombstone"],
)
def test_an_output_is_noted_with_its_event_and_prediction(
    value: bytes | None, name: int, prediction: float | None, tmp_path: Path
) -> None:
    notes = Notes()
    notes.add(value, 99)
    notes.save(tmp_path / "notes.npz")
    result = load_notes(tmp_path / "notes.npz")
    assert (result.ids.tolist(), result.times.tolist()) == ([name], [99])
    assert result.predictions.tolist() == pytest.approx(
        [float("nan") if prediction is None else prediction], nan_ok=True
    )


@given(st.integers(0, 200_000))
def test_the_search_ends_just_below_what_a_system_keeps_up_with(limit: int) -> None:
    result = list(search(lambda rate: rate <= limit, narrowings=6))
    sustained = max((rate for rate, kept in result if kept), default=0)
    refused = min(rate for rate, kept in result if not kept)
    assert sustained <= limit < refused
    assert refused - sustained <= max(1_000, sustained) / 2**6 + 1


def test_the_longest_silences_come_with_their_place_and_in_order() -> None:
    times = np.array([9, 0, 1, 5, 6, 13], np.int64)
    assert silences(times, most=2) == [(1, 5), (9, 13)]
    assert silences(times[:1]) == []
