"""What a stage of a latency run says, and when its numbers do not count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency.load import Fed, Feed, all_due
from benchmarks.latency.stages import Evidence, Load, drained, followed, problems
from benchmarks.latency.stats import Arrivals
from streaming.accounting.load import NANOSECONDS, DueTimes

RATE, EXPECTED = 1_000, np.array([0.0, 1.0, 1.0])
LOAD = Load(RATE, seconds=2.0, warm_up=1.0)
MS = NANOSECONDS // 1_000


def evidence(load: Load, latency_ms: list[float], *, predictions: list[float] | None = None) -> Evidence:
    """Outputs that come so long after their events were due, in a stage of its own."""
    due = all_due(DueTimes(7, load.rate), len(latency_ms))
    ids = np.arange(len(latency_ms))
    given = EXPECTED[ids % 3] if predictions is None else np.array(predictions)
    arrivals = Arrivals(ids, due + (np.array(latency_ms) * MS).astype(np.int64), given)
    return Evidence(
        feed(load), Fed(7, load.events, 0, 240.0, {"p50": 0.1, "p99": 0.2, "max": 1.0}, 0.5), arrivals, EXPECTED
    )


def feed(load: Load) -> Feed:
    return Feed("broker", "in", 2, "bodies", 0, load.events, load.rate, "report")


def test_the_warm_up_is_in_the_counts_and_not_in_the_latency() -> None:
    stage = followed(evidence(LOAD, [900.0] * 1_000 + [5.0] * 2_000), LOAD)
    assert (stage["events"], stage["measured"], stage["missing"], stage["wrong"]) == (3_000, 2_000, 0, 0)
    assert stage["latency_ms"] == {"p50": 5.0, "p90": 5.0, "p99": 5.0, "p999": 5.0, "max": 5.0}
    assert stage["latencies_us"] == [5_000] * 2_000
    assert problems(stage, scores=True) == []


@given(st.lists(st.floats(0.0, 1_000.0), min_size=30, max_size=30))
def test_latency_counts_from_when_an_event_was_due_whatever_came_in_between(latency_ms: list[float]) -> None:
    load = Load(RATE, seconds=0.02, warm_up=0.01)
    stage = followed(evidence(load, latency_ms), load)
    assert stage["latencies_us"] == pytest.approx([value * 1_000 for value in latency_ms[10:]], abs=1.0)


def test_each_window_has_percentiles_of_its_own() -> None:
    load = Load(RATE, seconds=3.0, warm_up=0.0, windows=3)
    stage = followed(evidence(load, [1.0] * 1_000 + [2.0] * 1_000 + [3.0] * 1_000), load)
    assert [window["p50"] for window in stage["windows"]] == [1.0, 2.0, 3.0]
    assert stage["latency_ms"]["p50"] == 2.0


def test_a_load_that_nothing_came_of_says_so_and_has_no_numbers() -> None:
    stage = followed(evidence(LOAD, []), LOAD)
    assert stage["latency_ms"]["p50"] is None
    assert problems(stage, scores=True) == ["3000 of 3000 events have no output"]


@pytest.mark.parametrize(
    ("changes", "scores", "reason"),
    [
        ({"missing": 2}, True, "2 of 10 events have no output"),
        ({"predictions": 9}, True, "only 9 outputs have a prediction"),
        ({"wrong": 1}, True, "1 predictions are not Spark's"),
        ({"predictions": 0, "wrong": 0}, False, None),
        ({"lateness_ms": {"p99": 4.0}}, True, "the feeder was late, p99 4.0 ms"),
        ({"lateness_ms": {"p99": 4.0}, "latency_ms": {"p99": 300.0}}, True, None),
        ({"lateness_ms": {"p99": 1.5}, "latency_ms": {"p99": 2.0}}, True, None),
        ({"duplicates": 5}, True, None),
    ],
    ids=[
        "an event is missing",
        "an output predicts nothing",
        "another prediction",
        "a copy predicts nothing",
        "the feeder measured itself",
        "a late feeder beside a slow system",
        "as late as any process is",
        "at least once",
    ],
)
def test_numbers_count_only_if_nothing_speaks_against_them(
    changes: dict[str, Any], scores: bool, reason: str | None
) -> None:
    sound = {
        "kind": "load",
        "events": 10,
        "missing": 0,
        "duplicates": 0,
        "predictions": 10,
        "wrong": 0,
        "measured": 8,
        "lateness_ms": {"p99": 0.2},
        "latency_ms": {"p99": 5.0},
    }
    assert problems(sound | changes, scores=scores) == ([] if reason is None else [reason])


def test_a_prediction_that_differs_from_sparks_is_counted() -> None:
    load = Load(RATE, seconds=0.003, warm_up=0.0)
    assert drained(evidence(load, [1.0, 1.0, 1.0], predictions=[0.0, 1.0 + 1e-9, 0.9]))["wrong"] == 1


def test_an_event_scored_twice_is_a_duplicate_and_keeps_its_first_latency() -> None:
    load = Load(RATE, seconds=0.002, warm_up=0.0)
    once = evidence(load, [1.0, 2.0])
    ids, times = np.array([0, 1, 1]), once.arrivals.times[[0, 1, 1]] + np.array([0, 50 * MS, 0])
    twice = Evidence(once.feed, once.fed, Arrivals(ids, times, EXPECTED[ids]), EXPECTED)
    stage = followed(twice, load)
    assert (stage["duplicates"], stage["missing"], stage["latencies_us"]) == (1, 0, [1_000, 2_000])
